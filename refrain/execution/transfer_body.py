"""TransferBody: a step that copies files and rows between datastores, within the engine, which has the credentials."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from refrain.data.handle import DataHandle
from refrain.data.ports import OutputKind, OutputPort
from refrain.data.tabular.endings import rows_at
from refrain.errors import DataError, StepCanceledError, TransferCanceledError, UserError
from refrain.execution.body import Work
from refrain.execution.inputs import ResolvedInput
from refrain.execution.loads import TableLoad
from refrain.execution.moved import moved
from refrain.execution.process_environment import text_of
from refrain.execution.queries import QueriedDataset
from refrain.execution.sizes import size_text
from refrain.execution.stage import Stage, open_stage
from refrain.execution.step_log import StepLog
from refrain.steps.data_transfer import DESTINATION_TYPE, PARQUET, SOURCE_TYPE
from refrain.storage.copying import Copied, Terms, copy, require_kind
from refrain.storage.manifest import TreeKind
from refrain.storage.sql.relation import SqlTable
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT
from refrain.storage.watch import Progress, Watch
from refrain.tracking.progress import note_progress
from refrain.tracking.run_id import StepRunId

_TOLD_EVERY_SECONDS = 5.0


class TransferBody:
    """See :class:`refrain.execution.body.Body`.

    What an interrupted copy of files has brought stays where it is: the next try goes on from there. An interrupted
    load leaves the table as it was.
    """

    def __init__(self, work: Work) -> None:
        """Know what to copy; nothing is touched yet."""
        self._work = work
        self._log = StepLog(work)
        self._canceled = threading.Event()
        self._stage: Stage | None = None
        self._told = time.monotonic()

    def prepare(self) -> None:
        """See :class:`Body`."""
        self._log.open()
        if isinstance(self._input().made, QueriedDataset):
            self._stage = open_stage(StepRunId.parse(self._work.record.run_id), (), self._work.state)

    def perform(self) -> None:
        """See :class:`Body`."""
        name, is_load = self._work.step.name, self._port.kind is OutputKind.TABLE
        try:
            if is_load:
                self._load()
            else:
                self._copy()
        except TransferCanceledError as error:
            left = "the table is as it was" if is_load else "the next run goes on from where it was"
            raise StepCanceledError(f"Step {name!r} was canceled; {left}.") from error
        except (DataError, UserError) as error:
            raise type(error)(f"Step {name!r}: {error}") from error

    def cancel(self) -> None:
        """See :class:`Body`."""
        self._canceled.set()

    def publish(self) -> dict[str, DataHandle]:
        """See :class:`Body`; what counts is all that is at the destination now."""
        target = self._target
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

    def _copy(self) -> None:
        source, target = self._source(), self._target
        if self._stage is not None and not target.path.endswith(PARQUET):
            source = self._work.state.stores.local(_as_csv(Path(source.path), self._stage.folder / "rows.csv"))
        self._log.say(f"copying {source} to {target}")
        terms = Terms(True, self._kind(SOURCE_TYPE), self._kind(DESTINATION_TYPE))
        watch = Watch(self._hear, self._canceled)
        self._log.say(_summary(copy(source, target, self._work.state.ledgers, terms, watch)))

    def _load(self) -> None:
        stores, source = self._work.state.stores, self._source()
        table = SqlTable(self._port.path)
        load = TableLoad(stores.database(self._port.datastore), table, self._log.say, _TOLD_EVERY_SECONDS)
        self._log.say(f"loading {source} into {load}")
        rows = rows_at(source, stores)
        require_kind(source, source.listing().kind, self._kind(SOURCE_TYPE))
        loaded = load.run(rows, Watch(canceled=self._canceled))
        self._log.say(f"loaded {loaded.rows:,} rows, {size_text(loaded.bytes)}, into {load}")

    @property
    def _port(self) -> OutputPort:
        (port,) = self._work.step.outputs
        return port

    @property
    def _target(self) -> Place:
        port, stores = self._port, self._work.state.stores
        if port.kind is OutputKind.TABLE:
            return stores.table(port.datastore, SqlTable(port.path))
        return stores.on(port.datastore, port.path)

    def _input(self) -> ResolvedInput:
        (item,) = self._work.inputs.values()
        return item

    def _source(self) -> Place:
        """Return the files; those of a database's rows are put into the stage."""
        item, stage, stores = self._input(), self._stage, self._work.state.stores
        if stage is None or not isinstance(item.made, QueriedDataset):
            return stores.at(item.handle.uri)
        rows = stage.mounts / item.port.name / "rows.parquet"
        item.made.put(rows)
        return stores.local(rows)

    def _kind(self, setting: str) -> TreeKind | None:
        text = text_of(dict(self._work.step.parameters)[setting], self._work.request)
        return TreeKind(text) if text else None

    def _hear(self, progress: Progress) -> None:
        if time.monotonic() - self._told < _TOLD_EVERY_SECONDS and not progress.is_complete:
            return
        self._told = time.monotonic()
        note_progress(self._work.folder, progress)
        self._log.say(moved(progress))


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
