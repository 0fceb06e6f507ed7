"""UnfinishedWork: what a try that did not end well leaves to the next one of the same work.

::

    <machine>/unfinished/<ab>/<key>/    whatever the process of the step keeps there
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from refrain.errors import WorkspaceError

UNFINISHED = "unfinished"


class UnfinishedWork:
    """The folder of one piece of work, which goes when its result is committed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def folder(self) -> Path:
        """The folder, which is made if it is not there.

        :raises WorkspaceError: when it cannot be made.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"Cannot make the folder {str(self._path)!r}: {error.strerror}.") from error
        return self._path

    def remove(self) -> None:
        """Remove what is kept; nothing is left to do."""
        shutil.rmtree(self._path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._path.parent.rmdir()


def unfinished(root: Path) -> Iterator[tuple[Path, float]]:
    """Yield the folders of all unfinished work of this machine, and when something was last written to each."""
    for folder in sorted((root / UNFINISHED).glob("??/*")):
        with contextlib.suppress(OSError):  # its work has just been finished
            yield folder, max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
