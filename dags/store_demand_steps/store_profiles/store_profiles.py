"""Describes each store: its region, its size in classes, how long it has been open."""

import argparse

import pandas as pd

from refrain import Run

SMALL, LARGE = 400, 1200  # square metres


def profiles(stores: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each store, by its id."""
    size = pd.cut(stores["floor_space"], [0, SMALL, LARGE, float("inf")], labels=["small", "medium", "large"])
    opened = pd.to_datetime(stores["opened"])
    return pd.DataFrame({"store": stores["id"], "region": stores["region"], "size": size.astype(str), "opened": opened})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()

    run = Run.get_context()
    described = profiles(run.input_datasets["stores"].to_pandas_dataframe())
    run.log("stores", len(described))
    described.sort_values("store").to_parquet(arguments.output, index=False)


if __name__ == "__main__":
    main()
