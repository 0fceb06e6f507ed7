"""Sums the sales of each store and week."""

import argparse

import pandas as pd

from refrain import Run


def weekly(sales: pd.DataFrame) -> pd.DataFrame:
    """Return the units and the revenue of each store and week; a week is named by its Monday."""
    week = pd.to_datetime(sales["day"]).dt.to_period("W").dt.start_time.rename("week")
    totals = sales.groupby(["store", week])[["units", "revenue"]].sum()
    return totals.reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()

    run = Run.get_context()
    totals = weekly(run.input_datasets["sales"].to_pandas_dataframe())
    run.log("weeks", totals["week"].nunique())
    totals.to_parquet(arguments.output, index=False)


if __name__ == "__main__":
    main()
