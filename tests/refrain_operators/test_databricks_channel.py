"""The hook of the official provider as the way to Databricks, against a server of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.databricks import DatabricksProject, databricks, server
from refrain.compute.databricks import channel
from refrain.compute.databricks.channel import open_channel
from refrain.compute.databricks.service import Databricks
from refrain.errors import DatabricksError, DatabricksRefusedError
from refrain.storage.connections import from_environment, set_resolver
from refrain.testing.databricks import DatabricksServer
from refrain_operators.connections import use_airflow
from refrain_operators.databricks_channel import HookChannel

__all__ = ["databricks", "server"]

# The provider still asks Airflow by the old way. To be removed when it moves.
pytestmark = pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")


@pytest.fixture(autouse=True)
def _by_hook() -> Iterator[None]:
    before = channel._where[0]
    use_airflow()
    yield
    channel._where[0] = before
    set_resolver(from_environment)


def test_within_airflow_the_channel_is_the_provider_s_hook(server: DatabricksServer) -> None:
    found = open_channel("databricks_default")
    assert isinstance(found, HookChannel)
    assert Databricks(found).spark_versions()


def test_a_whole_step_runs_by_the_hook(databricks: DatabricksProject) -> None:
    databricks.server.faults.limit_rate("runs/submit")
    databricks.server.faults.lose_answer("runs/submit")
    ran = databricks.run(databricks.script())
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("work", "out") == "data"
    assert databricks.submissions() == 1


def test_a_refusal_keeps_its_code_and_says_what_to_do(server: DatabricksServer) -> None:
    service = Databricks(open_channel("databricks_default"))
    assert not service.exists("dbfs:/nothing")
    assert service.find_run(1) is None
    server.token = "another"
    with pytest.raises(DatabricksRefusedError, match="does not accept the credentials of the connection") as caught:
        service.spark_versions()
    assert caught.value.status == 403


def test_a_server_that_is_away_is_a_passing_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", '{"conn_type":"databricks","host":"127.0.0.1","port":9,"schema":"http"}')
    monkeypatch.setattr("refrain_operators.databricks_channel._TRIES", 1)
    with pytest.raises(DatabricksError, match="cannot be reached") as caught:
        Databricks(open_channel("gone")).spark_versions()
    assert not isinstance(caught.value, DatabricksRefusedError)
