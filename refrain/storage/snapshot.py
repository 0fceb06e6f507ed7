"""Snapshot: the files of a source directory, captured by content and restored anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from refrain.errors import CorruptObjectError, DataError, RefrainError, SnapshotError, why
from refrain.storage.blobs import BlobStore
from refrain.storage.manifest import Manifest
from refrain.storage.scan import Keep
from refrain.storage.trees import TreeIdentity, TreeRules, Trees
from refrain.values import dataclass

T = TypeVar("T")

MAX_BYTES = 300 * 1024 * 1024
MAX_FILES = 2000
NO_FILE_LIMIT = "AML_SNAPSHOT_NO_FILE_LIMIT"

IGNORE_FILES = (".amlignore", ".gitignore")
"""The first of these at the root of a source directory is read; nested ones never are (Azure ML's rule)."""

NEVER_CAPTURED = frozenset({"__pycache__", ".git", ".refrain"})
"""What changes without any file of the source changing: bytecode, the repository's own books, and ours."""


@dataclass(frozen=True)
class Snapshot:
    """A source directory as it was at one moment; ``digest`` counts paths, executable bits and bytes."""

    source_directory: str
    identity: TreeIdentity

    @property
    def digest(self) -> str:
        """The digest of the snapshot's manifest."""
        return self.identity.digest


def take_snapshot(source_directory: str, trees: Trees, environ: Mapping[str, str] = os.environ) -> Snapshot:
    """Identify the files of *source_directory* that a step would see; nothing is copied.

    :raises SnapshotError: the directory is missing, holds a special file, or is over the limits of
        300 MB and 2000 files (the latter lifted by the environment variable ``AML_SNAPSHOT_NO_FILE_LIMIT``).
    """

    def require_small(files: int, size: int) -> None:
        if size > MAX_BYTES:
            raise SnapshotError(
                f"The source directory {source_directory!r} holds {size / 2**20:.0f} MB, more than the "
                f"{MAX_BYTES // 2**20} MB of a snapshot. Keep data out of it, or name it in {IGNORE_FILES[0]}."
            )
        if files > MAX_FILES and NO_FILE_LIMIT not in environ:
            raise SnapshotError(
                f"The source directory {source_directory!r} holds {files} files, more than the {MAX_FILES} of a "
                f"snapshot. Name what is not needed in {IGNORE_FILES[0]}, or set {NO_FILE_LIMIT}=1."
            )

    return Snapshot(source_directory, _read(source_directory, trees, trees.identify, require_small))


def read_manifest(source_directory: str, trees: Trees) -> Manifest:
    """Return the file list of *source_directory* as it is now; raises as :func:`take_snapshot`, limits aside."""
    return _read(source_directory, trees, trees.manifest)


def capture(snapshot: Snapshot, trees: Trees, blobs: BlobStore) -> Manifest:
    """Store the snapshot's files and its manifest, so that it can be restored without the directory.

    :raises SnapshotError: when the directory changed since the snapshot was taken.
    """
    try:
        stored = blobs.get_manifest(snapshot.digest)
    except CorruptObjectError:
        stored = None
    if stored is None:
        stored = read_manifest(snapshot.source_directory, trees)
    if stored.digest != snapshot.digest:
        raise SnapshotError(
            f"The source directory {snapshot.source_directory!r} changed while the step was being prepared; run again."
        )
    for entry in stored.entries:
        if not entry.path.endswith("/"):
            blobs.put_file(os.path.join(snapshot.source_directory, entry.path), entry.digest)
    blobs.put_manifest(stored, durable=False)
    return stored


def restore(manifest: Manifest, blobs: BlobStore, target: Path) -> None:
    """Write a snapshot's files into the new folder *target*.

    :raises CorruptObjectError: when a stored file is missing or damaged.
    :raises SnapshotError: when the folder cannot be written.
    """
    try:
        os.makedirs(target, exist_ok=True)
        folders = {os.path.dirname(entry.path) for entry in manifest.entries}
        for folder in sorted(folders - {""}):
            os.makedirs(target / folder, exist_ok=True)
        for entry in manifest.entries:
            if not entry.path.endswith("/"):
                blobs.copy_out(entry.digest, str(target / entry.path), entry.executable)
    except RefrainError:
        raise
    except OSError as error:
        raise SnapshotError(f"The source cannot be written to {str(target)!r}: {why(error)}") from error


def _read(
    source_directory: str,
    trees: Trees,
    read: Callable[[str, TreeRules], T],
    admit: Callable[[int, int], None] | None = None,
) -> T:
    if not os.path.isdir(source_directory):
        raise SnapshotError(f"The source directory {source_directory!r} does not exist or is not a directory.")
    keep = _keep(source_directory, trees.own_folders)
    rules = TreeRules(keep=keep, executable=True, admit=admit, index_key="\0snapshot")
    try:
        return read(source_directory, rules)
    except DataError as error:
        hint = f"Remove it, or name it in {IGNORE_FILES[0]}."
        raise SnapshotError(f"The source directory {source_directory!r} cannot be captured: {error} {hint}") from error


def _keep(source_directory: str, own_folders: tuple[str, ...]) -> Keep:
    is_ignored = _ignored(source_directory)
    own = {_relative(folder, source_directory) for folder in own_folders}

    def keep(path: str, is_directory: bool) -> bool:
        if os.path.basename(path) in NEVER_CAPTURED or path in own:
            return False
        return not is_ignored(f"{path}/" if is_directory else path)

    return keep


def _ignored(source_directory: str) -> Callable[[str], bool]:
    for name in IGNORE_FILES:
        path = os.path.join(source_directory, name)
        if os.path.isfile(path):
            from pathspec import GitIgnoreSpec

            try:
                lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
                lines = list(map(_as_git_reads_it, lines))
                return GitIgnoreSpec.from_lines(lines).match_file
            except (OSError, ValueError) as error:
                raise SnapshotError(f"The ignore file {path!r} cannot be read: {error}.") from error
    return lambda _: False


def _as_git_reads_it(line: str) -> str:
    """In git, ``a/**`` is what is in a/, and ``a/**/`` the folders there; else both would match a/ itself."""
    line = line.rstrip()
    for ending in ("/**", "/**/"):
        if line.endswith(ending):
            return f"{line.removesuffix(ending)}/*{ending[3:]}"
    return line


def _relative(folder: str, source_directory: str) -> str:
    """Return a folder's path as the walk names it; one outside of the source gets a path that the walk never names."""
    return os.path.relpath(os.path.realpath(folder), os.path.realpath(source_directory))
