"""Artifacts: the files that a run keeps under names, in one folder."""

from __future__ import annotations

import os
import posixpath

from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Iterator, Sequence

_BLOCK = 1 << 20


class ArtifactFolder:
    """The artifacts of one run. A name is given once: an artifact never changes."""

    def __init__(self, root: str) -> None:
        self._root = root

    def add(self, name: str, content: bytes | IO[Any]) -> None:
        """Store *content* (bytes, or a stream of bytes or text) as artifact *name*.

        :raises UserErrorException: if the name is taken.
        """
        target = self.path(name)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except (FileExistsError, NotADirectoryError):
            raise _taken(name) from None
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines(_blocks(content))
        except BaseException:
            os.unlink(target)
            raise

    def add_file(self, name: str, path: str | os.PathLike[str]) -> None:
        """Store the file at *path* as artifact *name*."""
        if not os.path.isfile(path):
            way_out = f"run.upload_folder('{name}', path) takes folders." if os.path.isdir(path) else "Check the path."
            raise ArtifactNotFoundException(
                f"Artifact '{name}' cannot be uploaded: there is no file at '{os.fspath(path)}'. {way_out}"
            )
        with open(path, "rb") as stream:
            self.add(name, stream)

    def add_files(self, files: Sequence[tuple[str, str | os.PathLike[str]]]) -> list[str]:
        """Store files, each given as its name and its path; none of them if one name is taken. Return the names."""
        names = [artifact_name(name) for name, _ in files]
        seen: set[str] = set()
        for name in names:
            if name in seen or self.has(name):
                raise _taken(name)
            seen.add(name)
        for name, (_, path) in zip(names, files):
            self.add_file(name, path)
        return names

    def add_new(self, stem: str, ending: str, content: bytes) -> str:
        """Store *content* under the first free name that begins with *stem*; return the name."""
        name, count = stem + ending, 0
        while self.has(name):
            count += 1
            name = f"{stem}_{count}{ending}"
        self.add(name, content)
        return name

    def has(self, name: str) -> bool:
        """Whether an artifact *name* exists."""
        return os.path.isfile(self.path(name))

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(name for name, _ in files_below(self._root))

    def copy_out(self, name: str, target: str) -> None:
        """Copy artifact *name* to the file *target*, whose folder is made and whose content is replaced.

        :raises ArtifactNotFoundException: if there is no such artifact.
        """
        if not self.has(name):
            known = ", ".join(self.names()) or "none"
            raise ArtifactNotFoundException(
                f"This run has no artifact '{name}'. It has: {known}. "
                "What a script writes into ./outputs and ./logs becomes an artifact after it has ended."
            )
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        with open(self.path(name), "rb") as source, open(target, "wb") as stream:
            stream.writelines(_blocks(source))

    def copy_all(self, prefix: str, folder: str, targets: Sequence[str] | None, keep_prefix: bool) -> None:
        """Copy the artifacts whose names begin with *prefix*, to *targets* in order of their names or into *folder*.

        :param keep_prefix: in *folder*, keep the prefix as a part of the path.
        """
        names = [name for name in self.names() if name.startswith(prefix)]
        if not names:
            known = ", ".join(self.names()) or "none"
            raise ArtifactNotFoundException(f"This run has no artifact that begins with '{prefix}'. It has: {known}.")
        if targets is None:
            shown = [name if keep_prefix else name[len(prefix) :].lstrip("/") for name in names]
            targets = [os.path.join(folder, rest or os.path.basename(name)) for rest, name in zip(shown, names)]
        if len(targets) != len(names):
            raise UserErrorException(
                f"{len(names)} artifacts begin with '{prefix}', but output_paths has {len(targets)}. Give one each."
            )
        for name, target in zip(names, targets):
            self.copy_out(name, target)

    def read(self, name: str) -> bytes:
        """Return the content of artifact *name*."""
        with open(self.path(name), "rb") as stream:
            return stream.read()

    def path(self, name: str) -> str:
        """Return where artifact *name* is, or would be."""
        return os.path.join(self._root, *artifact_name(name).split("/"))


def artifact_name(name: str) -> str:
    """Return *name* in its one spelling: parts joined by ``/``, no ``.`` among them.

    :raises UserErrorException: if the name is empty, absolute or climbs out of the run's folder.
    """
    text = name if isinstance(name, str) else os.fspath(name)
    parts = text.split("/")
    if not text.strip("./") or text.startswith("/") or text.endswith("/") or ".." in parts or "\0" in text:
        raise UserErrorException(
            f"Artifact name {text!r} is not a relative path below the run. Write it as 'folder/file.txt', without '..'."
        )
    return posixpath.normpath(text)


def _taken(name: str) -> UserErrorException:
    return UserErrorException(f"Artifact '{name}' exists already, and artifacts do not change. Choose another name.")


def files_below(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files below *folder*, each as its relative name with ``/`` and its path; links are followed once."""
    seen = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders.sort()
        for file in sorted(files):
            path = os.path.join(here, file)
            yield os.path.relpath(path, folder).replace(os.sep, "/"), path


def _blocks(content: bytes | IO[Any]) -> Iterator[bytes]:
    if isinstance(content, (bytes, bytearray)):
        yield bytes(content)
        return
    while True:
        block = content.read(_BLOCK)
        if not block:
            return
        yield block.encode() if isinstance(block, str) else block
