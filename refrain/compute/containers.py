"""Containers: what is so for a job's process in every container, whoever starts it."""

from __future__ import annotations

import os
import pwd
import signal

from refrain.compute.job import Job

_SIGNALED = 128

KILLED = _SIGNALED + signal.SIGKILL
"""The code of a container that was killed."""


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
