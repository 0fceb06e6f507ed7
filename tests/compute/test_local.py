"""Jobs as processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from refrain.compute import local
from refrain.compute.job import Job, JobStatus
from refrain.compute.local import LocalCompute
from refrain.compute.processes import marked
from refrain.errors import StepFailedError, UnknownNameError

IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
FORKS_AWAY = "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
MakeJob = Callable[..., Job]


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    def make(code: str, secrets: tuple[str, ...] = ()) -> Job:
        run_id = f"run.{uuid.uuid4().hex}.1"  # another run of these tests on this machine must not end our processes
        return Job(
            run_id=run_id,
            argv=(sys.executable, "-c", code),
            working_directory=str(tmp_path),
            environment={"AZUREML_RUN_ID": run_id, "PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"]},
            log_path=str(tmp_path / "log.txt"),
            secrets=secrets,
        )

    return make


def _ends(job: Job) -> tuple[JobStatus, int, list[str]]:
    compute = LocalCompute()
    lines: list[str] = []
    result = compute.wait(compute.submit(job), lines.append)
    return result.status, result.exit_code, lines


def test_a_process_that_ends_well_has_succeeded_and_its_output_is_in_the_log(job: MakeJob, tmp_path: Path) -> None:
    assert _ends(job("import sys; print('out'); print('err', file=sys.stderr)")) == (
        JobStatus.SUCCEEDED,
        0,
        ["out", "err"],
    )
    assert (tmp_path / "log.txt").read_text() == "out\nerr\n"


def test_an_exit_code_is_a_failure(job: MakeJob) -> None:
    assert _ends(job("raise SystemExit(3)"))[:2] == (JobStatus.FAILED, 3)


def test_a_signal_is_a_negative_exit_code(job: MakeJob) -> None:
    assert _ends(job("import os; os.kill(os.getpid(), 9)"))[:2] == (JobStatus.FAILED, -9)


def test_a_command_that_does_not_exist_is_named(job: MakeJob, tmp_path: Path) -> None:
    missing = Job("r", ("/no/such/python",), str(tmp_path), {}, str(tmp_path / "log.txt"))
    with pytest.raises(StepFailedError, match=r"Cannot start '/no/such/python': No such file or directory\."):
        LocalCompute().submit(missing)


def test_an_argument_that_no_command_line_can_hold_is_a_failure_of_the_step(job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="embedded null byte"):
        LocalCompute().submit(Job("r", (sys.executable, "a\0b"), str(tmp_path), {}, str(tmp_path / "log.txt")))


def test_nothing_is_started_when_the_log_cannot_be_written(job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "log.txt").mkdir()
    with pytest.raises(StepFailedError, match=r"The log '.*log\.txt' cannot be written: Is a directory\."):
        LocalCompute().submit(job("open('started', 'w')"))
    assert not (tmp_path / "started").exists()


def test_a_child_that_left_the_group_and_keeps_the_pipe_open_neither_hangs_nor_survives(job: MakeJob) -> None:
    waiting = job(FORKS_AWAY)
    assert _ends(waiting)[0] is JobStatus.SUCCEEDED
    assert marked(waiting.run_id) == []


def test_a_child_that_left_the_group_and_closed_the_pipe_does_not_survive_either(job: MakeJob) -> None:
    quiet = job(
        "import subprocess as s; s.Popen(['sleep', '600'], start_new_session=True, stdout=s.DEVNULL, stderr=-3)"
    )
    assert _ends(quiet)[0] is JobStatus.SUCCEEDED
    assert marked(quiet.run_id) == []


def test_a_child_that_shed_every_trace_does_not_make_the_step_hang(
    job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_DRAIN_SECONDS", 0.1)
    lines = _ends(job("import subprocess as s; print(s.Popen(['sleep', '600'], start_new_session=True, env={}).pid)"))[
        2
    ]
    os.kill(int(lines[0]), 9)


def test_megabytes_without_a_line_end_are_taken_in(job: MakeJob, tmp_path: Path) -> None:
    assert _ends(job("import sys; sys.stdout.write('x' * 5_000_000)"))[0] is JobStatus.SUCCEEDED
    assert (tmp_path / "log.txt").stat().st_size == 5_000_000


def test_a_listener_that_fails_does_not_block_a_process_that_writes_much(job: MakeJob) -> None:
    def broken(line: str) -> None:
        raise BrokenPipeError

    compute = LocalCompute()
    assert compute.wait(compute.submit(job("print('line\\n' * 100_000)")), broken).status is JobStatus.SUCCEEDED


def test_canceling_ends_a_process_that_ignores_sigterm_and_its_children(job: MakeJob) -> None:
    stubborn = job(IGNORES_SIGTERM + FORKS_AWAY + "import time; print('ready'); time.sleep(600)")
    compute, ready = LocalCompute(grace_seconds=0.2), threading.Event()
    job_id = compute.submit(stubborn)
    results = []
    waiter = threading.Thread(target=lambda: results.append(compute.wait(job_id, lambda line: ready.set())))
    waiter.start()
    assert ready.wait(60)
    assert compute.status(job_id) is JobStatus.RUNNING
    compute.cancel(job_id)
    waiter.join(60)
    assert results[0].status is JobStatus.CANCELED
    assert results[0].exit_code == -9
    assert marked(stubborn.run_id) == []
    assert compute.status(job_id) is JobStatus.CANCELED
    compute.cancel(job_id)  # a second time, nothing happens


def test_a_process_may_clean_up_when_it_is_canceled(job: MakeJob, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('cleaned', 'w'), sys.exit(1)))\n"
        "print('ready'); time.sleep(600)"
    )
    compute, ready = LocalCompute(), threading.Event()
    job_id = compute.submit(job(code))
    waiter = threading.Thread(target=compute.wait, args=(job_id, lambda line: ready.set()))
    waiter.start()
    assert ready.wait(60)
    compute.cancel(job_id)
    waiter.join(60)
    assert (tmp_path / "cleaned").exists()


def test_the_result_of_a_foreign_job_is_not_known() -> None:
    with pytest.raises(UnknownNameError, match="was not waited for here"):
        LocalCompute().result("1 2")
    with pytest.raises(UnknownNameError, match="was not started from here"):
        LocalCompute().wait("1 2", print)
    assert LocalCompute().status("999999999 2") is JobStatus.FAILED


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_nothing_outlives_an_engine_that_is_killed(job: MakeJob, tmp_path: Path, number: str) -> None:
    code = f"""
import signal, subprocess, sys, os
from refrain.compute.job import Job
from refrain.compute.local import LocalCompute
script = {(IGNORES_SIGTERM + FORKS_AWAY + "import time; print('ready'); time.sleep(600)")!r}
mark = 'guarded.{tmp_path.name}.1'
environment = {{'AZUREML_RUN_ID': mark, 'PATH': os.environ['PATH'], 'PYTHONUNBUFFERED': '1'}}
job = Job(mark, (sys.executable, '-c', script), '/', environment, {str(tmp_path / "log")!r})
compute = LocalCompute()
compute.wait(compute.submit(job), lambda line: os.kill(os.getpid(), signal.{number}))
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    deadline = time.monotonic() + 60
    while marked(f"guarded.{tmp_path.name}.1") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marked(f"guarded.{tmp_path.name}.1") == []
