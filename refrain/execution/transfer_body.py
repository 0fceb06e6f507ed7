"""TransferBody: a step that copies data between datastores, within the engine, which has the credentials."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from refrain.data.handle import DataHandle
from refrain.errors import DataError, StepCanceledError, TransferCanceledError, WorkspaceError
from refrain.execution.body import Work
from refrain.execution.inputs import ResolvedInput
from refrain.execution.moved import moved
from refrain.execution.process_environment import text_of
from refrain.execution.queries import QueriedDataset
from refrain.execution.run_folder import LOG_FILE
from refrain.execution.sizes import size_text
from refrain.execution.stage import Stage, open_stage
from refrain.steps.data_transfer import DESTINATION_TYPE, PARQUET, SOURCE_TYPE
from refrain.storage.copying import Copied, Terms, copy
from refrain.storage.manifest import TreeKind
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT
from refrain.storage.watch import Progress, Watch
from refrain.tracking.progress import note_progress
from refrain.tracking.run_id import StepRunId

_TOLD_EVERY_SECONDS = 5.0


class TransferBody:
    """See :class:`refrain.execution.body.Body`.

    What an interrupted copy has brought stays where it is: the next try goes on from there.
    """

    def __init__(self, work: Work) -> None:
        """Know what to copy; nothing is touched yet."""
        self._work = work
        self._canceled = threading.Event()
        self._stage: Stage | None = None
        self._told = time.monotonic()

    def prepare(self) -> None:
        """See :class:`Body`."""
        try:
            os.makedirs(os.path.join(self._work.folder, os.path.dirname(LOG_FILE)), exist_ok=True)
        except OSError as error:
            folder = self._work.folder
            raise WorkspaceError(f"Cannot write to the run folder {folder!r}: {error.strerror}.") from error
        if isinstance(self._input().made, QueriedDataset):
            self._stage = open_stage(StepRunId.parse(self._work.record.run_id), (), self._work.state)

    def perform(self) -> None:
        """See :class:`Body`."""
        work, name = self._work, self._work.step.name
        target = self._target()
        terms = Terms(True, self._kind(SOURCE_TYPE), self._kind(DESTINATION_TYPE))
        try:
            source = self._source()
            self._say(f"copying {source} to {target}")
            copied = copy(source, target, work.state.ledgers, terms, Watch(self._hear, self._canceled))
        except TransferCanceledError as error:
            raise StepCanceledError(f"Step {name!r} was canceled; the next run goes on from where it was.") from error
        except DataError as error:
            raise type(error)(f"Step {name!r}: {error}") from error
        self._say(_summary(copied))

    def cancel(self) -> None:
        """See :class:`Body`."""
        self._canceled.set()

    def publish(self) -> dict[str, DataHandle]:
        """See :class:`Body`; what counts is all that is at the destination now."""
        target = self._target()
        manifest = target.manifest(OUTPUT)
        self._work.state.blobs.put_manifest(manifest)
        handle = DataHandle(target.uri, manifest.kind, manifest.digest, manifest.files, manifest.bytes)
        return {self._work.step.outputs[0].name: handle}

    def take_back(self) -> None:
        """See :class:`Body`; the destination is the user's own place, and may have held more than this step's files."""

    def close(self) -> None:
        """See :class:`Body`."""
        if self._stage is not None:
            self._stage.remove()

    def _input(self) -> ResolvedInput:
        (item,) = self._work.inputs.values()
        return item

    def _source(self) -> Place:
        item, stage, stores = self._input(), self._stage, self._work.state.stores
        if stage is None or not isinstance(item.made, QueriedDataset):
            return stores.at(item.handle.uri)
        rows = stage.mounts / item.port.name / "rows.parquet"
        item.made.put(rows)
        if self._target().path.endswith(PARQUET):
            return stores.local(rows)
        return stores.local(_as_csv(rows, stage.folder / "rows.csv"))

    def _target(self) -> Place:
        (port,) = self._work.step.outputs
        return self._work.state.stores.on(port.datastore, port.path)

    def _kind(self, setting: str) -> TreeKind | None:
        text = text_of(dict(self._work.step.parameters)[setting], self._work.request)
        return TreeKind(text) if text else None

    def _hear(self, progress: Progress) -> None:
        if time.monotonic() - self._told < _TOLD_EVERY_SECONDS and not progress.is_complete:
            return
        self._told = time.monotonic()
        note_progress(self._work.folder, progress)
        self._say(moved(progress))

    def _say(self, line: str) -> None:
        with open(Path(self._work.folder, LOG_FILE), "a", encoding="utf-8") as log:
            log.write(f"{line}\n")
        self._work.listener.line(self._work.step.key, line)


def _as_csv(rows: Path, target: Path) -> Path:
    """Write the rows of a Parquet file as comma-separated values, a batch at a time."""
    from pyarrow.csv import CSVWriter
    from pyarrow.parquet import ParquetFile

    with ParquetFile(rows) as file, CSVWriter(target, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch)
    return target


def _summary(copied: Copied) -> str:
    kept = f"; {copied.kept} of them had arrived in an earlier try" if copied.kept else ""
    return f"copied {copied.files} files, {size_text(copied.bytes)}, to {copied.place}{kept}"
