"""Spark trial: a small application that shows whether a cluster works, and sees the folders that it should.

``spark_trial.py FOLDER…``: of each the files 0 to 7 are read by the executors, and a folder ``written`` is made.
"""

from __future__ import annotations

import os
import sys

FILES = 8


def main() -> None:
    """Say a line for each thing that works."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    if os.environ.get("SPARK_REMOTE"):
        total = spark.range(FILES).selectExpr("sum(id * id)").first()[0]
    else:
        # Python's own work too: the executors must find an interpreter like the driver's.
        total = spark.sparkContext.parallelize(range(FILES), FILES).map(lambda n: n * n).sum()
    print("trial: sum %d" % total)  # noqa: T201  # who started it reads it
    spark.conf.set("spark.sql.files.openCostInBytes", str(1 << 30))  # a task for each file, so that many look
    for folder in sys.argv[1:]:
        paths = ["file://%s/%d" % (folder, number) for number in range(FILES)]
        rows = spark.read.text(paths)
        print("trial: read %d" % rows.count())  # noqa: T201
        rows.write.text("file://%s/written" % folder)
    spark.stop()


if __name__ == "__main__":
    main()
