"""Joins weekly sales with the stores' profiles, one Parquet file for each region."""

import argparse
from pathlib import Path

import pandas as pd

from refrain import Run

LAGS = (1, 2, 4)  # weeks


def features(weekly: pd.DataFrame, profiles: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each store and week: its sales, those of earlier weeks, its profile and its age in weeks."""
    table = weekly.sort_values(["store", "week"]).merge(profiles, on="store", how="inner", validate="many_to_one")
    for lag in LAGS:
        table[f"units_{lag}w_ago"] = table.groupby("store")["units"].shift(lag)
    table["age_weeks"] = (table["week"] - table["opened"]).dt.days // 7
    return table.drop(columns="opened")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weekly", required=True)
    parser.add_argument("--profiles", required=True)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    weekly = pd.read_parquet(arguments.weekly)
    table = features(weekly, pd.read_parquet(arguments.profiles))
    run = Run.get_context()
    run.log("rows", len(table))
    run.log("stores_without_profile", weekly["store"].nunique() - table["store"].nunique())
    for region, rows in table.groupby("region"):
        rows.to_parquet(arguments.output / f"{region}.parquet", index=False)


if __name__ == "__main__":
    main()
