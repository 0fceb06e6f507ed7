"""Find unusual orders, among those of the same region and month: a table that is cut by two partition keys.

    orders ─► check ─► one row for each order: its id, what was to be expected, and whether it is unusual

`check` is a parallel run with `partition_keys`: each mini-batch is the data frame of one region and one month. What it
has done is noted as it goes, so that a try that was killed, on Airflow or by hand, is gone on with by the next.
"""

from pathlib import Path

from refrain import (
    Environment,
    OutputFileDatasetConfig,
    ParallelRunConfig,
    ParallelRunStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    Workspace,
)
from refrain_operators import pipeline_dag

STEPS = Path(__file__).resolve().parent / "score_orders_steps"

ws = Workspace.from_config()
table = OutputFileDatasetConfig("orders").read_parquet_files(partition_format="/{region}/{month}/*.parquet")

orders = PythonScriptStep(
    "orders.py",
    name="orders",
    source_directory=str(STEPS / "orders"),
    arguments=["--output", table],
    outputs=[table],
)
check = ParallelRunStep(
    "check",
    ParallelRunConfig(
        environment=Environment("user-managed"),
        entry_script="check.py",
        source_directory=str(STEPS / "check"),
        partition_keys=["region", "month"],
        error_threshold=0,
        output_action="append_row",
        append_row_file_name="checked.txt",
        compute_target="local",
        node_count=1,
        process_count_per_node=2,
    ),
    inputs=[table.as_input("orders")],
    arguments=["--resamples", PipelineParameter("resamples", 500)],
    output=PipelineData("checked", is_directory=True),
)

pipeline = Pipeline(ws, steps=[check], name="score_orders", description="Unusual orders of each region and month")
dag = pipeline_dag(pipeline, schedule=None)  # an Airflow DAG
