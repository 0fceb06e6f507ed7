"""Airflow with its metadata in PostgreSQL: a pipeline runs, and is reused."""

from __future__ import annotations

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow

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


@pytest.mark.postgres
def test_a_pipeline_runs_and_is_reused_with_the_metadata_in_postgresql(airflow_on_postgres: RunningAirflow) -> None:
    fan = Example.add(airflow_on_postgres, "fan", FAN, {"write": WRITE, "read": READ})
    first, second = fan.run(), fan.run()
    assert fan.started(first) == {"write", "train_0", "train_1", "train_2", "compare"}
    assert fan.text(first, "compare", "end") == "7 and 7 and 7"
    assert fan.started(second) == set()
