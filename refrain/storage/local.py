"""LocalStore: files of this machine, identified by content and published by renaming."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

from refrain.errors import DataError, DataNotFoundError, UntrustedReferenceError
from refrain.storage.digest import digest_bytes
from refrain.storage.filling import SIGN, refusal, sign_for
from refrain.storage.listing import Listed, Listing, require_listed
from refrain.storage.local_files import LocalReading, LocalWriting, listed_file, status_tag
from refrain.storage.manifest import MISSING, Manifest, TreeKind
from refrain.storage.reading import BLOCK
from refrain.storage.removal import remove_tree
from refrain.storage.scan import require_plain, scan, unseen
from refrain.storage.streams import Reading, Writing
from refrain.storage.trees import DATA, TreeIdentity, TreeRules, Trees

_SYNC_EACH_UP_TO = 256
# Nothing in it to be decoded or put in order.
_PLAIN = re.compile(r"file://((?:/\.?[\w+=,@~-][\w.+=,@~-]*)+)", re.ASCII)


class LocalStore:
    """The local file system as a :class:`refrain.storage.store.Store`."""

    def __init__(self, trees: Trees) -> None:
        """Answer what data is from *trees*."""
        self._trees = trees

    def uri(self, path: str) -> str:
        """See :meth:`Store.uri`."""
        return file_uri(Path(path))

    def in_place(self, path: str) -> Path | None:
        """See :meth:`Store.in_place`."""
        return Path(path)

    def exists(self, path: str) -> bool:
        """See :meth:`Store.exists`."""
        return os.path.exists(path)

    def identify(self, path: str, rules: TreeRules = DATA) -> TreeIdentity:
        """See :meth:`Store.identify`."""
        return self._trees.identify(path, rules)

    def manifest(self, path: str, rules: TreeRules = DATA) -> Manifest:
        """See :meth:`Store.manifest`."""
        return self._trees.manifest(path, rules)

    def match(self, pattern: str) -> dict[str, int]:
        """See :meth:`Store.match`."""
        paths = (path for path in glob.iglob(pattern, recursive=True) if not os.path.isdir(path))
        return {path: _size(path) for path in sorted(paths)}

    def sizes(self, path: str) -> dict[str, int]:
        """See :meth:`Store.sizes`."""
        if os.path.isdir(path):
            return dict(sorted(pair for folder in scan(path) for pair in folder.sizes()))
        return {"": _size(path)} if os.path.lexists(path) else {}

    def open(self, path: str, buffering: int = BLOCK) -> BinaryIO:
        """See :meth:`Store.open`."""
        try:
            _size(path)
            return open(path, "rb", buffering=-1 if buffering else 0)
        except OSError as error:
            raise _unreadable(path, error) from error

    def mount(self, path: str, view: Path, *, is_lazy: bool = False) -> Path:  # noqa: ARG002  # it is here
        """See :meth:`Store.mount`."""
        return Path(path)

    def link(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """See :meth:`Store.link`: symbolic links, so that a file may be on another file system."""
        for path, target in pairs:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)
            except OSError as error:
                raise DataError(f"{path!r} cannot be linked at {str(target)!r}: {error.strerror}.") from error

    def get(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """See :meth:`Store.get`."""
        self.put((Path(path), str(target)) for path, target in pairs)

    def put(self, pairs: Iterable[tuple[Path, str]]) -> None:
        """See :meth:`Store.put`."""
        from refrain.storage.transfer import Item, transfer

        files = [(self.reading(listed_file("", str(source))), self.writing(path)) for source, path in pairs]
        transfer([Item(to.name, source, to) for source, to in files])

    def listing(self, path: str, *, is_filling: bool = False) -> Listing:
        """See :meth:`Store.listing`; empty folders are left out."""
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            return Listing(TreeKind.MISSING, ())
        except OSError as error:
            raise DataError(f"Cannot read {path!r}: {error.strerror}.") from error
        if not is_folder:
            return Listing(TreeKind.FILE, (listed_file("", path),))
        folders = scan(path, is_filling=is_filling)
        objects = [
            Listed(f.prefix + name, f.path(at), row.size, status_tag(row))
            for f in folders
            for at, (name, row) in enumerate(zip(f.names, f.stats(), strict=True))
        ]
        empty = tuple(f.prefix for f in folders if not f.names)
        return Listing(TreeKind.DIRECTORY, tuple(sorted(objects, key=lambda o: o.path)), empty)

    def reading(self, listed: Listed) -> Reading:
        """See :meth:`Store.reading`."""
        return LocalReading(listed)

    def writing(self, path: str) -> Writing:
        """See :meth:`Store.writing`."""
        return LocalWriting(Path(path))

    def clash(self, source: Path, path: str) -> str | None:
        """See :meth:`Store.clash`."""
        target = Path(path)
        if not target.exists():
            return None
        taken = [_below(target, file, source) for file in _files(source)] if source.is_dir() else [target]
        return next((str(place) for place in taken if place.exists()), None)

    def publish(self, source: Path, path: str, written: Manifest) -> None:  # noqa: ARG002  # a rename needs no list
        """See :meth:`Store.publish`."""
        target = Path(path)
        flush(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and source.is_dir() != target.is_dir():
            raise OSError(f"{path!r} is in the way")
        if not target.exists() or not source.is_dir():
            try:
                _place(source, target)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise  # else another step has just put its own files there, to which ours are added
        empty = [parent for parent, folders, names in os.walk(source) if not folders and not names]
        for file in list(_files(source)):
            place = _below(target, file, source)
            place.parent.mkdir(parents=True, exist_ok=True)
            _place(Path(file), place)
        for folder in empty:
            _below(target, folder, source).mkdir(parents=True, exist_ok=True)

    def require_filled(self, path: str) -> None:
        """See :meth:`Store.require_filled`."""
        for folder in Path(path).parents:
            if (folder / SIGN).exists():
                raise DataError(refusal(str(folder)))

    def accept(self, path: str, arrived: Mapping[str, tuple[int, str]], content: Manifest | None) -> None:  # noqa: ARG002
        """See :meth:`Store.accept`; the content can be read here whenever it is asked for."""
        require_listed(self.listing(path, is_filling=True), arrived, path)

    def sign(self, path: str) -> bytes | None:
        """See :meth:`Store.sign`."""
        try:
            return Path(path, SIGN).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    @contextlib.contextmanager
    def filling(self, path: str, source: str, *, is_fresh: bool) -> Iterator[str]:
        """See :meth:`Store.filling`: beside the place, then renamed; a folder that is there is merged, under a sign."""
        target = Path(path)
        waiting = target.with_name(f".refrain-copy-{digest_bytes(os.fsencode(path))[:16]}")
        with _explained(path):
            waiting.mkdir(parents=True, exist_ok=True)
        with _held(waiting):
            with _explained(path):
                for child in waiting.iterdir() if is_fresh else ():  # not before the lock is ours
                    remove_path(child)
            yield str(waiting)
            with _explained(path):
                sign = target / SIGN if target.exists() else None
                if sign is not None:
                    sign.write_bytes(sign_for(source))
                self.publish(waiting, path, MISSING)
                if sign is not None:
                    sign.unlink()
                    remove_path(waiting)

    def remove(self, path: str) -> None:
        """See :meth:`Store.remove`."""
        remove_path(Path(path))
        with contextlib.suppress(OSError):
            Path(path).parent.rmdir()


def file_uri(path: Path) -> str:
    """Return the ``file://`` URI of an absolute path."""
    return path.as_uri()


def local_path(uri: str) -> Path:
    """Return the local path behind a ``file://`` URI.

    :raises UntrustedReferenceError: when it is a URI of another kind, or of another host.
    """
    return Path(local_text(uri))


def local_text(uri: str) -> str:
    """Return :func:`local_path` as text, which costs a tenth of it."""
    plain = _PLAIN.fullmatch(uri)
    if plain is not None:
        return plain[1]
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise UntrustedReferenceError(f"{uri[:200]!r} is no local path; only file:/// URIs can be read.")
    return os.fspath(Path(os.fsdecode(unquote_to_bytes(parts.path))))


def _size(path: str) -> int:
    """Return a file's size in bytes.

    :raises DataError: when it cannot be read, or is none.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    require_plain(path, status)
    return status.st_size


def _unreadable(path: str, error: OSError) -> DataError:
    if isinstance(error, DataError):
        return error
    kind = DataNotFoundError if isinstance(error, FileNotFoundError) else DataError
    return kind(unseen(path, error))


def _place(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_beside(source, target)


def _copy_beside(source: Path, target: Path) -> None:
    """Come from another file system, as in upload mode: copy, flush, then rename."""
    waiting = target.with_name(f".refrain-{os.urandom(16).hex()}")
    try:
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, waiting, symlinks=True)
        else:
            shutil.copyfile(source, waiting, follow_symlinks=False)
        flush(waiting)
        os.replace(waiting, target)
    except BaseException:
        remove_path(waiting)
        raise


def flush(path: Path) -> None:
    """Get the bytes onto the disk, so that no record outlives its data through a loss of power."""
    found = _files(path) if path.is_dir() and not path.is_symlink() else [str(path)]
    files = [file for file in found if not os.path.islink(file)]  # what a link leads to may not be there yet
    if len(files) > _SYNC_EACH_UP_TO:
        os.sync()
        return
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep a folder for oneself; the kernel lets go of it when its holder is killed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise DataError(f"Another copy fills {str(folder)!r}; wait until it has ended.") from error
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The folder {path!r} cannot be filled: {error.strerror or error}.") from error


def _files(folder: Path) -> Iterator[str]:
    """Yield the files, and the links, also those that lead to folders."""
    for parent, folders, names in os.walk(folder):
        paths = (os.path.join(parent, name) for name in folders)
        yield from (os.path.join(parent, name) for name in names)
        yield from (path for path in paths if os.path.islink(path))


def _below(target: Path, file: str, source: Path) -> Path:
    return target / os.path.relpath(file, source)


def remove_path(path: Path) -> None:
    """Delete a file or a folder; nothing happens when there is none."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)
