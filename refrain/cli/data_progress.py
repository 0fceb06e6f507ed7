"""DataProgress: how a long copy is getting on, as a bar on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from refrain.cli.answer import say
from refrain.execution.moved import moved
from refrain.storage.watch import Progress, Watch

_LINE_EVERY_SECONDS = 5.0


@contextlib.contextmanager
def shown(what: str, is_quiet: bool) -> Iterator[Watch]:
    """Give a watch that shows progress on standard error while the block runs; Ctrl-C stops what is watched."""
    if is_quiet or not sys.stderr.isatty():
        yield Watch(_Lines(is_quiet))
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Bar(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(what)

        def hear(progress: Progress) -> None:
            files = f"{what}: {progress.files} of {progress.all_files} files"
            bar.update(task, description=files, completed=progress.bytes, total=progress.all_bytes)

        yield Watch(hear)


class _Lines:
    """Says how far it is every few seconds, so that short work says nothing."""

    def __init__(self, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if self._is_quiet or time.monotonic() - self._told < _LINE_EVERY_SECONDS:
            return
        self._told = time.monotonic()
        say(moved(progress))
