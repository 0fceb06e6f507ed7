"""Make the features of a demand forecast every night, of data in three stores.

    sales/*.csv on S3 ────► weekly_sales ──┐
                                           ├─► features ─► Parquet on Azure Blob, a version of dataset "store_demand"
    stores in PostgreSQL ─► store_profiles ┘

Credentials are in three Airflow connections, `lake`, `shop` and `features`; the scripts never see them. Whether the
files are what they were is decided by the bucket's listing, and whether the table is, by its rows. A night in which
nothing has changed runs nothing. A file that was added or changed runs `weekly_sales` and `features`.
"""

import os
from pathlib import Path

from refrain import Dataset, Datastore, OutputFileDatasetConfig, Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag

STEPS = Path(__file__).resolve().parent / "store_demand_steps"
BUCKET = os.environ.get("STORE_DEMAND_BUCKET", "store-demand")
DATABASE = os.environ.get("STORE_DEMAND_DATABASE", "postgresql://localhost/shop")
ACCOUNT = os.environ.get("STORE_DEMAND_ACCOUNT", "storedemand")

ws = Workspace.from_config()
lake = Datastore.register_s3_bucket(ws, "lake", BUCKET, conn_id="lake", overwrite=True)
shop = Datastore.register_sql(ws, "shop", DATABASE, conn_id="shop")
container = Datastore.register_azure_blob_container(
    ws, "features", "features", ACCOUNT, conn_id="features", overwrite=True
)

sales = Dataset.Tabular.from_delimited_files((lake, "sales/*.csv"), validate=False)
stores = Dataset.Tabular.from_sql_query((shop, "SELECT id, region, floor_space, opened FROM stores"), validate=False)
weekly = PipelineData("weekly")
profiles = PipelineData("profiles")
features = OutputFileDatasetConfig("features", (container, "store_demand/{run-id}"))

weekly_sales = PythonScriptStep(
    "weekly_sales.py",
    name="weekly_sales",
    source_directory=str(STEPS / "weekly_sales"),
    inputs=[sales.as_named_input("sales")],
    arguments=["--output", weekly],
    outputs=[weekly],
)
store_profiles = PythonScriptStep(
    "store_profiles.py",
    name="store_profiles",
    source_directory=str(STEPS / "store_profiles"),
    inputs=[stores.as_named_input("stores")],
    arguments=["--output", profiles],
    outputs=[profiles],
)
join = PythonScriptStep(
    "features.py",
    name="features",
    source_directory=str(STEPS / "features"),
    arguments=["--weekly", weekly, "--profiles", profiles, "--output", features],
    inputs=[weekly, profiles],
    outputs=[features.register_on_complete("store_demand", description="Weekly sales and what is known of each store")],
)

pipeline = Pipeline(ws, steps=[join], name="store_demand", description="Features of a demand forecast")
dag = pipeline_dag(pipeline, schedule="@daily")  # an Airflow DAG
