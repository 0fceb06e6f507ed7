"""Make a year of orders in four regions, as Parquet files in a folder for each region and month."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

REGIONS = ("east", "north", "south", "west")
MONTHS = tuple(f"2024-{month:02}" for month in range(1, 13))
ORDERS = 250


def main() -> None:
    """Run the step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    chance = np.random.default_rng(7)
    first = 0
    for number, region in enumerate(REGIONS):
        for month in MONTHS:
            folder = args.output / region / month
            folder.mkdir(parents=True)
            value = chance.gamma(9.0, 10.0 + number, ORDERS).round(2)
            pd.DataFrame({"id": range(first, first + ORDERS), "value": value}).to_parquet(folder / "orders.parquet")
            first += ORDERS


if __name__ == "__main__":
    main()
