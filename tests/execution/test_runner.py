"""A whole pipeline: what runs after what, and what a failure means for the rest."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from fakes.project import COPIES, WRITES, Heard, Project
from refrain import Dataset, PipelineData, PythonScriptStep
from refrain.execution.listener import Phase
from refrain.execution.schedule import Schedule
from refrain.reuse.decision import Decision
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.tracking.record import RunStatus, RunStore

FAILS = "raise SystemExit(1)"


def _chain(project: Project, *codes: str) -> list[PythonScriptStep]:
    steps: list[PythonScriptStep] = []
    for number, code in enumerate(codes):
        step = project.step(f"s{number}", code)
        if steps:
            step.run_after(steps[-1])
        steps.append(step)
    return steps


def test_steps_run_in_the_order_of_their_data(project: Project) -> None:
    one, two, three = (PipelineData(name) for name in ("one", "two", "three"))
    ran = project.run(
        project.step("last", COPIES, [two, three], inputs=[two]),
        project.step("middle", COPIES, [one, two], inputs=[one], outputs=[two]),
        project.step("first", WRITES, [one, "hello"]),
    )
    assert ran.text("last", "three") == "hello"
    assert list(ran.outcome.results) == ["first", "middle", "last"]


def test_after_a_failure_no_other_step_starts(project: Project) -> None:
    ran = project.run(*_chain(project, "", FAILS, ""))
    assert ran.status == "Failed"
    assert ran.record.status is RunStatus.FAILED
    assert list(ran.outcome.errors) == ["s1"]
    assert ran.outcome.not_run == ["s2"]


def test_after_a_failure_running_steps_are_canceled_and_waiting_ones_never_start(project: Project) -> None:
    started = str(project.folder / "started")
    fails = """
        import os, sys, time
        while not os.path.exists(sys.argv[1]): time.sleep(0.01)
        sys.exit(1)
    """
    ran = project.run(
        project.step("fail", fails, [started]),
        project.step("slow", "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)", [started]),
        *_chain(project, "", ""),
        jobs=2,
    )
    assert "exited with code 1" in ran.error("fail")
    assert next(iter(ran.outcome.errors)) == "fail"
    assert ran.error("slow") == "Step 'slow' was canceled."
    assert ran.step("slow").status is RunStatus.CANCELED
    assert sorted(ran.outcome.not_run) == ["s0", "s1"]
    assert ran.record.error == ran.error("fail")


def test_with_keep_going_the_branches_that_do_not_depend_on_the_failed_step_still_run(project: Project) -> None:
    ran = project.run(
        *_chain(project, FAILS, "", ""), project.step("apart", WRITES, [PipelineData("out")]), keep_going=True
    )
    assert list(ran.outcome.errors) == ["s0"]
    assert list(ran.outcome.results) == ["apart"]
    assert ran.outcome.not_run == ["s1", "s2"]
    assert ran.status == "Failed"


def test_single_steps_can_be_forced(project: Project) -> None:
    def steps() -> list[PythonScriptStep]:
        return [project.step(name, WRITES, [PipelineData("out"), name]) for name in ("one", "two")]

    project.run(*steps())
    assert project.run(*steps(), force={"two"}).reused() == ["one"]


def test_a_keyboard_interrupt_stops_every_step_and_is_recorded(project: Project) -> None:
    class Interrupts(Heard):
        def line(self, key: str, line: str) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    ran = project.run(
        project.step("slow", "import time; print('ready', flush=True); time.sleep(600)"), listener=Interrupts()
    )
    assert ran.outcome.is_canceled
    assert ran.status == "Canceled"
    assert ran.record.status is RunStatus.CANCELED
    assert ran.record.error == "Canceled."
    assert ran.step("slow").status is RunStatus.CANCELED
    assert ran.error("slow") == "Step 'slow' was canceled."
    assert project.leftovers() == []


def _reused_and(project: Project, *last: PythonScriptStep) -> list[PythonScriptStep]:
    """Three steps that have run before, and others behind them."""
    outs = [PipelineData(f"out{number}") for number in range(3)]
    steps = [project.step(f"s{number}", WRITES, [out, str(number)]) for number, out in enumerate(outs)]
    for step in last:
        step.run_after(steps[0])
    return [*steps, *last]


def test_a_run_that_only_reuses_starts_no_thread_and_writes_one_object(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refrain.execution.runner._FIRST_SECONDS", 600)  # however slowly this machine decides

    class Counts(Heard):
        threads: set[int]

        def decided(self, key: str, decision: Decision, run_id: str) -> None:
            super().decided(key, decision, run_id)
            self.threads = {*getattr(self, "threads", ()), threading.get_ident()}

    project.run(*_reused_and(project))
    heard = Counts()
    ran = project.run(*_reused_and(project), listener=heard)
    assert ran.reused() == ["s0", "s1", "s2"]
    assert heard.threads == {threading.get_ident()}
    folder = project.state.root / "runs" / ran.id
    assert sorted(path.name for path in folder.iterdir()) == ["reused", "run.json"]
    assert len(list((folder / "reused").iterdir())) == 1
    assert [record.key for record in ran.runs.steps(ran.id)] == ["s0", "s1", "s2"]


def test_what_was_reused_is_on_record_before_a_step_starts_to_work(project: Project) -> None:
    known: list[str] = []

    class Looks(Heard):
        def entered(self, key: str, phase: Phase) -> None:
            if phase is Phase.LAUNCH and key == "new":
                known.extend(record.key for record in RunStore(project.state).steps(run_id) if record.reused_from)

    project.run(*_reused_and(project))
    runner, run_id = project.runner(*_reused_and(project, project.step("new", "")), listener=Looks())
    assert runner.run().status is RunStatus.COMPLETED
    assert sorted(known) == ["s0", "s1", "s2"]


def test_once_decisions_take_long_the_steps_threads_decide(project: Project) -> None:
    class Slow(Heard):
        threads: list[int]

        def entered(self, key: str, phase: Phase) -> None:
            if phase is Phase.RESOLVE:
                time.sleep(0.3)

        def decided(self, key: str, decision: Decision, run_id: str) -> None:
            super().decided(key, decision, run_id)
            self.threads = [*getattr(self, "threads", ()), threading.get_ident()]

    project.run(*_reused_and(project))
    heard = Slow()
    ran = project.run(*_reused_and(project), listener=heard)
    assert ran.reused() == ["s0", "s1", "s2"]
    assert heard.threads[0] == threading.get_ident()
    assert threading.get_ident() not in heard.threads[1:]
    assert len(ran.runs.steps(ran.id)) == 3


def test_a_step_that_cannot_be_decided_has_failed(project: Project) -> None:
    data = project.folder / "data.txt"
    data.write_text("data")
    reads = [Dataset.File.from_files(str(data)).as_named_input("data").as_mount()]
    step = project.step("reads", "", inputs=reads)
    runner, run_id = project.runner(step)
    data.unlink()
    outcome = runner.run()
    assert "Step 'reads', input 'data'" in str(outcome.errors["reads"])
    (record,) = RunStore(project.state).steps(run_id)
    assert (record.status, record.error) == (RunStatus.FAILED, str(outcome.errors["reads"]))


def test_an_interrupt_while_steps_are_reused_keeps_what_was_noted(project: Project) -> None:
    class Interrupts(Heard):
        def decided(self, key: str, decision: Decision, run_id: str) -> None:
            super().decided(key, decision, run_id)
            if key == "s1":
                os.kill(os.getpid(), signal.SIGINT)

    project.run(*_reused_and(project))
    ran = project.run(*_reused_and(project), listener=Interrupts())
    assert ran.outcome.is_canceled
    assert ran.record.status is RunStatus.CANCELED
    assert "s0" in [record.key for record in ran.runs.steps(ran.id)]


def test_edits_during_a_run_do_not_reach_its_later_steps(project: Project) -> None:
    class Edits(Heard):
        def entered(self, key: str, phase: Phase) -> None:
            if key == "s0" and phase is Phase.LAUNCH:
                project.source("s1", "raise SystemExit('edited')")

    ran = project.run(*_chain(project, "", "print('as submitted')"), listener=Edits())
    assert ran.status == "Completed"


def test_a_source_that_cannot_be_captured_fails_the_run_before_anything_starts(project: Project) -> None:
    step = project.step("write", WRITES, [PipelineData("out")])
    runner, _ = project.runner(step)
    os.mkfifo(project.folder / "steps" / "write" / "pipe")
    outcome = runner.run()
    assert outcome.status is RunStatus.FAILED
    assert "cannot be captured" in str(outcome.errors[""])


def test_a_listener_that_fails_fails_nothing(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Heard):
        def entered(self, key: str, phase: Phase) -> None:
            raise BrokenPipeError

        def decided(self, key: str, decision: Decision, run_id: str) -> None:
            raise RuntimeError("broken")

        def line(self, key: str, line: str) -> None:
            raise ValueError("closed")

    ran = project.run(project.step("write", WRITES, [PipelineData("out")]), listener=Broken())
    assert ran.status == "Completed"
    assert "The listener failed to hear 'decided'" in caplog.text


def test_several_steps_run_at_once(project: Project) -> None:
    together = threading.Barrier(3, timeout=60)

    class Meets(Heard):
        def line(self, key: str, line: str) -> None:
            together.wait()

    steps = [project.step(f"s{n}", f"print({n})") for n in range(3)]
    assert project.run(*steps, listener=Meets(), jobs=3).status == "Completed"
    assert not together.broken


def _definition(key: str, *after: str) -> StepDefinition:
    return StepDefinition(key, key, "test", SourceCode("/"), (), after=after)


def test_a_step_is_ready_once_all_before_it_have_completed() -> None:
    a, b, c = _definition("a"), _definition("b"), _definition("c", "a", "b")
    schedule = Schedule([a, b, c])
    assert schedule.first() == [a, b]
    assert schedule.after(a) == []
    assert schedule.after(b) == [c]
    assert schedule.after(c) == []
