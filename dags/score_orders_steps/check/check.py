"""Compare each order with the others of its region and month; the limit of what is usual is found by resampling."""

import argparse

import numpy as np
import pandas as pd
from azureml_user.parallel_run import EntryScript


def init() -> None:
    """Read the arguments, once in each process."""
    global resamples  # noqa: PLW0603  # how entry scripts keep what they load
    parser = argparse.ArgumentParser()
    parser.add_argument("--resamples", type=int, required=True)
    args, _ = parser.parse_known_args()
    resamples = args.resamples


def run(mini_batch: pd.DataFrame, mini_batch_context: object) -> pd.DataFrame:
    """Check the orders of one region and month."""
    keys = mini_batch_context.partition_key_value
    values = mini_batch["value"].to_numpy()
    chance = np.random.default_rng(sum(map(ord, "".join(keys.values()))))
    limits = [np.quantile(chance.choice(values, len(values)), 0.99) for _ in range(resamples)]
    limit = float(np.mean(limits))
    EntryScript().logger.info("%s: up to %.2f is usual", keys, limit)
    checked = mini_batch[["id", "region", "month", "value"]].copy()
    checked["usual"] = round(float(np.median(values)), 2)
    checked["is_unusual"] = (values > limit).astype(int)
    return checked
