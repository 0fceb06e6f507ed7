"""Removal: deleting what a script has left, whatever it has done to its folders."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Delete a folder with all that is in it; what nobody may delete stays, and nothing is raised.

    A script may have taken away its own right to look into a folder, or have copied one into itself, deeper than paths
    can be long.
    """
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        with contextlib.suppress(OSError):
            _remove_by_levels(folder)


def _remove_by_levels(top: Path) -> None:
    """Empty the folders right below *top*, of which those within come up one level, until none is left."""
    os.chmod(top, 0o700)
    while True:
        with os.scandir(top) as entries:
            below = list(entries)
        for entry in below:
            if entry.is_dir(follow_symlinks=False):
                _take_apart(entry.path, top)
            else:
                os.unlink(entry.path)
        if not below:
            break
    os.rmdir(top)


def _take_apart(folder: str, top: Path) -> None:
    os.chmod(folder, 0o700)
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                os.rename(entry.path, top / os.urandom(16).hex())
            else:
                os.unlink(entry.path)
    os.rmdir(folder)
