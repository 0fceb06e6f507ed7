"""Effects: whatever a process does to files that outlives it, told just before it is done.

An effect has a name, such as ``rename record``: what is done, and to which part of a workspace. By name and number
it is the same in every run, whatever the threads of the process do in the meantime.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Of each audit event: the word for it, and which of its arguments are the path and the folder that it is relative to.
_EVENTS = {
    "os.chmod": ("chmod", 0, 2),
    "os.link": ("link", 1, 3),
    "os.mkdir": ("mkdir", 0, 2),
    "os.remove": ("delete", 0, 1),
    "os.rename": ("rename", 1, 3),
    "os.rmdir": ("rmdir", 0, 1),
    "os.symlink": ("symlink", 1, 2),
    "os.truncate": ("truncate", 0, None),
    "os.utime": ("touch", 0, 3),
}
_PARTS = tuple(
    (re.compile(pattern), part)
    for pattern, part in (
        (r"^/steps(/|$)", ""),  # the scripts, which we write
        (r"/cache/(?!workspaces/)", ""),  # can be lost at any time
        (r"/\.refrain-staging", "waiting output"),
        (r"/staging/[^/]+/owner", "owner"),
        (r"/staging", "stage"),
        (r"/azureml(/|$)", "output"),
        (r"/reuse/recent", "memory"),
        (r"/reuse", "record"),
        (r"/manifests", "manifest"),
        (r"/blobs", "blob"),
        (r"/receipts", "receipt"),
        (r"/leases", "lease"),
        (r"/gc/condemned", "condemned"),
        (r"/gc", "clock"),
        (r"/runs/[^/]+/steps/[^/]+/(run\.json|\.tmp)", "step record"),
        (r"/runs/[^/]+/steps", "step files"),
        (r"/runs/", "run record"),
        (r"/registry", "registry"),
        (r"/probes", "probe"),
    )
)

Told = Callable[[str, int], None]


class Effects:
    """Tells of every effect below a folder, once :meth:`watch` has been called, to the end of the process."""

    def __init__(self, folder: str, told: Told) -> None:
        """Call *told* with each effect's name and how many of that name were before it; what it raises is raised."""
        self._below = folder.rstrip("/") + "/"
        self._told = told
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Begin. Python tells of most acts by audit events; for the others, its functions are replaced."""
        os.write = self._instead(os.write, "write")
        os.pwrite = self._instead(os.pwrite, "write")
        os.fsync = self._instead(os.fsync, "flush")
        sys.addaudithook(self._heard)

    def _instead(self, act: Callable[..., Any], verb: str) -> Callable[..., Any]:
        def call(descriptor: int, *rest: Any) -> Any:
            self._happens(verb, descriptor)
            return act(descriptor, *rest)

        return call

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and isinstance(flags, int) and flags & _WRITES:
                self._happens("create" if flags & os.O_CREAT else "open", path)
        elif event in _EVENTS:
            verb, at, folder_at = _EVENTS[event]
            folder = -1 if folder_at is None else arguments[folder_at]
            self._happens(verb, arguments[at], folder)

    def _happens(self, verb: str, path: Any, folder: int = -1) -> None:
        place = os.path.normpath(os.path.join(_path(folder), _path(path)))
        if not f"{place}/".startswith(self._below):
            return
        inside = place[len(self._below) - 1 :]
        part = next((part for pattern, part in _PARTS if pattern.search(inside)), "workspace")
        if part:
            name = f"{verb} {part}"
            with self._lock:
                number = self._counts[name]
                self._counts[name] += 1
            self._told(name, number)


def _path(named: Any) -> str:
    if isinstance(named, int):
        try:
            return os.readlink(f"/proc/self/fd/{named}") if named >= 0 else os.getcwd()
        except OSError:
            return ""
    return os.fsdecode(named)
