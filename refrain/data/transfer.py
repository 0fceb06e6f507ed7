"""Transfer: files between this machine and a datastore, at the user's request."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from refrain.errors import DataNotFoundError
from refrain.storage.store import Place


def send(files: Sequence[str], relative_root: str | None, target: Place, overwrite: bool, show_progress: bool) -> None:
    """Copy local files below *target*, keeping those that are there unless *overwrite* is set.

    :param relative_root: what their paths there are relative to; None means the folder that they have in common.
    :raises DataNotFoundError: when a file does not exist.
    :raises DataError: when one cannot be copied.
    """
    paths = [os.path.abspath(file) for file in files]
    missing = next((path for path in paths if not os.path.isfile(path)), None)
    if missing is not None:
        raise DataNotFoundError(f"{missing!r} is no file, so that it cannot be uploaded.")
    root = os.path.abspath(relative_root) if relative_root else _common_folder(paths)
    named = {os.path.relpath(path, root): path for path in paths}
    outside = next((path for name, path in named.items() if name.startswith("..")), None)
    if outside is not None:
        raise DataNotFoundError(f"{outside!r} is not below relative_root {root!r}.")
    taken = set() if overwrite else set(target.files())
    for name in sorted(taken & named.keys()):
        _say(f"Target already exists. Skipping upload for {target.below(name)}", show_progress)
    wanted = [name for name in sorted(named) if name not in taken]
    target.store.put((Path(named[name]), target.below(name).path) for name in wanted)
    _say(f"Uploaded {len(wanted)} files", show_progress)


def receive(source: Place, target: Path, prefix: str, overwrite: bool, show_progress: bool) -> int:
    """Copy the files whose path below *source* begins with *prefix*, and return how many were copied.

    :raises DataError: when one cannot be copied.
    """
    folder = source.below(os.path.dirname(prefix))
    names = [os.path.join(os.path.dirname(prefix), name) for name in folder.files()]
    found = [name for name in names if name.startswith(prefix)]
    wanted = [name for name in found if overwrite or not (target / name).exists()]
    source.store.get((source.below(name).path, target / name) for name in wanted)
    _say(f"Downloaded {len(wanted)} files, {len(found) - len(wanted)} were there", show_progress)
    return len(wanted)


def _common_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else os.getcwd()


def _say(line: str, is_wanted: bool) -> None:
    if is_wanted:
        sys.stdout.write(f"{line}\n")
