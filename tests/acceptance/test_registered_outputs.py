"""Outputs that are registered: asset events tell what is new, and DAGs scheduled by the asset start."""

from __future__ import annotations

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow

WRITE = """
    import os, sys
    open(os.path.join(sys.argv[1], "data.txt"), "w").write("registered")
"""
REGISTERING = """
registered = OutputFileDatasetConfig(name="table").register_on_complete(name="acceptance-table")
dag = pipeline_dag(Pipeline(Workspace(), [step("write", registered)], name="registering"))

with DAG("by_asset", schedule=[Asset(name="acceptance-table", uri="refrain://datasets/acceptance-table")]):
    @task
    def digests(triggering_asset_events=None):
        return [event.extra["digest"] for events in triggering_asset_events.values() for event in events]
    digests()
"""


@pytest.fixture(scope="module")
def registering(airflow: RunningAirflow) -> Example:
    example = Example.add(airflow, "registering", REGISTERING, {"write": WRITE})
    airflow.client.unpause("by_asset")
    return example


def test_a_dag_that_is_scheduled_by_the_asset_starts_and_is_told_the_digest(registering: Example) -> None:
    client = registering.airflow.client
    first, second = registering.run(), registering.run()
    assert registering.started(second) == set()
    digest = registering.records(first)["write"].outputs["table"]["digest"]

    def told() -> list[str]:
        found = []
        for run in client.dag_runs("by_asset"):
            if run["state"] == "success":
                found += client.xcom("by_asset", run["dag_run_id"], "digests")
        return found

    assert eventually(lambda: told() == [digest, digest]), told()
