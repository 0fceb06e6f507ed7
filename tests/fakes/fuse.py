"""Where FUSE can be had, and what is left of it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
from ctypes.util import find_library
from pathlib import Path

import pytest

from fakes.project import Project
from refrain import Dataset, Datastore, PipelineData, PythonScriptStep

_SYS_ADMIN = 21

WAITS = """
    import os, sys, time
    print(sorted(os.listdir(sys.argv[1])), flush=True)
    time.sleep(600)
"""
"""Says what is in its first argument, and does not end."""


def mounting(project: Project, store: Datastore, code: str, name: str = "read") -> PythonScriptStep:
    """Return a step that has the folder ``raw`` of a datastore mounted, its first argument."""
    files = Dataset.File.from_files((store, "raw")).as_named_input("files").as_mount()
    out = PipelineData("out")
    return project.step(name, code, [files, out], inputs=[files], outputs=[out])


def need_fuse() -> None:
    """Skip the test where nothing can be mounted."""
    if importlib.util.find_spec("mfusepy") is None:
        pytest.skip("needs mfusepy, of the extra 'fuse'")
    if find_library("fuse") is None and find_library("fuse3") is None:
        pytest.skip("needs libfuse, which scripts/test-deps installs where it is root on Debian")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/fuse, which a container has with --device /dev/fuse")
    found = re.search(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())
    may_mount = found is not None and int(found[1], 16) >> _SYS_ADMIN & 1
    if not may_mount and (os.geteuid() == 0 or shutil.which("fusermount3") is None):
        pytest.skip("needs to be allowed to mount, which a container is with --cap-add SYS_ADMIN")


def mounts(folder: Path) -> list[str]:
    """Return what is mounted below a folder."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def view_servers(folder: Path) -> list[int]:
    """Return the processes that serve views of the worker's cache in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_one = b"refrain.storage.view_server" in (path / "cmdline").read_bytes()
            if is_one and f"REFRAIN_CACHE={folder}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found
