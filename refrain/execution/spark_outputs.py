"""Spark's outputs: what a Spark application leaves in a folder, and what of it is data."""

from __future__ import annotations

import os
from pathlib import Path

from refrain.errors import OutputError

_UNFINISHED = "_temporary"
_MARKS = ("_SUCCESS",)
_CHECKSUM = ".crc"


def tidy(path: Path, name: str, step_name: str) -> None:
    """Leave only data in an output's folder, and refuse one that cannot be all of it.

    The checksums that Hadoop keeps of local files go: on no other file system they mean anything.

    :raises OutputError: when a write was not finished, or nothing of what the executors wrote is here.
    """
    files = [os.path.join(parent, file) for parent, _, names in os.walk(path) for file in names]
    unfinished = next((folder for folder, _, _ in os.walk(path) if os.path.basename(folder) == _UNFINISHED), None)
    if unfinished is not None:
        raise OutputError(
            f"Step {step_name!r}: its output {name!r} holds {unfinished!r}, so that a write to it did not finish. The "
            "script must not go on when a write fails."
        )
    checksums = {file for file in files if _is_checksum(file)}
    data = [file for file in files if file not in checksums and os.path.basename(file) not in _MARKS]
    if files and not data:
        raise OutputError(
            f"Step {step_name!r}: in its output {name!r} at {str(path)!r} Spark says that it succeeded, but no file is "
            "there. Its executors wrote to file systems of their own: the target's shared_folders name what they do "
            "not share. Try it with: refrain compute test NAME"
        )
    for file in checksums:
        os.unlink(file)


def _is_checksum(file: str) -> bool:
    folder, name = os.path.split(file)
    of = name[1 : -len(_CHECKSUM)] if name.startswith(".") and name.endswith(_CHECKSUM) else ""
    return bool(of) and os.path.lexists(os.path.join(folder, of))
