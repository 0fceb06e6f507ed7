"""Identical steps at once: one works, the others wait and reuse its result."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from fakes.project import Heard, Project
from fakes.remote_stores import ForgetfulFileSystem
from refrain import PipelineData
from refrain.errors import BeingMadeError
from refrain.execution.asked import new_record
from refrain.execution.engine import Engine
from refrain.execution.lease import Lease, Leases
from refrain.execution.listener import Phase
from refrain.execution.request import RunContext, StepRequest
from refrain.tracking.record import RunStatus

COUNTED = """
    import os, sys, time
    with open(sys.argv[2], "a") as count:
        count.write("x")
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.01)
    open(sys.argv[1], "w").write("data")
"""


class Waiting(Heard):
    """Also remembers for whom was waited, and opens the gate then."""

    def __init__(self, gate: Path | None = None) -> None:
        super().__init__()
        self.waited: list[tuple[str, str]] = []
        self.gate = gate

    def waits(self, key: str, run_id: str) -> None:
        self.waited.append((key, run_id))
        if self.gate is not None:
            self.gate.touch()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refrain.execution.turn.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("refrain.execution.turn.REMOTE_LOOK_SECONDS", 0.02)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The scripts wait until this file is there."""
    return tmp_path / "gate"


def _step(project: Project, name: str = "counted", code: str = COUNTED, **options):
    folder = project.folder
    arguments = [PipelineData(f"out_{name}"), str(folder / "count"), str(folder / "gate")]
    step = project.step("counted", code, arguments, **options)
    step.name = name
    return step


def _executions(project: Project) -> int:
    path = project.folder / "count"
    return len(path.read_text()) if path.exists() else 0


def test_of_many_runs_at_once_one_makes_the_result_and_the_others_reuse_it(project: Project, gate: Path) -> None:
    listeners = [Waiting(gate) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda listener: project.run(_step(project), listener=listener), listeners))
    assert [ran.status for ran in runs] == ["Completed"] * 8
    assert _executions(project) == 1
    (maker,) = (ran for ran in runs if not ran.reused())
    made_by = maker.result("counted").run_id
    assert {ran.step("counted").reused_from for ran in runs} == {None, made_by}
    assert {waited for listener in listeners for waited in listener.waited} == {("counted", made_by)}


def test_two_equal_steps_of_one_pipeline_are_executed_once(project: Project, gate: Path) -> None:
    gate.touch()
    first, second = PipelineData("out"), PipelineData("out")
    code = "import sys, time; open(sys.argv[2], 'a').write('x'); time.sleep(0.3); open(sys.argv[1], 'w').write('data')"
    steps = [project.step("same", code, [out, str(project.folder / "count")], outputs=[out]) for out in (first, second)]
    ran = project.run(*steps, jobs=2)
    assert ran.status == "Completed", ran.outcome.errors
    assert _executions(project) == 1
    assert len(ran.reused()) == 1


def test_a_forced_run_does_not_wait(project: Project, gate: Path) -> None:
    listener = Waiting()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(project.run, _step(project))
        _until(lambda: _executions(project) == 1)
        threading.Thread(target=lambda: (_until(lambda: _executions(project) == 2), gate.touch()), daemon=True).start()
        ran = project.run(_step(project), force=True, listener=listener)
        assert held.result().status == "Completed"
    assert ran.status == "Completed"
    assert listener.waited == []
    assert _executions(project) == 2


def test_others_wait_for_a_forced_run(project: Project, gate: Path) -> None:
    gate.touch()
    project.run(_step(project))
    listener = Waiting(gate)
    gate.unlink()
    changed = COUNTED + "\n    # another\n"
    with ThreadPoolExecutor(1) as pool:
        forced = pool.submit(project.run, _step(project, code=changed), force=True)
        _until(lambda: _executions(project) == 2)
        assert project.run(_step(project, code=changed), listener=listener).reused() == ["counted"]
        assert forced.result().status == "Completed"
    assert [key for key, _ in listener.waited] == ["counted"]


def test_a_step_that_may_not_be_reused_keeps_nobody_waiting(project: Project, gate: Path) -> None:
    threading.Thread(target=lambda: (_until(lambda: _executions(project) == 2), gate.touch()), daemon=True).start()
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: project.run(_step(project, allow_reuse=False)), range(2)))
    assert [ran.status for ran in runs] == ["Completed"] * 2


def test_when_the_one_that_works_fails_those_that_wait_try_themselves_one_after_the_other(project: Project) -> None:
    code = """
        import os, sys, time
        with open(sys.argv[2], "a") as count:
            count.write("x")
        time.sleep(0.2)
        if os.path.getsize(sys.argv[2]) == 1: sys.exit(3)
        open(sys.argv[1], "w").write("data")
    """
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: project.run(_step(project, code=code)), range(4)))
    assert sorted(ran.status for ran in runs) == ["Completed"] * 3 + ["Failed"]
    assert _executions(project) == 2
    assert sum(len(ran.reused()) for ran in runs) == 2


def test_a_run_that_waits_can_be_canceled(project: Project, gate: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(project.run, _step(project))
        _until(lambda: _executions(project) == 1)
        listener = Waiting()
        runner, run_id = project.runner(_step(project), listener=listener)
        waiting = pool.submit(runner.run)
        _until(lambda: listener.waited != [])
        runner._engine.cancel()
        (error,) = waiting.result(60).errors.values()
        gate.touch()
        assert held.result().status == "Completed"
    assert str(error).startswith("Step 'counted' was canceled while it waited for run ")
    (step,) = runner._engine.runs.steps(run_id)
    assert step.status is RunStatus.CANCELED


def test_a_step_whose_lease_was_taken_over_does_not_keep_its_result(
    project: Project, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a long pause of the whole process."""
    gate.touch()
    held: list[bool] = []

    def is_held(self: Lease) -> bool:
        held.append(False)
        return False

    monkeypatch.setattr(Lease, "is_held", is_held)
    ran = project.run(_step(project))
    assert ran.status == "Completed"
    assert held
    assert project.reuse_records() == []
    assert ran.heard.notes == ["another run took over while this one gave no sign of life; its result is kept"]


def test_without_conditional_writes_nobody_waits_and_all_results_are_right(
    tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    fsspec.register_implementation("forgetful", ForgetfulFileSystem, clobber=True)
    project = Project(tmp_path, f"forgetful://{uuid.uuid4().hex}")
    threading.Thread(target=lambda: (_until(lambda: _executions(project) == 2), gate.touch()), daemon=True).start()
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: project.run(_step(project)), range(2)))
    assert [ran.status for ran in runs] == ["Completed"] * 2
    assert project.run(_step(project)).reused() == ["counted"]


def test_an_engine_that_does_not_wait_says_for_whom_to_wait_and_leaves_no_record(project: Project, gate: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(project.run, _step(project))
        _until(lambda: _executions(project) == 1)
        definition = project.runner(_step(project))[0]._definition
        engine = Engine(project.state, waits=False)
        run = RunContext("ab" * 16, "project", "experiment", "", "")
        with pytest.raises(BeingMadeError, match=r"The result of step 'counted' is being made by run \w+\.counted\.1"):
            engine.run(StepRequest(definition.steps[0], run))
        assert engine.runs.steps("ab" * 16) == []
        gate.touch()
        made = held.result().result("counted")
    assert engine.run(StepRequest(definition.steps[0], run)).reused_from == made.run_id


def test_a_step_run_that_was_suspended_stays_when_it_has_to_wait_for_another(project: Project) -> None:
    (step,) = project.runner(_step(project))[0]._definition.steps
    engine = Engine(project.state, waits=False)
    request = StepRequest(step, RunContext("ab" * 16, "project", "experiment", "", ""))
    suspended = new_record(request, engine.runs.new_step_run("ab" * 16, "counted"), status=RunStatus.RUNNING)
    engine.runs.put(suspended)
    assert Leases(project.state.objects).try_acquire(engine.ask(request).decision.fingerprint, "other.counted.1")
    with pytest.raises(BeingMadeError):
        engine.run(replace(request, resumes=suspended))
    assert engine.runs.steps("ab" * 16) == [suspended]


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.project import Heard, Project
from refrain import PipelineData


class Killer(Heard):
    def entered(self, key, phase):
        if phase.name == {moment!r}:
            os.kill(os.getpid(), signal.SIGKILL)

    def line(self, key, line):
        if line == {moment!r}:
            os.kill(os.getpid(), signal.SIGKILL)


project = Project(Path({folder!r}))
code = {code!r}
project.run(project.step("made", code, [PipelineData("out")]), listener=Killer())
"""
SPEAKS = """
import sys
print("half", flush=True)
open(sys.argv[1], "w").write("data")
"""


@pytest.mark.parametrize("moment", [*(phase.name for phase in Phase), "half"])
def test_when_a_holder_is_killed_at_any_moment_the_next_run_goes_on_at_once(
    project: Project, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_LEASE_SECONDS", "3600")  # who waited for that would not end in time
    tests = str(Path(__file__).parents[1])
    code = KILLED.format(tests=tests, folder=str(project.folder), moment=moment, code=SPEAKS)
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    ran = project.run(project.step("made", SPEAKS, [PipelineData("out")]))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("made", "out") == "data"
    assert ran.reused() == (["made"] if moment == "PUBLISH" else [])
    assert project.leftovers() == []


STOPPED = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.project import Project
from refrain import PipelineData
project = Project(Path({folder!r}))
ran = project.run(project.step("counted", {code!r}, [PipelineData("out"), {count!r}, {gate!r}]))
print(ran.id, ran.status, *ran.heard.notes)
"""


def test_a_holder_that_was_stopped_for_long_does_not_replace_the_result_of_who_took_over(
    project: Project, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_LEASE_SECONDS", "1")
    count = project.folder / "count"
    tests = str(Path(__file__).parents[1])
    code = STOPPED.format(tests=tests, folder=str(project.folder), code=COUNTED, count=str(count), gate=str(gate))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    _until(lambda: _executions(project) == 1)
    holder.send_signal(signal.SIGSTOP)
    threading.Thread(target=lambda: (_until(lambda: _executions(project) == 2), gate.touch()), daemon=True).start()
    ran = project.run(project.step("counted", COUNTED, [PipelineData("out"), str(count), str(gate)]))
    assert ran.status == "Completed"
    (record,) = project.reuse_records()
    kept = record.read_bytes()
    holder.send_signal(signal.SIGCONT)
    said, _ = holder.communicate(timeout=60)
    _, *rest = said.split(maxsplit=1)
    assert rest == ["Completed another run took over while this one gave no sign of life; its result is kept\n"]
    assert record.read_bytes() == kept
    again = project.run(project.step("counted", COUNTED, [PipelineData("out"), str(count), str(gate)]))
    assert again.step("counted").reused_from == ran.result("counted").run_id


def _until(is_so) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
