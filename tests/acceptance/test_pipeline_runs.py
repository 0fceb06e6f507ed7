"""A pipeline as a DAG: runs once, is reused as long as nothing has changed, and runs again from where something has."""

from __future__ import annotations

import json

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from refrain.errors import AirflowRequestError
from refrain.tracking.record import RunStatus

MAKE = """
    import sys
    open(sys.argv[1], "w").write("made\\n")
"""
SETTINGS = """
    import json, os, sys
    variable = os.environ["AML_PARAMETER_label"]
    json.dump([*sys.argv[3:], variable, open(sys.argv[1]).read()], open(sys.argv[2], "w"))
"""
REPORT = """
    import sys
    print("reporting")
    open(sys.argv[3], "w").write(open(sys.argv[1]).read() + open(sys.argv[2]).read())
"""
CHAIN = """
made, told, report = PipelineData("made"), PipelineData("told"), PipelineData("report")
label = PipelineParameter("label", "a b")
values = [PipelineParameter("count", 3), PipelineParameter("rate", 0.5), PipelineParameter("is_loud", False), label]
steps = [
    step("make", made, outputs=[made]),
    step("tell", made, told, *values, inputs=[made], outputs=[told], params={"label": label}),
    step("report", made, told, report, inputs=[made, told], outputs=[report]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="chain"))
"""
STEPS = {"make", "tell", "report"}
GIVEN = {"count": 12, "rate": 2, "is_loud": True, "label": "{{ ds }} $HOME 'x' \"y\" ; é"}


@pytest.fixture(scope="module")
def chain(airflow: RunningAirflow) -> Example:
    return Example.add(airflow, "chain", CHAIN, {"make": MAKE, "tell": SETTINGS, "report": REPORT})


@pytest.fixture(scope="module")
def first_runs(chain: Example) -> tuple[str, str]:
    """Two runs at once, the second one with values for its parameters."""
    plain, given = chain.trigger(), chain.trigger(**GIVEN)
    assert [chain.wait(plain), chain.wait(given)] == ["success", "success"]
    return plain, given


@pytest.fixture(scope="module")
def second_run(chain: Example, first_runs: tuple[str, str]) -> str:
    return chain.run()


@pytest.fixture(scope="module")
def forced_runs(chain: Example, second_run: str) -> tuple[str, str]:
    """Two runs at once that make the same things again."""
    runs = chain.trigger(regenerate_outputs=True), chain.trigger(regenerate_outputs=True)
    assert [chain.wait(run) for run in runs] == ["success", "success"]
    return runs


@pytest.fixture(scope="module")
def changed_run(chain: Example, forced_runs: tuple[str, str]) -> str:
    chain.script("tell", SETTINGS + "\n    print('changed')\n")
    return chain.run()


@pytest.fixture(scope="module")
def reverted_run(chain: Example, changed_run: str) -> str:
    chain.script("tell", SETTINGS)
    return chain.run()


def test_the_first_run_runs_every_step_once(chain: Example, first_runs: tuple[str, str]) -> None:
    records = chain.runs.steps(chain.root_id(first_runs[0]))
    assert sorted(record.key for record in records) == sorted(STEPS)
    assert {"tell", "report"} <= chain.started(first_runs[0])
    assert chain.started(first_runs[0]) | chain.started(first_runs[1]) == STEPS
    assert chain.text(first_runs[0], "make", "made") == "made\n"


def test_parameters_arrive_as_they_were_given_and_with_their_types(chain: Example, first_runs: tuple[str, str]) -> None:
    told = [json.loads(chain.text(run_id, "tell", "told")) for run_id in first_runs]
    assert told[0] == ["3", "0.5", "False", "a b", "a b", "made\n"]
    assert told[1] == ["12", "2.0", "True", GIVEN["label"], GIVEN["label"], "made\n"]
    assert chain.records(first_runs[1])["tell"].parameters == GIVEN


@pytest.mark.parametrize("wrong", [{"count": "12"}, {"is_loud": "yes"}, {"rate": "0.1"}, {"label": 1}])
def test_a_value_of_the_wrong_type_is_refused_when_triggering(chain: Example, wrong: dict[str, object]) -> None:
    with pytest.raises(AirflowRequestError, match=rf"400.*{next(iter(wrong))}"):
        chain.trigger(**wrong)


def test_a_second_run_starts_no_process(chain: Example, first_runs: tuple[str, str], second_run: str) -> None:
    assert chain.started(second_run) == set()
    assert {key: record.outputs for key, record in chain.records(second_run).items()} == {
        key: record.outputs for key, record in chain.records(first_runs[0]).items()
    }


def test_the_log_of_the_planning_task_names_the_run_that_made_the_result(chain: Example, second_run: str) -> None:
    record = chain.records(second_run)["report"]
    assert f"Step report reused from {record.reused_from} (took " in chain.log(second_run, "plan")
    assert chain.states(second_run) == {"plan": "success", "make": "skipped", "tell": "skipped", "report": "skipped"}


def test_two_runs_that_make_the_same_things_at_once_both_succeed(chain: Example, forced_runs: tuple[str, str]) -> None:
    assert [chain.started(run_id) for run_id in forced_runs] == [STEPS, STEPS]
    texts = [chain.text(run_id, "report", "report") for run_id in forced_runs]
    assert texts[0] == texts[1]
    assert {r.decision["verdict"] for run_id in forced_runs for r in chain.records(run_id).values()} == {"forced"}


def test_a_changed_script_runs_its_step_and_what_follows(chain: Example, changed_run: str) -> None:
    assert "make" not in chain.started(changed_run)
    assert "tell" in chain.started(changed_run)
    assert "Step tell runs: changed:" in chain.log(changed_run, "tell")
    assert "tell.py" in chain.log(changed_run, "tell")


def test_equal_bytes_from_a_changed_step_leave_its_consumer_as_it_was(chain: Example, changed_run: str) -> None:
    assert chain.started(changed_run) == {"tell"}


def test_undoing_a_change_finds_the_earlier_results(chain: Example, reverted_run: str) -> None:
    assert chain.started(reverted_run) == set()


def test_the_pipeline_runs_are_recorded(chain: Example, first_runs: tuple[str, str]) -> None:
    record = chain.runs.get(chain.root_id(first_runs[1]))
    assert (record.status, record.pipeline, record.experiment) == (RunStatus.COMPLETED, "chain", "chain")
    assert record.parameters["count"] == 12
    assert set(record.steps) == STEPS
    assert record.origin == {"kind": "airflow", "dag_id": "chain", "run_id": first_runs[1]}
