"""The process that serves one view through FUSE: what was listed, read-only, fetched by ranges as it is read.

It reads one line of JSON from its standard input, what to serve and the credentials for it, and answers with one line
when it serves. When its input ends, because the engine is done or has ended in whatever way, it unmounts, says what
could not be read, and ends.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refrain.errors import DataError
from refrain.storage.cache import MARK_NS
from refrain.storage.filesystem import FileSystem
from refrain.storage.listing import Listed
from refrain.storage.reading import BLOCK as AHEAD_BYTES
from refrain.storage.remote_files import RemoteReading
from refrain.storage.views import detach

BLOCK = 256 << 10
"""How many bytes a read at random fetches; who reads on gets twice as many each time, up to a transfer's block."""

KEPT_BLOCKS = 256
_AHEAD = AHEAD_BYTES // BLOCK
_FAULTS = 20
_LONGEST_NAME = 255  # bytes
_DEVICE = "/dev/fuse"
_FOREVER = 10**6  # seconds that the kernel need not ask again: what is shown never changes


@dataclass
class Blocks:
    """The blocks that were used last, of all objects; bounded."""

    kept: OrderedDict[tuple[str, int], bytes] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: str, number: int) -> bytes | None:
        """Return a block of an object, if it is still here."""
        with self.lock:
            if (path, number) in self.kept:
                self.kept.move_to_end((path, number))
            return self.kept.get((path, number))

    def put(self, path: str, number: int, data: bytes) -> None:
        """Keep a block; the one that was not used for the longest time makes room."""
        with self.lock:
            self.kept[path, number] = data
            if len(self.kept) > KEPT_BLOCKS:
                self.kept.popitem(last=False)


class Object:
    """One object, read by blocks."""

    def __init__(self, reading: RemoteReading, blocks: Blocks) -> None:
        """Read by *reading*; nothing is fetched yet."""
        self.size = reading.size
        self._reading = reading
        self._path = reading.listed.path
        self._blocks = blocks
        self._lock = threading.Lock()
        self._next = 0
        self._ahead = 0

    def read(self, start: int, end: int) -> bytes:
        """Return a range of the bytes.

        :raises DataError: when they cannot be had, or are no longer those that were listed.
        """
        end = min(end, self.size)
        if start >= end:
            return b""
        first = start // BLOCK
        data = b"".join(self._block(number) for number in range(first, (end - 1) // BLOCK + 1))
        return data[start - first * BLOCK : end - first * BLOCK]

    def _block(self, number: int) -> bytes:
        with self._lock:  # the kernel asks for both halves of a block at once
            found = self._blocks.get(self._path, number)
            return self._fetch(number) if found is None else found

    def _fetch(self, number: int) -> bytes:
        self._ahead = min(max(1, self._ahead * 2), _AHEAD) if number == self._next else 1
        start = number * BLOCK
        data = self._reading.read(start, min(start + self._ahead * BLOCK, self.size))
        if not self._reading.is_checked:
            self._reading.require_same(None)
        self._next = number + self._ahead
        for index in range(0, len(data), BLOCK):
            self._blocks.put(self._path, number + index // BLOCK, data[index : index + BLOCK])
        return data[:BLOCK]


class View:
    """A tree of objects, as FUSE asks for it; paths begin with ``/``.

    :param on_ready: called when it is mounted.
    :raises DataError: when the path of an object is none of a file.
    """

    use_ns = True  # asked for by FUSE's bindings: times are nanoseconds

    def __init__(
        self, files: FileSystem, objects: Iterable[Listed], folders: Iterable[str], on_ready: Callable[[], None]
    ) -> None:
        self.faults: list[str] = []
        self._on_ready = on_ready
        self._objects: dict[str, Object] = {}
        self._names: dict[str, dict[str, None]] = {"/": {}}
        blocks = Blocks()
        for listed in objects:
            path = f"/{listed.path}"
            self._add(path, listed.uri)
            if path in self._names:
                raise _no_file(listed.uri)
            self._objects[path] = Object(RemoteReading(files, listed), blocks)
        for folder in folders:
            self._add_folder(f"/{folder.strip('/')}", folder)

    def init(self, path: str) -> None:  # noqa: ARG002  # FUSE's signatures, here and below
        """Take note that it is mounted."""
        self._on_ready()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:  # noqa: ARG002
        """Return what ``stat`` shows: what it shows of the worker's cache, links apart."""
        common = {"st_uid": os.getuid(), "st_gid": os.getgid(), "st_mtime": MARK_NS, "st_ctime": MARK_NS}
        found = self._objects.get(path)
        if found is not None:
            used = -(-found.size // 512)
            return {**common, "st_mode": stat.S_IFREG | 0o444, "st_nlink": 1, "st_size": found.size, "st_blocks": used}
        if path in self._names:
            return {**common, "st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        raise OSError(errno.ENOENT, path)

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        """Return the names in a folder."""
        return [".", "..", *self._names[path]]

    def open(self, path: str, flags: int) -> int:  # noqa: ARG002  # the kernel refuses to write
        """Open a file; there is no more to it than its path."""
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        """Return bytes; where they cannot be had, the reader gets EIO, and the engine is told why at the end."""
        try:
            return self._objects[path].read(offset, offset + size)
        except BaseException as error:  # whatever it is: bytes that are missing must not pass for the file's end
            fault = str(error) if isinstance(error, DataError) else f"{path}: {type(error).__name__}"
            if len(self.faults) < _FAULTS and fault not in self.faults:
                self.faults.append(fault)
            raise OSError(errno.EIO, path) from error

    def _add(self, path: str, uri: str) -> None:
        parent, _, name = path.rpartition("/")
        if name in ("", ".", "..") or "\0" in name or len(os.fsencode(name)) > _LONGEST_NAME:
            raise _no_file(uri)
        self._add_folder(parent or "/", uri)
        self._names[parent or "/"][name] = None

    def _add_folder(self, path: str, uri: str) -> None:
        if path in self._objects:
            raise _no_file(uri)
        if path not in self._names:
            self._add(path, uri)
            self._names[path] = {}


def main() -> None:
    """Serve what standard input says, until it ends."""
    told = json.loads(sys.stdin.buffer.readline())
    fault = _why_not()
    try:
        if fault is None:
            _serve(told)
    except DataError as error:
        fault = str(error)
    except RuntimeError:  # FUSE's own words are on standard error
        return
    if fault is not None:
        _say({"fault": fault})


def _serve(told: Mapping[str, Any]) -> None:
    from mfusepy import FUSE

    is_over = threading.Event()

    def end() -> None:
        sys.stdin.buffer.read()
        is_over.set()
        try:
            detach(told["view"])
            _say({"faults": view.faults})  # to nobody, when the engine was killed
        finally:
            os._exit(0)  # FUSE itself would wait for those who still have a file open

    def ready() -> None:
        _say({"fault": None})
        threading.Thread(target=end, daemon=True).start()  # not before: what is not mounted yet would stay

    files = FileSystem(told["url"], options=told["options"])
    view = View(files, (Listed(*given) for given in told["objects"]), told["folders"], ready)
    times = dict.fromkeys(("entry_timeout", "attr_timeout", "negative_timeout"), _FOREVER)
    FUSE(view, told["view"], foreground=True, ro=True, kernel_cache=True, fsname="refrain", **times)
    while is_over.is_set():  # else somebody else has unmounted it; who gets no answer knows
        time.sleep(1)


def _why_not() -> str | None:
    """Return what this machine lacks; None for nothing."""
    try:
        import mfusepy  # noqa: F401
    except ImportError:
        return "a package is missing: pip install 'refrain[fuse]'"
    except OSError:
        return "libfuse is missing: on Debian, apt-get install fuse3 libfuse2"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be used here; a container needs --device {_DEVICE} --cap-add SYS_ADMIN"
    return None


def _no_file(uri: str) -> DataError:
    return DataError(f"{uri} cannot be shown as a file: its name is none, or another object's name goes on below it")


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
