"""The process that imports Airflow once and starts its components from there.

    python -m refrain_operators.components jobs [--migrate]   scheduler, dag-processor, triggerer: forks of this process
    python -m refrain_operators.components api-server         imports while the database migrates, serves when told to

Starting all four apart costs 16 s of processor time, of which 8 s is importing the same modules again.

Standard input is the line of life: one byte says that the database is ready, its end that the owner stopped or died.
Standard output carries reports, one JSON object a line. Each component writes to `<logs>/<component>.log`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import platform
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

MIGRATION = "migrate"
API_SERVER = "api-server"
_CLEANING = "close-jobs"
_SCHEDULER = "scheduler"
_TRIGGERER = "triggerer"
# Logs are read from the home's folder; serving them is for other machines, and its port is one for all homes.
JOBS = {
    _SCHEDULER: ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    _TRIGGERER: ["triggerer", "--skip-serve-logs"],
}
# Seconds that components have to end by themselves; tasks that run get SIGTERM too and report their failure.
GRACE = 5.0
# Less for the triggerer: often it waits ten seconds for a child that has ended, as Airflow 3.3 looks too early.
# Nothing is lost: triggers start again with the next one.
_TRIGGERER_GRACE = 1.5

_JOB_MODULES = (
    "airflow.__main__",
    "airflow.utils.db",
    "airflow.cli.commands.db_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.triggerer_command",
    # What every DAG file of a pipeline and every task of one loads: those that read and run them are forks.
    "refrain.execution.engine",
    "refrain.steps.python_script",
    "refrain_operators.dag",
    "refrain_operators.reuse_sensor",
)
# All but `airflow.api_fastapi.main`, which builds the application and may look into the database.
_API_MODULES = (
    "airflow.__main__",
    "airflow.cli.commands.api_server_command",
    "airflow.api_fastapi.core_api.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
    "airflow.api_fastapi.execution_api.app",
    "airflow.api_fastapi.execution_api.routes",
)


def main(arguments: list[str]) -> int:
    """Run what the first argument names; returns the exit code."""
    logs = Path(os.environ["AIRFLOW_HOME"]) / "logs"
    if arguments[0] == API_SERVER:
        return _serve(logs)
    if arguments[0] == "airflow":
        return _airflow(arguments[1:])
    return _run_jobs(logs, is_migrating="--migrate" in arguments)


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Import without the garbage collector, which finds nothing there and takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()  # what is imported stays: forks share it


def _import(modules: tuple[str, ...]) -> None:
    with _importing():
        for name in modules:
            importlib.import_module(name)


def _report(**fields: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # the owner is gone; the end of the line of life says so too
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


def _redirect(log: Path) -> None:
    """Standard input from nowhere, both outputs to a file."""
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


# ---- API server


def _serve(logs: Path) -> int:
    line_of_life = os.dup(0)
    _redirect(logs / f"{API_SERVER}.log")
    _import(_API_MODULES)
    if not os.read(line_of_life, 1):
        return 0  # the owner gave up before the database was ready
    threading.Thread(target=_end_with_owner, args=[line_of_life], daemon=True).start()
    with _importing():
        importlib.import_module("airflow.api_fastapi.main")
    return _airflow([API_SERVER])


def _end_with_owner(line_of_life: int) -> None:
    while os.read(line_of_life, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)  # a browser that keeps a connection open would keep the server for two minutes
    os._exit(0)


def _airflow(arguments: list[str]) -> int:
    """What the command `airflow` does, in this process; and one thing that it has no command for."""
    if arguments == [_CLEANING]:
        return _close_jobs()
    from airflow.__main__ import main as airflow_main

    sys.argv = ["airflow", *arguments]
    airflow_main()
    return 0


# ---- scheduler, dag-processor, triggerer


def _run_jobs(logs: Path, *, is_migrating: bool) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    children: dict[int, str] = {}
    try:
        if _can_fork():
            _import(_JOB_MODULES)
        if is_migrating:
            _finish(MIGRATION, _start(["db", "migrate"], logs / f"{MIGRATION}.log"), children)
        _finish(_CLEANING, _start([_CLEANING], logs / f"{MIGRATION}.log"), children)
        _report(event="migrated")
        for name, arguments in JOBS.items():
            children[_start(arguments, logs / f"{name}.log")] = name
        _watch(children)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_groups(children)
    return 0


def _finish(name: str, pid: int, children: dict[int, str]) -> None:
    """Wait for what must be done before the components start; without it, none does."""
    children[pid] = name
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    del children[pid]
    if code:
        _report(event="exited", name=MIGRATION, code=code)
        sys.exit(1)


def _close_jobs() -> int:
    """Mark as ended the jobs of an earlier start on this machine that were killed.

    Nobody else runs this home. Airflow would wait a minute for their heartbeat before their tasks and triggers go on.
    """
    from airflow.jobs.job import Job, JobState
    from airflow.utils.net import get_hostname
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        is_ours = (Job.state == JobState.RUNNING, Job.hostname == get_hostname())
        session.execute(update(Job).where(*is_ours).values(state=JobState.FAILED, end_date=datetime.now(timezone.utc)))
    return 0


def _can_fork() -> bool:
    """Not on macOS, whose frameworks abort in a forked child once they are loaded."""
    return platform.system() != "Darwin"


def _start(arguments: list[str], log: Path) -> int:
    """Start an Airflow command in a process group of its own; returns its number."""
    if not _can_fork():
        command = [sys.executable, "-m", "refrain_operators.components", "airflow", *arguments]
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=streams, setpgroup=0)
    pid = os.fork()
    if pid == 0:
        _become(arguments, log)
    with contextlib.suppress(OSError):  # the child did so itself, or ended
        os.setpgid(pid, pid)
    return pid


def _become(arguments: list[str], log: Path) -> None:
    """Turn this forked process into an Airflow command; never returns."""
    code: object = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _redirect(log)
        from setproctitle import setproctitle

        setproctitle(f"airflow {' '.join(arguments)}")
        code = _airflow(arguments)
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(code + "\n")
    except BaseException:  # noqa: BLE001 - the end of a process: its log is all that can still be told
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else bool(code))


def _watch(children: dict[int, str]) -> None:
    """Report each component that ends, until the owner does."""
    while True:
        readable, _, _ = select.select([0], [], [], 0.25)
        if readable and not os.read(0, 1):
            return
        for name, code in _reap(children):
            _report(event="exited", name=name, code=code)


def _reap(children: dict[int, str]) -> Iterator[tuple[str, int]]:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            yield children.pop(pid), os.waitstatus_to_exitcode(status)


def _end_groups(children: dict[int, str]) -> None:
    """Ask all components to end, then kill what is left of them and of what they started."""
    groups = list(children)
    for pid, name in children.items():
        _signal(pid, signal.SIGTERM, is_group=name == _SCHEDULER)  # it waits for its tasks, so these are asked too
    _reap_until(children, time.monotonic() + _TRIGGERER_GRACE)
    for pid in [pid for pid, name in children.items() if name == _TRIGGERER]:
        _signal(pid, signal.SIGKILL, is_group=True)
    _reap_until(children, time.monotonic() + GRACE - _TRIGGERER_GRACE)
    for group in groups:
        _signal(group, signal.SIGKILL, is_group=True)


def _reap_until(children: dict[int, str], deadline: float) -> None:
    while children and time.monotonic() < deadline:
        time.sleep(0.05)
        list(_reap(children))


def _signal(pid: int, number: signal.Signals, *, is_group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if is_group else os.kill)(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
