"""Views: remote trees as folders whose bytes come when they are read, each served by a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import IO, TYPE_CHECKING

import refrain
from refrain.errors import DataError, UserError
from refrain.storage.listing import Listed

if TYPE_CHECKING:
    import subprocess

    from refrain.storage.filesystem import FileSystem

MODE = "REFRAIN_MOUNT"
_LAZY = "fuse"
_MODES = ("cache", _LAZY)
_MARK = "AZUREML_RUN_ID"
_DETACH = 2  # MNT_DETACH: gone from the folder at once, whoever still reads
_END_SECONDS = 20
_ESCAPED = re.compile(r"\\([0-7]{3})")

_serving: dict[str, subprocess.Popen[bytes]] = {}
"""The processes that this one has started, by the folder that they serve."""


def are_lazy() -> bool:
    """Say whether ``REFRAIN_MOUNT`` asks for views, rather than for the worker's cache.

    :raises UserError: when it asks for neither.
    """
    text = os.environ.get(MODE) or _MODES[0]
    if text not in _MODES:
        raise UserError(f"{MODE}={text!r} is no way to mount; write one of {', '.join(_MODES)}.")
    return text == _LAZY


def show(files: FileSystem, objects: Iterable[Listed], folders: Iterable[str], view: Path) -> None:
    """Serve objects as a folder, by their paths, until :func:`end`, or until this process has ended.

    :param folders: paths of folders that may be empty.
    :param view: where nothing is yet.
    :raises DataError: when the machine cannot, or one of the paths is none of a file.
    """
    told = {"view": str(view), "objects": [astuple(o) for o in objects], "folders": list(folders), **files.described()}
    try:
        view.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"Nothing can be mounted at {str(view)!r}: {error.strerror}.") from error
    import tempfile

    with tempfile.TemporaryFile() as said:
        process = _serving[str(view)] = _start(said)
        fault = _begin(process, json.dumps(told).encode())
        if fault is None:
            return
        end(view)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    reason = fault or (lines[-1] if lines else "the process that serves it ended")
    raise DataError(f"{MODE}={_LAZY}: {reason}. Without {MODE}, inputs are fetched into the worker's cache instead.")


def end(folder: Path) -> list[str]:
    """Take away the views at and below a folder, whoever has made them; return what could not be read in them."""
    faults = []
    for point in sorted({*(p for p in list(_serving) if _is_within(p, folder)), *mount_points(folder)}):
        process = _serving.pop(point, None)
        if process is not None:
            faults += _finish(process, point)
        if point in mount_points(folder):
            detach(point)
    return faults


def detach(point: str) -> None:
    """Unmount a folder, whether or not somebody still reads in it."""
    import ctypes
    import subprocess

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(point), _DETACH) == 0:
        return
    helper = shutil.which("fusermount3") or shutil.which("fusermount")  # for who is not root
    if helper is not None:
        subprocess.run([helper, "-u", "-z", "--", point], stderr=subprocess.DEVNULL, check=False)


def _start(said: IO[bytes]) -> subprocess.Popen[bytes]:
    import subprocess

    return subprocess.Popen(
        [sys.executable, "-m", "refrain.storage.view_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,
        cwd=Path(refrain.__file__).parents[1],  # where it is found, however this process found it
        # Without the mark of a step run: what ends the step's processes must not end this one before them.
        env={name: value for name, value in os.environ.items() if name != _MARK},
    )


def _begin(process: subprocess.Popen[bytes], told: bytes) -> str | None:
    """Tell a new server what to serve; return why it cannot, ``""`` where it could not say, None when it serves."""
    assert process.stdin is not None  # noqa: S101  # it is a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(told + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        return ""
    return str(json.loads(answer)["fault"] or "") or None if answer.endswith(b"\n") else ""


def _finish(process: subprocess.Popen[bytes], point: str) -> list[str]:
    """Close a server's input, upon which it unmounts and says what could not be read."""
    import subprocess

    try:
        answer, _ = process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        answer, _ = process.communicate()
    with contextlib.suppress(ValueError, KeyError):
        return [str(fault) for fault in json.loads(answer)["faults"]]
    return [f"the process that served {point} ended before the step"]


def mount_points(folder: Path) -> list[str]:
    """Return the mount points at and below a folder, whoever has made them; none where the system does not tell."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = [_ESCAPED.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in file]
    except OSError:
        return []  # no Linux, no views
    return [point for point in points if _is_within(point, folder)]


def _is_within(point: str, folder: Path) -> bool:
    return f"{point}/".startswith(f"{folder}/")
