"""Single steps forced by a run's param, which keeps its switch."""

from __future__ import annotations

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from refrain.errors import AirflowRequestError

WRITE = """
    import sys
    open(sys.argv[-1], "w").write("written")
"""
LINE = """
one, two, three = PipelineData("one"), PipelineData("two"), PipelineData("three")
steps = [
    step("first", one, outputs=[one]),
    step("second", one, two, inputs=[one], outputs=[two]),
    step("third", two, three, inputs=[two], outputs=[three]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="line"))
"""


@pytest.fixture(scope="module")
def line(airflow: RunningAirflow) -> Example:
    example = Example.add(airflow, "line", LINE, dict.fromkeys(("first", "second", "third"), WRITE))
    example.run()
    return example


def test_a_list_forces_the_steps_that_it_names_with_what_follows_where_it_says_so(line: Example) -> None:
    alone, followed = line.trigger(regenerate_outputs=["second"]), line.trigger(regenerate_outputs=["second+"])
    assert [line.wait(run) for run in (alone, followed)] == ["success", "success"]
    assert (line.started(alone), line.started(followed)) == ({"second"}, {"second", "third"})
    assert line.records(followed)["third"].decision["verdict"] == "forced"


def test_what_is_neither_a_switch_nor_a_list_is_refused_when_triggering(line: Example) -> None:
    with pytest.raises(AirflowRequestError, match=r"400.*regenerate_outputs"):
        line.trigger(regenerate_outputs="second")


def test_a_step_that_is_not_there_fails_the_run_with_its_name(line: Example) -> None:
    run_id = line.trigger(regenerate_outputs=["secnod"])
    assert line.wait(run_id) == "failed"
    assert "There is no step 'secnod'. Known: first, second, third. Did you mean 'second'?" in line.log(run_id, "first")
    assert line.started(run_id) == set()
