"""Jobs in containers of a real engine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.docker_engine import DockerEngine
from fakes.processes import NOBODY, unprivileged
from refrain.compute.docker.compute import DockerCompute
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import Job, JobPath, JobResult, JobStatus
from refrain.errors import ComputeError, StepFailedError, UnknownNameError, UserError

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
MakeJob = Callable[..., Job]
MakeCompute = Callable[..., DockerCompute]
Unprivileged = Callable[[], contextlib.AbstractContextManager[Path]]
__all__ = ["unprivileged"]

SLEEPS = "import time; print('sleeping', flush=True); time.sleep(600)"


def _ends(compute: DockerCompute, job: Job) -> tuple[JobResult, list[str]]:
    lines: list[str] = []
    result = compute.wait(compute.submit(job), lines.append)
    return result, lines


def test_a_container_that_ends_well_has_succeeded_its_output_is_heard_and_it_is_gone(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, tmp_path: Path
) -> None:
    wanted = job("import sys; print('out'); print('err', file=sys.stderr); open('made', 'w').write('x')")
    log = tmp_path / "log.txt"

    result, lines = _ends(compute(), replace(wanted, log_path=str(log)))

    assert (result, sorted(lines)) == (JobResult(JobStatus.SUCCEEDED, 0), ["err", "out"])
    assert log.read_text().split() == lines
    assert (tmp_path / "made").stat().st_uid == os.getuid()
    assert engine.containers(wanted.run_id) == []


def test_the_process_is_not_on_this_machine_and_sees_of_it_what_the_job_names(
    compute: MakeCompute, job: MakeJob, tmp_path: Path
) -> None:
    shown, hidden = tmp_path / "shown", tmp_path.parent / f"{tmp_path.name}-hidden"
    shown.mkdir()
    hidden.mkdir()
    code = f"""
import os
print(os.path.isdir({str(shown)!r}), os.path.exists({str(hidden)!r}), os.path.exists("/work"), os.getuid())
open(os.path.expanduser("~/mine"), "w").write("x")
print(os.environ.get("HOSTNAME") != {os.uname().nodename!r}, os.environ["USER"] != "")
"""
    _, lines = _ends(compute(), job(code))
    assert lines == [f"True False False {os.getuid()}", "True True"]


def test_what_can_only_be_read_cannot_be_written(compute: MakeCompute, job: MakeJob, tmp_path: Path) -> None:
    data = tmp_path.parent / f"{tmp_path.name}-data"
    data.mkdir()
    wanted = job(f"open({str(data / 'new')!r}, 'w')")
    paths = (*wanted.paths(), JobPath(str(data), str(data)))

    result, lines = _ends(compute(), replace(wanted, paths=lambda: paths))

    assert result.exit_code == 1
    assert "Read-only file system" in lines[-1]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11),
    ],
)
def test_an_exit_code_and_a_signal_are_a_failure(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, code: str, exit_code: int
) -> None:
    wanted = job(code)
    assert _ends(compute(), wanted)[0] == JobResult(JobStatus.FAILED, exit_code)
    assert engine.containers(wanted.run_id) == []


def test_too_much_memory_is_named_with_the_limit_and_the_way_out(compute: MakeCompute, job: MakeJob) -> None:
    result, _ = _ends(compute(memory="64m"), job("x = b'1' * 500_000_000; print(len(x))"))

    assert result.status is JobStatus.FAILED
    assert result.cause == (
        "its container needed more memory than the 64m of its compute target. Raise the target's setting memory "
        "(refrain compute set), or let the step use less."
    )


def test_limits_and_mounts_of_the_target_hold(compute: MakeCompute, job: MakeJob, tmp_path: Path) -> None:
    more = tmp_path.parent / f"{tmp_path.name}-more"
    more.mkdir()
    (more / "told").write_text("told")
    code = """
import os
def read(*names): return next(open(name).read().split()[0] for name in names if os.path.exists(name))
print(read("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"))
print(read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu.max"))
print(os.statvfs("/dev/shm").f_frsize * os.statvfs("/dev/shm").f_blocks)
print(open("/more/told").read(), os.access("/more", os.W_OK))
"""
    made = compute(memory="256m", cpus=0.5, shm_size="32m", mounts=[f"{more}:/more:ro"])
    assert _ends(made, job(code))[1] == [str(256 * 2**20), "50000", str(32 * 2**20), "told False"]


def test_secrets_are_masked(compute: MakeCompute, job: MakeJob) -> None:
    assert _ends(compute(), job("print('the secret is s3cr3t')", secrets=("s3cr3t",)))[1] == ["the secret is ***"]


def test_a_line_and_a_secret_stay_whole_where_the_other_stream_speaks_in_their_middle(
    compute: MakeCompute, job: MakeJob
) -> None:
    code = """
import os, time
for stream, piece in ((1, b"the s3c"), (2, b"warning\\n"), (1, b"r3t\\n")):
    os.write(stream, piece)
    time.sleep(0.3)  # so that the engine hands on each piece alone
"""
    assert sorted(_ends(compute(), job(code, secrets=("s3cr3t",)))[1]) == ["the ***", "warning"]


def test_a_container_that_is_quiet_for_longer_than_the_client_waits_is_waited_for(
    compute: MakeCompute, job: MakeJob
) -> None:
    made, lines = compute(), list[str]()
    job_id = made.submit(job("import time; time.sleep(8); print('done')"))
    made.client.timeout = 5
    result = made.wait(job_id, lines.append)
    assert (result.status, lines) == (JobStatus.SUCCEEDED, ["done"])


def test_an_argument_reaches_the_process_as_it_is(compute: MakeCompute, job: MakeJob) -> None:
    words = ("a b", "$HOME", "'", '"', "*", "", "ü")
    wanted = job("", argv=("python", "-c", "import sys; print(sys.argv[1:])", *words))
    assert _ends(compute(), wanted)[1] == [str(list(words))]


def test_a_canceled_job_is_asked_to_end_and_is_gone(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, tmp_path: Path
) -> None:
    made = compute(20.0)
    wanted = job(f"""
import signal, sys, time
def end(*_): open("ended", "w").write("in order"); sys.exit(5)
signal.signal(signal.SIGTERM, end)
{SLEEPS}
""")
    job_id = made.submit(wanted)
    assert made.status(job_id) is JobStatus.RUNNING

    result = made.wait(job_id, lambda line: threading.Thread(target=made.cancel, args=[job_id]).start())

    assert (result.status, result.exit_code) == (JobStatus.CANCELED, 5)
    assert made.status(job_id) is made.result(job_id).status is JobStatus.CANCELED
    assert (tmp_path / "ended").read_text() == "in order"
    assert engine.containers(wanted.run_id) == []


def test_a_canceled_job_that_does_not_listen_is_killed_with_all_that_it_started(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine
) -> None:
    made = compute(0.2)
    wanted = job(f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
{SLEEPS}
""")
    job_id = made.submit(wanted)
    result = made.wait(job_id, lambda line: threading.Thread(target=made.cancel, args=[job_id]).start())
    assert (result.status, result.exit_code) == (JobStatus.CANCELED, -9)
    assert engine.containers(wanted.run_id) == []


def test_an_engine_that_is_killed_leaves_no_container(engine: DockerEngine, tmp_path: Path) -> None:
    code = f"""
import os, signal
from refrain.compute.docker.compute import DockerCompute
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import Job, JobPath
made = DockerCompute(DockerSettings.of({engine.settings()!r}))
folder = {str(tmp_path)!r}
wanted = Job({f"killed.{tmp_path.name}"!r}, ("python", "-c", {SLEEPS!r}), folder, {{}}, os.devnull, scratch=folder,
    paths=lambda: (JobPath(folder, folder, is_writable=True),))
made.prepare(wanted.runs_in, print)
made.wait(made.submit(wanted), lambda line: os.kill(os.getpid(), signal.SIGKILL))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9

    deadline = time.monotonic() + 60
    while engine.containers(f"killed.{tmp_path.name}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert engine.containers(f"killed.{tmp_path.name}") == []


def test_results_belong_to_the_user_of_the_engine_whoever_that_is(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, unprivileged: Unprivileged
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    made = compute()
    _ends(made, job("pass"))  # so that this process's guard is there, whose program another user may not be able to run
    engine.let_everybody_in()
    with unprivileged() as folder:
        paths = (JobPath(str(folder), str(folder), is_writable=True),)
        wanted = job("import os; open('made', 'w').write('x'); print(os.getuid())")
        wanted = replace(wanted, working_directory=str(folder), scratch=str(folder), paths=lambda: paths)
        assert _ends(made, wanted) == (JobResult(JobStatus.SUCCEEDED, 0), [str(NOBODY)])
        assert (folder / "made").stat().st_uid == NOBODY


def test_a_program_that_the_image_does_not_have_is_named(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine
) -> None:
    wanted = job("", argv=("/opt/conda/bin/python", "-c", "pass"))
    message = "container has no program '/opt/conda/bin/python'. Take an image that has it"

    result, _ = _ends(compute(), wanted)
    assert result.status is JobStatus.FAILED
    assert f"its {message}" in result.cause
    with pytest.raises(StepFailedError, match=f"The {message}"):
        compute(init=False).submit(wanted)
    assert engine.containers(wanted.run_id) == []


def test_nothing_is_started_when_the_log_cannot_be_written(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, tmp_path: Path
) -> None:
    wanted = replace(job("pass"), log_path=str(tmp_path))
    with pytest.raises(StepFailedError, match="cannot be written: Is a directory"):
        compute().submit(wanted)
    assert engine.containers(wanted.run_id) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpus": "all"}, r"could not select device driver .*\. Install the NVIDIA container toolkit there, or leave"),
        ({"memory": "1m"}, r"[Mm]inimum memory limit .*\. Raise the setting memory\."),
        ({"cpus": 4096}, r"[Rr]ange of CPUs .*\. Lower the setting cpus\."),
        ({"network": "nowhere"}, "nowhere"),
        ({"mounts": ["/no/such/folder"]}, r"source path does not exist.*\. The engine must run on this machine"),
    ],
)
def test_what_the_engine_cannot_do_is_told_with_the_way_out(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine, settings: dict[str, object], message: str
) -> None:
    wanted = job("pass")
    with pytest.raises(UserError, match=f"The Docker engine does not start the container: .*{message}"):
        compute(**settings).submit(wanted)
    assert engine.containers(wanted.run_id) == []


def test_an_engine_that_is_not_running_is_named_with_the_way_out() -> None:
    absent = DockerCompute(DockerSettings.of({"engine": "unix:///no/such/docker.sock", "image": "x"}))
    with pytest.raises(
        ComputeError,
        match=r"engine at unix:///no/such/docker\.sock does not answer: No such file or directory\. Start it, or name",
    ):
        absent.end("run")


def test_a_job_of_another_process_cannot_be_waited_for_but_asked_about(
    compute: MakeCompute, job: MakeJob, engine: DockerEngine
) -> None:
    first, wanted = compute(), job(SLEEPS)
    job_id = first.submit(wanted)
    second = compute()

    assert second.status(job_id) is JobStatus.RUNNING
    with pytest.raises(UnknownNameError, match="was not started from here"):
        second.wait(job_id, print)
    second.end(wanted.run_id)
    assert engine.containers(wanted.run_id) == []
    assert second.status(job_id) is JobStatus.FAILED
    assert first.wait(job_id, print) == JobResult(JobStatus.FAILED, -9)
