"""A planning task in front: reused steps are skipped in bulk, and everything else goes on as if they had run."""

from __future__ import annotations

import pytest

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow
from refrain.tracking.record import RunStatus

WRITE = """
    import sys
    open(sys.argv[1], "w").write("\\n".join(["written", *(open(path).read() for path in sys.argv[2:])]))
"""
DIAMOND = """
raw, left, right, joined = (PipelineData(name) for name in ("raw", "left", "right", "joined"))
steps = [
    step("fetch", raw, outputs=[raw]),
    step("left", left, raw, inputs=[raw], outputs=[left]),
    step("right", right, raw, inputs=[raw], outputs=[right]),
    step("join", joined, left, right, inputs=[left, right], outputs=[joined]),
]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="diamond"))
with dag:
    dag.get_task("right") >> BashOperator(task_id="look", bash_command="echo looked", trigger_rule="none_failed")
    tell = BashOperator(
        task_id="tell",
        bash_command="cat ${URI#file://}",
        env={"URI": "{{ ti.xcom_pull(task_ids='join')['outputs']['joined']['uri'] }}"},
        append_env=True,
    )
    read = BashOperator(
        task_id="read",
        bash_command="cat ${URI#file://}",
        env={"URI": "{{ ti.xcom_pull(task_ids='fetch')['outputs']['raw']['uri'] }}"},
        append_env=True,
    )
    dag.get_task("join") >> tell >> read
"""
STEPS = {"fetch", "left", "right", "join"}
SKIPPED = {"fetch", "left", "right"}  # an ordinary task asks for the success of `join`


@pytest.fixture(scope="module")
def diamond(airflow: RunningAirflow) -> Example:
    return Example.add(airflow, "diamond", DIAMOND, dict.fromkeys(STEPS, WRITE))


@pytest.fixture(scope="module")
def first_run(diamond: Example) -> str:
    return diamond.run()


@pytest.fixture(scope="module")
def second_run(diamond: Example, first_run: str) -> str:
    return diamond.run()


@pytest.fixture(scope="module")
def changed_run(diamond: Example, second_run: str) -> str:
    diamond.script("left", WRITE.replace("written", "left out"))
    return diamond.run()


def _in(example: Example, run_id: str, state: str) -> set[str]:
    return {name for name, found in example.states(run_id).items() if found == state}


def test_the_first_run_runs_everything(diamond: Example, first_run: str) -> None:
    assert _in(diamond, first_run, "success") == {"plan", "look", "tell", "read", *STEPS}
    assert diamond.started(first_run) == STEPS
    assert "Step fetch runs: first run" in diamond.log(first_run, "plan")
    assert "Step join waits for its inputs" not in diamond.log(first_run, "plan")  # it is not covered


def test_reused_steps_are_skipped_and_recorded_as_if_their_tasks_had_run(
    diamond: Example, first_run: str, second_run: str
) -> None:
    assert _in(diamond, second_run, "skipped") == SKIPPED
    assert diamond.started(second_run) == set()
    before, after = diamond.records(first_run), diamond.records(second_run)
    for key in STEPS:
        assert (after[key].status, after[key].reused_from) == (RunStatus.COMPLETED, before[key].run_id)
        assert after[key].outputs == before[key].outputs
        assert after[key].fingerprint == before[key].fingerprint
        assert after[key].seconds_saved > 0
    assert diamond.runs.get(diamond.root_id(second_run)).status is RunStatus.COMPLETED


def test_the_log_of_the_planning_task_has_a_line_for_each_step(
    diamond: Example, first_run: str, second_run: str
) -> None:
    log = diamond.log(second_run, "plan")
    for key in SKIPPED:
        assert f"Step {key} reused from {diamond.records(first_run)[key].run_id} (took " in log
    assert "Of 3 steps, 3 are reused." in log


def test_a_skipped_task_links_to_the_task_that_made_its_result(
    diamond: Example, first_run: str, second_run: str
) -> None:
    links = diamond.airflow.client._json("GET", f"/dags/diamond/dagRuns/{second_run}/taskInstances/left/links")
    address = links["extra_links"]["Reused from"]
    assert address == f"/dags/diamond/runs/{first_run.replace(':', '%3A').replace('+', '%2B')}/tasks/left"


def test_ordinary_tasks_behind_reused_steps_run_and_can_pull_their_references(
    diamond: Example, second_run: str
) -> None:
    assert {"look", "tell", "read"} <= _in(diamond, second_run, "success")
    assert "written" in diamond.log(second_run, "tell")
    assert "written" in diamond.log(second_run, "read")


def test_a_step_behind_a_changed_one_reads_what_the_skipped_ones_made(
    diamond: Example, second_run: str, changed_run: str
) -> None:
    assert _in(diamond, changed_run, "skipped") == {"fetch", "right"}
    assert diamond.started(changed_run) == {"left", "join"}
    assert diamond.text(changed_run, "join", "joined") == "written\nleft out\nwritten\nwritten\nwritten"
    log = diamond.log(changed_run, "plan")
    assert "Step left runs: changed:" in log
    assert "left.py" in log


def test_a_run_that_regenerates_outputs_skips_nothing(diamond: Example, changed_run: str) -> None:
    run_id = diamond.run(regenerate_outputs=True)
    assert _in(diamond, run_id, "skipped") == set()
    assert diamond.started(run_id) == STEPS
    assert "Step fetch runs: forced" in diamond.log(run_id, "plan")


def test_a_cleared_step_that_was_skipped_decides_for_itself(diamond: Example, changed_run: str) -> None:
    client = diamond.airflow.client
    run_id = diamond.run()
    assert _in(diamond, run_id, "skipped") == SKIPPED
    client.clear_task_instances("diamond", run_id, ["right"])
    assert diamond.wait(run_id) == "success"
    assert diamond.states(run_id)["right"] == "success"
    assert [record.reused_from for record in diamond.attempts(run_id, "right")] == [
        diamond.records(run_id)["right"].reused_from
    ] * 2
    assert "Step right reused from" in diamond.log(run_id, "right")


def test_a_cleared_plan_plans_again_for_the_tasks_that_are_cleared_with_it(diamond: Example, changed_run: str) -> None:
    client = diamond.airflow.client
    run_id = diamond.run()
    diamond.path(run_id, "left", "left").write_text("spoiled")
    client.clear_task_instances("diamond", run_id, ["plan"], is_downstream_included=True)
    assert diamond.wait(run_id) == "success"
    assert _in(diamond, run_id, "skipped") == {"fetch", "right"}
    assert diamond.records(run_id)["left"].decision["verdict"] == "output changed"
    client.clear_task_instances("diamond", run_id, ["plan"])
    assert diamond.wait(run_id) == "success"
    assert "Step fetch is left alone: its task is skipped" in diamond.log(run_id, "plan")
    client.clear_task_instances("diamond", run_id, ["join"])
    assert diamond.wait(run_id) == "success"
    assert diamond.states(run_id)["join"] == "success"


def test_outputs_that_vanish_behind_the_plan_are_missed_by_their_reader(diamond: Example, changed_run: str) -> None:
    client = diamond.airflow.client
    run_id = diamond.run()
    diamond.path(run_id, "left", "left").unlink()
    diamond.path(run_id, "join", "joined").unlink()
    client.clear_task_instances("diamond", run_id, ["join"], is_downstream_included=True)
    assert diamond.wait(run_id) == "failed"
    assert "its input 'left' at" in diamond.log(run_id, "join")
    assert "clear that step" in diamond.log(run_id, "join")
    client.clear_task_instances("diamond", run_id, ["left"], is_downstream_included=True)
    assert diamond.wait(run_id) == "success"
    assert diamond.states(run_id)["left"] == "success"
    assert diamond.records(run_id)["left"].decision["verdict"] == "output missing"


GROUPS = """
with DAG("planned", default_args={"retry_delay": timedelta(seconds=1)}, params={"way": "steps"}) as dag:
    check = BashOperator(task_id="check", bash_command="echo checked")
    plan = ReuseSensor(task_id="plan_steps")
    with TaskGroup("making"):
        raw = PipelineData("raw")
        make = operator("make", raw, outputs=[raw])
    model = PipelineData("model")
    train = PythonScriptOperator.partial(
        task_id="train", script_name="write.py", source_directory=str(STEPS / "write"), inputs=[raw], outputs=[model]
    ).expand(arguments=[[model, raw, "/dev/null"], [model, raw]])
    models, best = Gathered(train, "model"), PipelineData("best")
    gather = operator("gather", models, best, inputs=[models], outputs=[best])

    @task.branch
    def choose(params=None):
        return "follow" if params["way"] == "steps" else "elsewhere"

    follow = BashOperator(task_id="follow", bash_command="echo followed")
    mixed_out, behind_out = PipelineData("mixed_out"), PipelineData("behind_out")
    mixed = operator("mixed", mixed_out, raw, script="write", inputs=[raw], outputs=[mixed_out])
    behind = operator("behind", behind_out, mixed_out, script="write", inputs=[mixed_out], outputs=[behind_out])

    check >> plan >> make
    choose() >> [follow, BashOperator(task_id="elsewhere", bash_command="echo elsewhere")]
    follow >> mixed
"""
GATHER = """
    import os, sys
    open(sys.argv[2], "w").write("\\n".join(sorted(os.listdir(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def planned(airflow: RunningAirflow) -> Example:
    scripts = {"make": WRITE, "write": WRITE, "gather": GATHER}
    return Example.add(airflow, "planned", GROUPS, scripts)


def test_a_plan_in_front_of_operators_covers_those_behind_it(planned: Example) -> None:
    first, second = planned.run(), planned.run()
    assert _in(planned, first, "skipped") == {"elsewhere"}
    assert _in(planned, second, "skipped") == {"elsewhere", "making.make"}
    assert planned.started(second) == set()
    assert planned.states(second)["train[1]"] == "success"
    assert planned.states(second)["behind"] == "success"


def test_a_task_that_a_branch_skipped_skips_the_steps_behind_it_as_ever(planned: Example) -> None:
    run_id = planned.run(way="elsewhere")
    assert _in(planned, run_id, "skipped") >= {"follow", "mixed", "behind"}
    assert "elsewhere" in _in(planned, run_id, "success")
    assert "Skipped, because follow before it was, and not for reuse." in planned.log(run_id, "mixed")


def test_a_changed_step_runs_behind_a_plan_and_its_mapped_readers_too(planned: Example) -> None:
    planned.script("make", WRITE.replace("written", "made"))
    run_id = planned.run()
    assert planned.started(run_id) >= {"making.make", "train-0", "train-1", "mixed"}
    assert planned.text(run_id, "gather", "best") == "0\n1"


KILLED = """
import os, signal
from airflow.sdk.exceptions import DownstreamTasksSkipped
from airflow.sdk.execution_time.comms import SkipDownstreamTasks
from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS


class Dying(ReuseSensor):
    \"""Kills itself in its first try: when it has decided, recorded or skipped.\"""

    def poke(self, context):
        return super().poke(context) and self.reach("decided", context)

    def execute(self, context):
        try:
            super().execute(context)
        except DownstreamTasksSkipped as skip:
            self.reach("recorded", context)
            SUPERVISOR_COMMS.send(SkipDownstreamTasks(tasks=skip.tasks))
            self.reach("skipped", context)
            raise

    def reach(self, moment, context):
        if context["ti"].try_number == 1 and context["params"]["moment"] == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return True


with DAG("dying", default_args={"retry_delay": timedelta(seconds=1)}, params={"moment": ""}) as dag:
    raw, copied = PipelineData("raw"), PipelineData("copied")
    make = operator("make", raw, script="write", outputs=[raw])
    copy = operator("copy", copied, raw, script="write", inputs=[raw], outputs=[copied])
    told = BashOperator(task_id="told", bash_command="echo told", trigger_rule="none_failed")
    Dying(task_id="plan") >> make
    copy >> told
"""


@pytest.fixture(scope="module")
def dying(airflow: RunningAirflow) -> Example:
    example = Example.add(airflow, "dying", KILLED, {"write": WRITE})
    example.run()
    return example


@pytest.mark.parametrize("moment", ["decided", "recorded", "skipped"])
def test_a_plan_that_is_killed_is_made_again(dying: Example, moment: str) -> None:
    run_id = dying.run(moment=moment)
    assert dying.states(run_id) == {"plan": "success", "make": "skipped", "copy": "skipped", "told": "success"}
    assert dying.airflow.client.task_instance("dying", run_id, "plan")["try_number"] == 2
    assert dying.started(run_id) == set()
    assert {record.status for record in dying.runs.steps(dying.root_id(run_id))} == {RunStatus.COMPLETED}


HELD = """
import time


class HeldSensor(ReuseSensor):
    def poke(self, context):
        while (STEPS / "hold").exists():
            time.sleep(0.05)
        return super().poke(context)


raw, between, end = PipelineData("raw"), PipelineData("between"), PipelineData("end")
with DAG("held") as dag:
    first = operator("first", raw, script="write", outputs=[raw])
    second = operator("second", between, raw, script="write", inputs=[raw], outputs=[between])
    third = operator("third", end, between, script="write", inputs=[between], outputs=[end])
    HeldSensor(task_id="plan") >> first
"""


def test_a_step_that_is_cleared_with_the_plan_waits_until_that_tells_why_those_between_are_skipped(
    airflow: RunningAirflow,
) -> None:
    held = Example.add(airflow, "held", HELD, {"write": WRITE})
    held.run()
    run_id = held.run()
    assert _in(held, run_id, "skipped") == {"first", "second", "third"}
    (held.steps / "hold").touch()
    airflow.client.clear_task_instances("held", run_id, ["plan", "third"])
    try:
        assert eventually(lambda: held.states(run_id)["third"] == "deferred"), held.states(run_id)
    finally:
        (held.steps / "hold").unlink()
    assert held.wait(run_id) == "success"
    assert _in(held, run_id, "skipped") == {"first", "second"}
    assert "Whether second is reused, plan will tell" in held.log(run_id, "third", 1)
