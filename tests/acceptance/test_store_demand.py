"""The example of three stores on a real Airflow: S3 and PostgreSQL in, Parquet on Azure Blob and a version out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow, running
from fakes.postgres import PostgresServer
from fakes.remote_stores import S3Server, azurite, s3_server
from refrain import Dataset, Workspace
from refrain.storage.connections import connection, from_environment, set_resolver

pytestmark = pytest.mark.timeout(400)  # the first test waits for the servers

DAGS = Path(__file__).parents[2] / "dags"
SECRETS = ("top-secret-word", "AccountKey")
STORES = [(1, "north", 300, "2019-03-01"), (2, "south", 900, "2020-07-15"), (3, "north", 2500, "2021-01-04")]


def sales(month: int, units: int) -> str:
    """The sales of three stores in the days of a month."""
    days = pd.date_range(f"2024-{month:02}-01", periods=28)
    rows = [f"{day:%Y-%m-%d},{store},{units + store},{(units + store) * 2.5}" for day in days for store in (1, 2, 3)]
    return "\n".join(["day,store,units,revenue", *rows, ""])


class Lake:
    """The bucket that the example reads."""

    def __init__(self, server: S3Server, environment: dict[str, str]) -> None:
        import s3fs

        self.bucket = server.make_bucket()
        options = connection("lake").options("s3")
        self._fs = s3fs.S3FileSystem(**options, skip_instance_cache=True)
        environment["STORE_DEMAND_BUCKET"] = self.bucket

    def put(self, month: int, units: int) -> None:
        """Write the file of a month, with *units* sold a day."""
        self._fs.pipe_file(f"{self.bucket}/sales/2024-{month:02}.csv", sales(month, units).encode())


@pytest.fixture(scope="module")
def environment(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What Airflow's processes are told of the three stores, whose servers run meanwhile."""
    url = postgres.create("shop")
    with psycopg2.connect(url.replace("+psycopg2", "")) as shop, shop.cursor() as cursor:
        cursor.execute("CREATE TABLE stores (id int, region text, floor_space int, opened date)")
        cursor.executemany("INSERT INTO stores VALUES (%s, %s, %s, %s)", STORES)
    shop.close()
    with s3_server() as s3, azurite(tmp_path_factory.mktemp("azurite")) as account:
        values = {
            "AIRFLOW_CONN_LAKE": s3.connection(),
            "AIRFLOW_CONN_SHOP": url.replace("+psycopg2", ""),
            "AIRFLOW_CONN_FEATURES": json.dumps({"conn_type": "wasb", "extra": {"connection_string": account}}),
            "STORE_DEMAND_DATABASE": f"postgresql://127.0.0.1:{postgres.port}/shop",
            "STORE_DEMAND_ACCOUNT": "devstoreaccount1",
            "REFRAIN_TEST_S3": s3.url,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in values.items():
                patch.setenv(name, value)
            set_resolver(from_environment)
            _make_container(account)
            yield values


@pytest.fixture(scope="module")
def lake(environment: dict[str, str]) -> Lake:
    found = Lake(S3Server(environment["REFRAIN_TEST_S3"]), environment)
    for month in (1, 2, 3):
        found.put(month, units=10 * month)
    return found


@pytest.fixture(scope="module")
def demand(lake: Lake, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    for airflow in running(tmp_path_factory.mktemp("three-stores"), environment=environment):
        shutil.copy(DAGS / "store_demand.py", airflow.dags_folder)
        shutil.copytree(DAGS / "store_demand_steps", airflow.dags_folder / "store_demand_steps")
        example = Example(airflow, "store_demand")
        example.ready()
        yield example


@pytest.fixture(scope="module")
def first_run(demand: Example) -> str:
    return demand.run()


def test_three_stores_become_the_features_of_each_region(demand: Example, first_run: str) -> None:
    assert demand.started(first_run) == {"weekly_sales", "store_profiles", "features"}
    table = _registered(demand.airflow, 1)
    assert sorted(table["region"].unique()) == ["north", "south"]
    assert set(table["size"]) == {"small", "medium", "large"}
    assert _units(demand.airflow, 1) == 7 * 21


def test_a_night_without_news_runs_nothing_and_registers_nothing(demand: Example, first_run: str) -> None:
    second = demand.run()
    assert demand.started(second) == set()
    assert Dataset.get_by_name(Workspace(demand.airflow.workspace), "store_demand").version == 1
    assert demand.records(second)["features"].reused_from == demand.records(first_run)["features"].run_id


def test_a_changed_object_runs_what_depends_on_it_and_nothing_else(demand: Example, lake: Lake, first_run: str) -> None:
    lake.put(2, units=50)
    third = demand.run()
    assert demand.started(third) == {"weekly_sales", "features"}
    assert _units(demand.airflow, 2) == 7 * 51
    assert _units(demand.airflow, 1) == 7 * 21, "the earlier version stays as it was"


def test_no_log_record_or_reference_holds_a_secret(demand: Example, first_run: str) -> None:
    kept = [path for folder in (demand.airflow.workspace, demand.airflow.home / "logs") for path in folder.rglob("*")]
    texts = [path.read_bytes() for path in kept if path.is_file()]
    assert texts
    assert not [secret for secret in SECRETS for text in texts if secret.encode() in text]


def _registered(airflow: RunningAirflow, version: int) -> Any:
    """The rows of a version of the example's dataset, read from Azure Blob."""
    files = Dataset.get_by_name(Workspace(airflow.workspace), "store_demand", version=version)
    return pd.concat(pd.read_parquet(path) for path in files.download())


def _units(airflow: RunningAirflow, version: int) -> int:
    """What store 1 sold in a week of February."""
    table = _registered(airflow, version)
    (units,) = table.loc[(table["store"] == 1) & (table["week"] == pd.Timestamp("2024-02-05")), "units"]
    return int(units)


def _make_container(account: str) -> None:
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(account) as service:
        service.create_container("features")
