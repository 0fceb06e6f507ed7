"""Two runs at once that would make the same: one works, the other waits without a slot and reuses the result."""

from __future__ import annotations

from acceptance.example import Example, eventually
from acceptance.running_airflow import RunningAirflow

SLOW = """
    import os, sys, time
    with open(sys.argv[2], "a") as count:
        count.write("x")
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.05)
    open(sys.argv[1], "w").write("data")
"""
TWICE = """
slow = PipelineData("slow")
steps = [step("slow", slow, str(STEPS / "count"), str(STEPS / "gate"), outputs=[slow])]
dag = pipeline_dag(Pipeline(Workspace(), steps, name="twice"))
"""


def test_the_second_of_two_identical_runs_waits_in_the_triggerer_and_reuses_the_result(
    airflow: RunningAirflow,
) -> None:
    twice = Example.add(airflow, "twice", TWICE, {"slow": SLOW})
    first = twice.trigger()
    assert eventually((twice.steps / "count").exists)
    second = twice.trigger()
    assert eventually(lambda: twice.states(second).get("slow") == "deferred"), twice.states(second)
    (twice.steps / "gate").touch()
    assert (twice.wait(first), twice.wait(second)) == ("success", "success")
    assert (twice.steps / "count").read_text() == "x"
    made = twice.records(first)["slow"]
    assert twice.records(second)["slow"].reused_from == made.run_id
    assert [record.run_id for record in twice.attempts(second, "slow")] == [f"{twice.root_id(second)}.slow.1"]
