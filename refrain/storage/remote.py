"""RemoteStore: any fsspec file system as a store; what data is, is decided by a listing and not by a download."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from refrain.errors import CorruptObjectError, DataError, DataNotFoundError
from refrain.storage.filesystem import FileSystem
from refrain.storage.filling import SIGN, refusal, sign_for
from refrain.storage.knowledge import Knowledge
from refrain.storage.listing import Listed, Listing, require_inside, require_listed, tag_of
from refrain.storage.local_files import LocalReading, LocalWriting, listed_file
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.parts import md5_of
from refrain.storage.pattern import literal_part, matcher
from refrain.storage.reading import BLOCK, RemoteFile, fetched
from refrain.storage.remote_files import RemoteReading, WholeReading, info_of, is_there, writing_on
from refrain.storage.retry import in_parallel
from refrain.storage.streams import Reading, Writing
from refrain.storage.transfer import Item, transfer
from refrain.storage.trees import DATA, TreeIdentity, TreeRules
from refrain.storage.views import show


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
        listed = self._stat(path)
        if self._comes_whole(listed):
            return self._fetched_whole(path)
        found = RemoteReading(self._fs, listed)
        raw = RemoteFile(path, listed.size, found.read, partial(found.require_same, None))
        return io.BufferedReader(raw, buffering) if buffering else raw  # type: ignore[return-value]  # reads bytes

    def listing(self, path: str, *, is_filling: bool = False) -> Listing:
        """See :meth:`Store.listing`; never from a cache."""
        try:
            found = self._fs.call(f"list {path}", lambda fs: _find(fs, path, self._fs.is_read_only))
        except DataNotFoundError:
            found = {}
        root = self._fs.stripped(path).rstrip("/")
        below = {name[len(root) + 1 :]: info for name, info in found.items() if name.startswith(f"{root}/")}
        below = {name: info for name, info in below.items() if name and not name.endswith("/")}
        signs = [name for name in below if name.rpartition("/")[2] == SIGN]
        if signs and not is_filling:
            raise DataError(refusal(f"{path.rstrip('/')}/{signs[0]}".removesuffix(f"/{SIGN}")))
        for name in signs:
            del below[name]
        base = path.rstrip("/")
        if below:
            objects = (_listed(name, f"{base}/{name}", info) for name, info in below.items())
            return Listing(TreeKind.DIRECTORY, tuple(sorted(objects, key=lambda o: o.path)))
        if root in found:
            return Listing(TreeKind.FILE, (_listed("", base, found[root]),))
        return Listing(TreeKind.MISSING, ())

    def mount(self, path: str, view: Path, *, is_lazy: bool = False) -> Path:
        """See :meth:`Store.mount`: hard links into the worker's cache. A file keeps its name, in the folder *view*."""
        listing = self._found(path)
        name = path.rstrip("/").rpartition("/")[2] if listing.kind is TreeKind.FILE else ""
        top = view / name
        content = self._content(listing)
        folders = [entry.path for entry in content.entries if entry.path.endswith("/")] if content else []
        if is_lazy and not any(map(self._comes_whole, listing.objects)):
            show(self._fs, (replace(o, path=o.path or name) for o in listing.objects), folders, view)
            return top

        def link(listed: Listed) -> bool:
            if listed.path:
                require_inside(listed.path, listed.uri)
            target = top / listed.path if listed.path else top
            return self._known.cache.link(listed.digest, listed.size, target, lambda p: self._fetch(listed, p))

        if any(in_parallel(link, listing.objects)):
            self._known.cache.make_room()
        for folder in folders:
            os.makedirs(top / folder, exist_ok=True)
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
        pairs = list(pairs)
        listed = in_parallel(self._stat, [path for path, _ in pairs])
        targets = [LocalWriting(target) for _, target in pairs]
        transfer([Item(o.uri, self.reading(o), to) for o, to in zip(listed, targets, strict=True)])

    def put(self, pairs: Iterable[tuple[Path, str]]) -> None:
        """See :meth:`Store.put`; what was sent is compared with what the store has then."""
        files = [(LocalReading(listed_file("", str(source))), self.writing(path)) for source, path in pairs]
        transfer([Item(to.name, source, to) for source, to in files])

    def reading(self, listed: Listed) -> Reading:
        """See :meth:`Store.reading`."""
        if self._comes_whole(listed):
            return WholeReading(listed, self._fetched_whole(listed.uri))
        return RemoteReading(self._fs, listed)

    def writing(self, path: str) -> Writing:
        """See :meth:`Store.writing`."""
        self._require_writable()
        return writing_on(self._fs, path)

    def clash(self, source: Path, path: str) -> str | None:
        """See :meth:`Store.clash`."""
        taken = {o.path for o in self.listing(path).objects}
        if not source.is_dir():
            return path if taken else None
        sent = (os.path.relpath(os.path.join(p, n), source) for p, _, names in os.walk(source) for n in names)
        return next((f"{path}/{name}" for name in sent if name in taken or "" in taken), None)

    def publish(self, source: Path, path: str, written: Manifest) -> None:
        """See :meth:`Store.publish`: every object is sent, then the listing must say that it arrived."""
        entries = [e for e in written.entries if not e.path.endswith("/")]
        files = [listed_file(e.path, str(source / e.path if e.path else source)) for e in entries]
        targets = [self.writing(f"{path}/{e.path}" if e.path else path) for e in entries]
        items = [Item(to.name, LocalReading(file), to) for file, to in zip(files, targets, strict=True)]
        arrived = transfer(items)
        tags = {entry.path: (entry.size, done.tag) for entry, done in zip(entries, arrived, strict=True)}
        self.accept(path, tags, written)

    def require_filled(self, path: str) -> None:
        """See :meth:`Store.require_filled`; folders above the datastore are not looked at."""
        root = self._fs.url.rstrip("/")
        if self._fs.is_read_only or not path.startswith(f"{root}/"):
            return
        parts = path[len(root) :].strip("/").split("/")
        above = ["/".join([root, *parts[:count]]) for count in range(len(parts))]
        for folder, is_filling in zip(above, in_parallel(self._has_sign, above), strict=True):
            if is_filling:
                raise DataError(refusal(folder))

    def accept(self, path: str, arrived: Mapping[str, tuple[int, str]], content: Manifest | None) -> None:
        """See :meth:`Store.accept`; the content is remembered under the listing that the store has now."""
        listing = self.listing(path, is_filling=True)
        require_listed(listing, arrived, path)
        in_parallel(self._require_listed_anew, [o for o in listing.objects if o.path in arrived and o.is_known_by_time])
        is_alone = {o.path for o in listing.objects} == arrived.keys()  # else the listing speaks for others too
        if content is not None and is_alone:
            self._known.blobs.put_manifest(content, durable=False)
            identity = TreeIdentity(content.kind, content.digest, content.files, content.bytes)
            self._known.receipts.put(listing.manifest.digest, identity)

    def remove(self, path: str) -> None:
        """See :meth:`Store.remove`."""
        self._require_writable()
        in_parallel(lambda listed: self._delete(listed.uri), self.listing(path, is_filling=True).objects)
        self._delete(_sign_of(path))

    def sign(self, path: str) -> bytes | None:
        """See :meth:`Store.sign`."""
        sign = _sign_of(path)

        def look(fs: Any) -> bytes | None:
            with contextlib.suppress(PermissionError):  # who may only write sees no sign
                size = _listed("", sign, info_of(fs, sign)).size
                return fetched(fs, sign, size, 0, size)
            return None

        with contextlib.suppress(DataNotFoundError):
            return self._fs.call(f"read {sign}", look)
        return None

    @contextlib.contextmanager
    def filling(self, path: str, source: str, *, is_fresh: bool) -> Iterator[str]:  # noqa: ARG002  # objects are whole
        """See :meth:`Store.filling`: in place, under a sign that is taken away last."""
        sign = sign_for(source)
        self.writing(_sign_of(path)).put(sign, md5_of(sign))
        yield path
        if self.sign(path) in (None, sign):  # else another machine's copy has begun since, whose sign it is
            self._delete(_sign_of(path))

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
        return _listed("", path, self._fs.call(f"read {path}", lambda fs: info_of(fs, path)))

    def _fetch(self, listed: Listed, target: Path) -> None:
        """Bring an object here and make sure that it is the one that was listed."""
        transfer([Item(listed.uri, self.reading(listed), LocalWriting(target, is_in_place=True))])

    def _comes_whole(self, listed: Listed) -> bool:
        """Say whether a server names no size, or sends all of a file when it is asked for a range."""
        is_sized = listed.size > 0 or not listed.is_known_by_chance
        return self._fs.is_read_only and not (is_sized and self._has_ranges(listed))

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

    def _require_listed_anew(self, listed: Listed) -> None:
        """Refuse a listing of before the object was overwritten: a receipt would vouch for the old one by the new."""
        if self._stat(listed.uri).tag != listed.tag:
            raise DataError(f"{listed.uri} was written, but the store lists what was there before. Run again.")

    def _has_sign(self, folder: str) -> bool:
        sign = _sign_of(folder)

        def look(fs: Any) -> bool:
            with contextlib.suppress(PermissionError):  # nor may it fill a folder that it may not look into
                return is_there(fs, sign)
            return False

        return self._fs.call(f"look for {sign}", look)

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


def _listed(path: str, uri: str, info: Mapping[str, Any]) -> Listed:
    return Listed(path, uri, int(info.get("size") or 0), tag_of(info))


def _sign_of(path: str) -> str:
    return f"{path.rstrip('/')}/{SIGN}"
