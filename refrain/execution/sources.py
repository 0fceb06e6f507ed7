"""Sources: the snapshots of a run's source directories.

Each is taken once, so that a whole run sees one state of the code.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.errors import CorruptObjectError, SnapshotError
from refrain.steps.counting import select
from refrain.steps.definition import NO_SOURCE, Counted, PipelineDefinition, SourceCode, freeze
from refrain.storage.blobs import blob_key
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.snapshot import Snapshot, capture, read_manifest, restore, take_snapshot
from refrain.storage.state import WorkspaceState
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.steps.imports import Imported

NO_FILES = Manifest(TreeKind.DIRECTORY, ())
"""The snapshot of a step that has no source."""


@dataclass(frozen=True)
class Selection:
    """What of a source counts.

    :param digest: of the files that count.
    :param part: their list; None when all files of the source count.
    :param note: why all count although less was asked for.
    """

    digest: str
    part: Manifest | None = None
    note: str = ""


class Sources:
    """Snapshots by source directory. Safe to use from many threads."""

    def __init__(self, state: WorkspaceState) -> None:
        """Store captured files in *state*."""
        self._state = state
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}
        self._captured: dict[SourceCode, Manifest] = {}
        self._selections: dict[SourceCode, Selection] = {}
        self._imports: dict[str, Imported] = {}

    def digest(self, source: SourceCode) -> str:
        """Return the snapshot's digest.

        :raises SnapshotError: when the directory cannot be captured.
        """
        if source == NO_SOURCE:
            return NO_FILES.digest
        if source.snapshot is not None:
            return source.snapshot
        return self._snapshot(str(source.directory)).digest

    def selection(self, source: SourceCode) -> Selection:
        """Return what of a source counts.

        :raises SnapshotError: as :meth:`digest`, or when a file that says what is imported cannot be read.
        """
        if source.counted is None:
            return Selection(self.digest(source))
        if source not in self._selections:
            self._selections[source] = self._select(source, source.counted)
        return self._selections[source]

    def manifest(self, source: SourceCode) -> Manifest | None:
        """Return a source's file list without storing anything; None for a frozen snapshot that is not stored."""
        if source == NO_SOURCE:
            return NO_FILES
        if source.snapshot is not None:
            return self._state.blobs.get_manifest(source.snapshot)
        return read_manifest(str(source.directory), self._state.trees)

    def capture(self, source: SourceCode) -> Manifest:
        """Store the files of a source, unless they are, and return their manifest.

        :raises SnapshotError: when the directory changed since its snapshot was taken, or a frozen snapshot is not
            in the workspace.
        """
        whole = source.whole
        if whole not in self._captured:
            self._captured[whole] = self._capture(whole)
        return self._captured[whole]

    def freeze(self, definition: PipelineDefinition) -> PipelineDefinition:
        """Store the sources of all steps and return the definition with snapshots in place of directories.

        :raises SnapshotError: as :meth:`capture`.
        """
        return freeze(definition, {step.key: self.capture(step.source).digest for step in definition.steps})

    def restore(self, source: SourceCode, target: Path) -> Manifest:
        """Write a source's files into *target* and return their manifest.

        :raises SnapshotError: as :meth:`capture`, or when a stored file is damaged and cannot be had again.
        """
        manifest = self.capture(source)
        try:
            restore(manifest, self._state.blobs, target)
        except CorruptObjectError:
            manifest = self._restore_anew(source, target)
        return manifest

    def _restore_anew(self, source: SourceCode, target: Path) -> Manifest:
        """Store what is missing once more: a file may be damaged, or cleaned away just before this run needed it."""
        shutil.rmtree(target, ignore_errors=True)
        manifest = self._capture(source)
        try:
            restore(manifest, self._state.blobs, target)
        except CorruptObjectError as error:
            raise SnapshotError(f"The source of the step cannot be restored: {error}") from error
        return manifest

    def _select(self, source: SourceCode, counted: Counted) -> Selection:
        manifest = self._unchanged(source)
        entries = {entry.path: entry for entry in manifest.entries}
        chosen, note = select(entries, counted, lambda path: self._imported(source, path, entries[path].digest))
        part = Manifest(manifest.kind, tuple(entries[path] for path in sorted(chosen)))
        if part.digest == manifest.digest:
            return Selection(manifest.digest, note=note)
        return Selection(part.digest, part, note)

    def _unchanged(self, source: SourceCode) -> Manifest:
        """Return the file list behind :meth:`digest`, storing nothing."""
        digest, manifest = self.digest(source), self.manifest(source)
        if manifest is None or manifest.digest != digest:
            place = source.directory or f"snapshot {digest}"
            raise SnapshotError(f"The source {place!r} is not what it was a moment ago; run again.")
        return manifest

    def _imported(self, source: SourceCode, path: str, digest: str) -> Imported:
        from refrain.steps.imports import read_imports

        if digest not in self._imports:
            self._imports[digest] = read_imports(self._content(source, path, digest))
        return self._imports[digest]

    def _content(self, source: SourceCode, path: str, digest: str) -> bytes:
        try:
            stored = self._state.objects.get(blob_key(digest)) if source.directory is None else None
            content = Path(str(source.directory), path).read_bytes() if stored is None else stored
        except OSError as error:
            raise SnapshotError(f"The source file {path!r} cannot be read: {error}") from error
        if digest_bytes(content) != digest:
            raise SnapshotError(f"The source file {path!r} is not what it was a moment ago; run again.")
        return content

    def _capture(self, source: SourceCode) -> Manifest:
        if source == NO_SOURCE:
            self._state.blobs.put_manifest(NO_FILES, durable=False)
            return NO_FILES
        if source.snapshot is None:
            snapshot = self._snapshot(str(source.directory))
            with self._lock:
                return capture(snapshot, self._state.trees, self._state.blobs)
        manifest = self._state.blobs.get_manifest(source.snapshot)
        if manifest is None:
            raise SnapshotError(
                f"The snapshot {source.snapshot} is not in the workspace {str(self._state.address)!r}; "
                "submit the pipeline anew."
            )
        return manifest

    def _snapshot(self, directory: str) -> Snapshot:
        with self._lock:
            if directory not in self._snapshots:
                self._snapshots[directory] = take_snapshot(directory, self._state.trees)
            return self._snapshots[directory]
