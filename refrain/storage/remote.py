"""RemoteStore: any fsspec file system as a store; what data is, is decided by a listing and not by a download."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from refrain.errors import CorruptObjectError, DataError, DataNotFoundError
from refrain.storage.blobs import BlobStore
from refrain.storage.cache import WorkerCache
from refrain.storage.filesystem import FileSystem
from refrain.storage.listing import Listed, Listing, tag_of
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.pattern import literal_part, matcher
from refrain.storage.reading import BLOCK, RemoteFile, fetched
from refrain.storage.receipts import Receipts
from refrain.storage.retry import TransientError, in_parallel
from refrain.storage.trees import DATA, TreeIdentity, TreeRules

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Knowledge:
    """What a remote store needs of its workspace and machine."""

    blobs: BlobStore
    receipts: Receipts
    cache: WorkerCache


class RemoteStore:
    """An fsspec file system as a :class:`refrain.storage.store.Store`. Its paths are URLs.

    Known limitation: a listing shows no empty folder; those of our own outputs are known from their manifests.
    """

    def __init__(self, files: FileSystem, knowledge: Knowledge) -> None:
        """Reach data by *files*; nothing is opened yet."""
        self._fs = files
        self._known = knowledge

    def uri(self, path: str) -> str:
        """See :meth:`Store.uri`."""
        return path

    def in_place(self, path: str) -> None:  # noqa: ARG002  # wherever it is, it is not here
        """See :meth:`Store.in_place`."""
        return

    def exists(self, path: str) -> bool:
        """See :meth:`Store.exists`."""
        return self.listing(path).kind is not TreeKind.MISSING

    def identify(self, path: str, rules: TreeRules = DATA) -> TreeIdentity:  # noqa: ARG002  # objects are no links
        """See :meth:`Store.identify`; what we wrote is known by its content, all else by its listing."""
        return self._identity(self._found(path))

    def manifest(self, path: str, rules: TreeRules = DATA) -> Manifest:  # noqa: ARG002
        """See :meth:`Store.manifest`."""
        listing = self._found(path)
        return self._content(listing) or listing.manifest

    def match(self, pattern: str) -> dict[str, int]:
        """See :meth:`Store.match`."""
        if self._fs.is_read_only:
            raise DataError(f"{pattern!r} cannot be looked for: a web server lists no files. Name each by its URL.")
        base = literal_part(pattern)
        is_match = matcher(pattern)
        found = ((f"{base}/{o.path}" if o.path else base, o.size) for o in self.listing(base).objects)
        return {path: size for path, size in sorted(found) if is_match(path)}

    def sizes(self, path: str) -> dict[str, int]:
        """See :meth:`Store.sizes`."""
        return {o.path: o.size for o in self.listing(path).objects}

    def open(self, path: str, buffering: int = BLOCK) -> BinaryIO:
        """See :meth:`Store.open`; a server that knows no ranges, or no sizes, has the file fetched whole."""
        info = self._fs.call(f"read {path}", lambda fs: _info(fs, path))
        listed = _listed("", path, info)
        if info.get("size") is None or (self._fs.is_read_only and not self._has_ranges(listed)):
            return self._fetched_whole(path)
        raw = RemoteFile(path, listed.size, partial(self._range, listed), partial(self._require_same, listed))
        return io.BufferedReader(raw, buffering) if buffering else raw  # type: ignore[return-value]  # reads bytes

    def listing(self, path: str) -> Listing:
        """List a tree, never from a cache; what is not there is :attr:`TreeKind.MISSING`."""
        try:
            found = self._fs.call(f"list {path}", lambda fs: _find(fs, path, self._fs.is_read_only))
        except DataNotFoundError:
            found = {}
        root = self._fs.stripped(path).rstrip("/")
        below = {name[len(root) + 1 :]: info for name, info in found.items() if name.startswith(f"{root}/")}
        below = {name: info for name, info in below.items() if name and not name.endswith("/")}
        base = path.rstrip("/")
        if below:
            objects = (_listed(name, f"{base}/{name}", info) for name, info in below.items())
            return Listing(TreeKind.DIRECTORY, tuple(sorted(objects, key=lambda o: o.path)))
        if root in found:
            return Listing(TreeKind.FILE, (_listed("", base, found[root]),))
        return Listing(TreeKind.MISSING, ())

    def mount(self, path: str, view: Path) -> Path:
        """See :meth:`Store.mount`: hard links into the worker's cache. A file keeps its name, in the folder *view*."""
        listing = self._found(path)
        top = view / path.rstrip("/").rpartition("/")[2] if listing.kind is TreeKind.FILE else view

        def link(listed: Listed) -> bool:
            target = top / listed.path if listed.path else top
            return self._known.cache.link(listed.digest, listed.size, target, lambda p: self._fetch(listed, p))

        if any(in_parallel(link, listing.objects)):
            self._known.cache.make_room()
        content = self._content(listing)
        for entry in content.entries if content else ():
            if entry.path.endswith("/"):
                os.makedirs(top / entry.path, exist_ok=True)
        return top

    def link(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """See :meth:`Store.link`: hard links into the worker's cache."""

        def link(pair: tuple[str, Path]) -> bool:
            listed = self._stat(pair[0])
            return self._known.cache.link(listed.digest, listed.size, pair[1], lambda p: self._fetch(listed, p))

        if any(in_parallel(link, pairs)):
            self._known.cache.make_room()

    def get(self, pairs: Iterable[tuple[str, Path]]) -> None:
        """See :meth:`Store.get`."""
        in_parallel(lambda pair: self._get(*pair), pairs)

    def put(self, pairs: Iterable[tuple[Path, str]]) -> None:
        """See :meth:`Store.put`; what was sent is compared with what the store has then."""
        self._require_writable()
        in_parallel(lambda pair: self._put(*pair), pairs)

    def clash(self, source: Path, path: str) -> str | None:
        """See :meth:`Store.clash`."""
        taken = {o.path for o in self.listing(path).objects}
        if not source.is_dir():
            return path if taken else None
        sent = (os.path.relpath(os.path.join(p, n), source) for p, _, names in os.walk(source) for n in names)
        return next((f"{path}/{name}" for name in sent if name in taken or "" in taken), None)

    def publish(self, source: Path, path: str, written: Manifest) -> None:
        """See :meth:`Store.publish`: every object is sent, then the listing must say that it arrived."""
        self._require_writable()
        entries = {e.path: e for e in written.entries if not e.path.endswith("/")}
        pairs = [(source / name if name else source, f"{path}/{name}" if name else path) for name in entries]
        sums = dict(zip(entries, in_parallel(lambda pair: self._send(*pair), pairs), strict=True))
        listing = self.listing(path)
        arrived = {o.path: o for o in listing.objects}
        for name, entry in entries.items():
            self._require_arrived(arrived.get(name), entry.size, sums[name], f"{path}/{name}".rstrip("/"))
        if arrived.keys() == entries.keys():  # else others have written here too, and the listing speaks for itself
            identity = TreeIdentity(written.kind, written.digest, written.files, written.bytes)
            self._known.receipts.put(listing.manifest.digest, identity)

    def remove(self, path: str) -> None:
        """See :meth:`Store.remove`."""
        self._require_writable()
        in_parallel(lambda listed: self._delete(listed.uri), self.listing(path).objects)

    def _found(self, path: str) -> Listing:
        listing = self.listing(path)
        if listing.kind is TreeKind.MISSING:
            raise DataNotFoundError(f"There is nothing at {path}.")
        return listing

    def _identity(self, listing: Listing) -> TreeIdentity:
        manifest = listing.manifest
        known = self._known.receipts.get(manifest.digest)
        return known or TreeIdentity(manifest.kind, manifest.digest, manifest.files, manifest.bytes)

    def _content(self, listing: Listing) -> Manifest | None:
        known = self._known.receipts.get(listing.manifest.digest)
        if known is None:
            return None
        with contextlib.suppress(CorruptObjectError):
            return self._known.blobs.get_manifest(known.digest)
        return None

    def _stat(self, path: str) -> Listed:
        listing = self._fs.call(f"read {path}", lambda fs: _info(fs, path))
        return _listed("", path, listing)

    def _range(self, listed: Listed, begin: int, end: int) -> bytes:
        return self._fs.call(f"read {listed.uri}", lambda fs: fetched(fs, listed.uri, listed.size, begin, end))

    def _has_ranges(self, listed: Listed) -> bool:
        """Ask for the last byte alone; fsspec says by a ValueError that all of them would come."""

        def probe(fs: Any) -> bool:
            with contextlib.suppress(ValueError):
                return listed.size < 2 or bool(fetched(fs, listed.uri, listed.size, listed.size - 1, listed.size))
            return False

        return self._fs.call(f"read {listed.uri}", probe)

    def _fetched_whole(self, path: str) -> BinaryIO:
        """Fetch a file into one of this process, without a name, that goes when it is closed."""
        copy = tempfile.NamedTemporaryFile(prefix="refrain-")  # noqa: SIM115  # closed by the caller
        try:
            self._fs.call(f"read {path}", lambda fs: fs.get_file(path, copy.name))
        except BaseException:
            copy.close()
            raise
        return copy  # type: ignore[return-value]  # delegates to a file

    def _require_same(self, listed: Listed) -> None:
        if not listed.is_known_by_chance and self._stat(listed.uri).tag != listed.tag:
            raise DataError(f"{listed.uri} changed while it was being fetched; run again when its writer has finished.")

    def _get(self, path: str, target: Path) -> None:
        temporary = target.with_name(f".refrain-{secrets.token_hex(8)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._fetch(self._stat(path), temporary)
            os.replace(temporary, target)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"{path} cannot be copied to {str(target)!r}: {error}.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def _fetch(self, listed: Listed, target: Path) -> None:
        """Bring an object here and make sure that it is the one that was listed."""

        def fetch(fs: Any) -> None:
            fs.get_file(listed.uri, str(target))
            size = target.stat().st_size
            if size != listed.size and not (listed.size == 0 and listed.is_known_by_chance):  # nobody said the size
                raise TransientError(f"Cannot read {listed.uri}: {size} bytes came instead of {listed.size}.")

        self._fs.call(f"read {listed.uri}", fetch)
        if listed.md5 is not None and _md5(target) == listed.md5:
            return
        self._require_same(listed)

    def _put(self, source: Path, path: str) -> None:
        size, md5 = source.stat().st_size, self._send(source, path)
        self._require_arrived(self._stat(path), size, md5, path)

    def _send(self, source: Path, path: str) -> str:
        self._fs.call(f"write {path}", lambda fs: fs.put_file(str(source), path))
        return _md5(source)

    def _require_arrived(self, listed: Listed | None, size: int, md5: str, path: str) -> None:
        if listed is None:
            raise DataError(f"{path} was written, but the store does not list it. Run again.")
        is_other = self._fs.protocol in ("s3", "s3a") and listed.md5 not in (None, md5)
        if listed.size != size or (is_other and not self._is_kms(path)):  # with KMS, no tag is an MD5
            raise DataError(f"{path} did not arrive as it was sent: {listed.size} of {size} bytes. Run again.")

    def _is_kms(self, path: str) -> bool:
        info: Mapping[str, Any] = self._fs.call(f"read {path}", lambda fs: _info(fs, path))
        return "ServerSideEncryption" in info or "SSECustomerAlgorithm" in info

    def _delete(self, path: str) -> None:
        with contextlib.suppress(DataNotFoundError):
            self._fs.call(f"delete {path}", lambda fs: fs.rm_file(path))

    def _require_writable(self) -> None:
        if self._fs.is_read_only:
            raise DataError(f"{self._fs.protocol}:// can be read only; write to another datastore.")


def _find(fs: Any, path: str, is_file: bool) -> dict[str, dict[str, Any]]:
    """List an object or everything below a prefix; *is_file* where there is no such thing as a folder."""
    fs.invalidate_cache()
    if not is_file:
        found = fs.find(path, detail=True)
        if found and isinstance(found, dict):  # adlfs answers with a list when there is just a file
            return {name: info for name, info in found.items() if info.get("type", "file") == "file"}
    info = fs.info(path)
    return {str(info["name"]): info} if info.get("type") == "file" else {}


def _info(fs: Any, path: str) -> dict[str, Any]:
    fs.invalidate_cache()
    return dict(fs.info(path))


def _listed(path: str, uri: str, info: Mapping[str, Any]) -> Listed:
    return Listed(path, uri, int(info.get("size") or 0), tag_of(info))


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
