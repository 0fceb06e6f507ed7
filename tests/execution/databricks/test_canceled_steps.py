"""A step that is canceled while its job runs on Databricks: the job ends with it, unless another step run needs it."""

from __future__ import annotations

import threading
from dataclasses import replace

from fakes.waiting import eventually
from refrain.execution.submissions import Submissions
from refrain.tracking.record import RunStatus, RunStore

SLEEPS = """
    import time
    print("asleep", flush=True)
    time.sleep(600)
"""


def test_a_canceled_step_ends_its_run_on_databricks(databricks, monkeypatch):
    monkeypatch.setattr("refrain.execution.databricks.job._CANCELED_WITHIN_SECONDS", 60)
    runner, _run_id = databricks.runner(databricks.script(SLEEPS))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
    runner._engine.cancel()
    thread.join(60)
    (run,) = databricks.server.runs.all()
    assert run.end is not None
    assert run.end.result == "CANCELED"
    assert databricks.jobs() == []


def test_a_canceled_step_leaves_the_run_that_another_step_run_waits_for(databricks):
    runner, root_id = databricks.runner(databricks.script(SLEEPS))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
    jobs, runs = Submissions(databricks.state.objects), RunStore(databricks.state)
    (own,) = runs.steps(root_id)
    assert eventually(lambda: jobs.find(own.fingerprint).job_id is not None)
    other = f"{'b' * 32}.work.1"
    runs.put(replace(own, run_id=other))
    jobs.follow(own.fingerprint, jobs.find(own.fingerprint), other)

    runner._engine.cancel()
    thread.join(60)

    (run,) = databricks.server.runs.all()
    assert run.end is None
    assert len(databricks.jobs()) == 1
    (own,) = runs.steps(root_id)
    assert own.status is RunStatus.CANCELED
    assert "goes on, because another step run waits for it, too: http" in own.error
    databricks.server.runs.cancel({"run_id": run.run_id})
