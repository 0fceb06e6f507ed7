"""Airflow with its metadata in PostgreSQL: a pipeline runs, and is reused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow, running
from fakes.postgres import PostgresServer

WRITE = """
    import sys
    open(sys.argv[1], "w").write(" ".join(sys.argv[2:]))
"""
READ = """
    import sys
    open(sys.argv[-1], "w").write(" and ".join(open(path).read() for path in sys.argv[1:-1]))
"""
FAN = """
raw, end = PipelineData("raw"), PipelineData("end")
models = [PipelineData(f"model_{number}") for number in range(3)]
steps = [
    step("write", raw, PipelineParameter("seed", 7), outputs=[raw]),
    *(
        step(f"train_{number}", raw, model, script="read", inputs=[raw], outputs=[model])
        for number, model in enumerate(models)
    ),
    step("compare", *models, end, script="read", inputs=models, outputs=[end]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="fan"))
"""


@pytest.fixture(scope="module")  # as one that has nothing to do costs the other tests a sixth of a core
def airflow_on_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    yield from running(tmp_path_factory.mktemp("airflow-on-postgres"), sql_alchemy_conn=postgres.create("airflow"))


@pytest.mark.postgres
def test_a_pipeline_runs_and_is_reused_with_the_metadata_in_postgresql(airflow_on_postgres: RunningAirflow) -> None:
    fan = Example.add(airflow_on_postgres, "fan", FAN, {"write": WRITE, "read": READ})
    first, second = fan.run(), fan.run()
    assert fan.started(first) == {"write", "train_0", "train_1", "train_2", "compare"}
    assert fan.text(first, "compare", "end") == "7 and 7 and 7"
    assert fan.started(second) == set()
