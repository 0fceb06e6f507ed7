"""Foreground: an entry script on the first few mini-batches, in this process, for whoever is writing it.

``python -m refrain.runtime.parallel.foreground COUNT LOGS`` and then the words of a parallel run. What run() returns is
printed, and what it raises ends everything with the traceback; a debugger works as in any script.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time

from refrain.runtime.parallel.entry_script import MiniBatchContext, place_worker
from refrain.runtime.parallel.files import EmptySource, FileSource
from refrain.runtime.parallel.logs import say_anything
from refrain.runtime.parallel.mini_batch import MiniBatch, data_of, keys_of, rows_of_dataset
from refrain.runtime.parallel.pieces import pieces
from refrain.runtime.parallel.results import is_counted, rows_of
from refrain.runtime.parallel.script import Script
from refrain.runtime.parallel.settings import DEFAULT_BYTES, DEFAULT_FILES, SettingError, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

_SHOWN_LINES = 10


def main() -> int:
    """Run what the command line says; return 0 when every item has a result."""
    say_anything()
    count, logs, *words = sys.argv[1:]
    try:
        settings = Settings(words)
    except SettingError as error:
        _say(str(error))
        return 2
    place_worker("process000", logs, os.path.abspath(settings.output or logs), settings.level)
    sys.argv = [os.path.abspath(settings.script), *words]
    script = Script(settings.script)
    script.init()
    with tempfile.TemporaryDirectory(prefix="refrain-try-") as folder:
        missing = [_try(script, task) for task in itertools.islice(_tasks(settings, folder), int(count))]
    script.shutdown()
    _say(f"{len(missing)} mini-batches, {sum(missing)} items without a result")
    return 1 if sum(missing) else 0


def _try(script: Script, task: MiniBatch) -> int:
    """Run one mini-batch and show what comes of it; return how many items have no result."""
    _say(f"--- {task}: {task.items} items")
    data = data_of(task.fields, task.content)
    context = MiniBatchContext(task.index, keys_of(task.fields), task.content, data, rows_of_dataset(task.fields))
    began = time.perf_counter()
    result = script.run(data, context)
    seconds = time.perf_counter() - began
    if not is_counted(result):
        kind = type(result).__name__
        _say(f"run() returned a {kind}; return a list, a tuple or a data frame, with one element for each item")
        return task.items
    lines = rows_of(result).decode("utf-8", "replace").splitlines()
    _say(
        *lines[:_SHOWN_LINES], *([f"… and {len(lines) - _SHOWN_LINES} more lines"] if len(lines) > _SHOWN_LINES else [])
    )
    _say(f"{len(result)} results in {seconds:.3f} s")
    return max(0, task.items - len(result))


def _tasks(settings: Settings, folder: str) -> Iterator[MiniBatch]:
    if settings.tables:
        yield from _cut(settings.tables, settings, folder)
        return
    if settings.empty_count:
        source: FileSource | EmptySource = EmptySource(settings.empty_count)
    else:
        source = FileSource(settings.files, settings.size or DEFAULT_FILES)
    while not source.is_over:
        source.look()
        task = source.next()
        if task is not None:
            yield task


def _cut(descriptions: Sequence[str], settings: Settings, folder: str) -> Iterator[MiniBatch]:
    made = (pieces().Pieces(path, settings.size or DEFAULT_BYTES, settings.keys) for path in descriptions)
    for index, piece in enumerate(itertools.chain.from_iterable(made)):
        put = piece.put(os.path.join(folder, f"{index}.arrow"))
        yield MiniBatch(index, piece.items, put, piece.content, piece.title)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201  # printing is what it is for


if __name__ == "__main__":
    sys.exit(main())
