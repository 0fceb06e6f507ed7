"""Containers: what is so for a job's process in every container, whoever starts it."""

from __future__ import annotations

import os
import pwd
import signal
from dataclasses import dataclass
from pathlib import Path

from refrain.compute.job import Compute, Job, JobPath, JobResult

GIVEN = "given"
"""The file that a trial reads."""

_SIGNALED = 128
_TRIAL = f"import sys, platform; open('written', 'w').write(open('{GIVEN}').read()); print(platform.python_version())"

KILLED = _SIGNALED + signal.SIGKILL
"""The code of a container that was killed."""


@dataclass(frozen=True)
class Trial:
    """How the trial of a compute target went.

    :param said: its output; the version of Python, if it went well.
    :param written: the file that it should have written.
    """

    run_id: str
    result: JobResult
    said: str
    written: Path

    @property
    def reason(self) -> str:
        """Why it failed: what is known of it, else the last line that it said."""
        return self.result.cause or self.said.rpartition("\n")[2] or "it said nothing"


def try_out(compute: Compute, folder: Path, python: str) -> Trial:
    """Run a job in a container that reads a file below a folder, and writes one.

    :param python: the interpreter there.
    """
    work, log = folder / "work", folder / "log.txt"
    work.mkdir()
    (work / GIVEN).write_text("works")
    job = Job(
        run_id=f"trial.{folder.name}",
        argv=(python, "-c", _TRIAL),
        working_directory=str(work),
        environment={},
        log_path=str(log),
        scratch=str(folder),
        paths=lambda: (JobPath(str(folder), str(folder), is_writable=True),),
    )
    result = compute.wait(compute.submit(job), lambda _: None)
    return Trial(job.run_id, result, log.read_text(encoding="utf-8", errors="replace").strip(), work / "written")


def environment(job: Job) -> dict[str, str]:
    """Return the variables of a job's process, among them a home that it can write to, and who it is.

    The user has no entry in the image's list of users, so that programs would find neither.
    """
    return {"HOME": home(job), "USER": _user(), "LOGNAME": _user(), **job.environment}


def home(job: Job) -> str:
    """Return the home of a job's process."""
    return os.path.join(job.scratch or job.working_directory, "home")


def as_signal(code: int) -> int:
    """Return the number of a signal as negative, where a container's exit code stands for one."""
    number = code - _SIGNALED
    return -number if number in signal.Signals._value2member_map_ else code


def without_program(job: Job) -> str:
    """Return the end of a sentence that says of a container that nothing could be started in it."""
    return (
        f"has no program {job.argv[0]!r}. Take an image that has it; where its interpreter is called otherwise, the "
        "target's setting python names it (refrain compute set)."
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
