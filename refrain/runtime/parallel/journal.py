"""Journal: what has been done, in a file to which whole records are appended.

::

    <folder>/journal                one record for each mini-batch that run() returned for
    <folder>/rows/<b>-<try>-<hex>   rows that are too many to stand in a record
    <folder>/output/                what the entry script writes to the step's output

A record is a line of JSON, the bytes of the rows, and a line end. A process that is killed leaves at most one that is
not whole, which ends the journal when it is read. The rows of all mini-batches are put together in the mini-batches'
order, so that the result does not depend on who was first.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import zlib
from array import array
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, Iterator

    Record = Dict[str, Any]

SCHEMA = 2  # 1 did not say how the data was cut
_HEAD_OF_ROWS = b'{"b":%d,"n":%d,"r":%d,"z":%d,"c":%d}\n'
_LONGEST_HEAD = 1024
_NONE = -1
_IN_FILE = -2  # the size of rows in a file that the record names; they "begin" where the record does
_HELD = (errno.EAGAIN, errno.EACCES)  # what flock says of a lock that another one has
_WINDOW = 1 << 18
_COPIED = 1 << 20


class JournalNotHeld(Exception):
    """The journal cannot be held by this process alone; the message says why."""


class JournalInUse(JournalNotHeld):
    """Another process holds the journal right now."""


class JournalWithoutLock(JournalNotHeld):
    """Nobody can say whether another process holds the journal."""


class RowsFile:
    """A file of its own for the rows of a mini-batch.

    :param name: below :attr:`Journal.rows`.
    :param crc: the checksum of what was written there.
    """

    def __init__(self, name: str, crc: int) -> None:
        self.name = name
        self.crc = crc


class Journal:
    """The journal of one piece of work; held by one process at a time.

    :param cut: what decides which items are in a mini-batch, as JSON values: a size need not be in the fingerprint, so
        that a journal of data that was cut in another way is begun anew.
    :param is_shared: whether others know the folder, so that it has to be locked.
    :raises JournalInUse: when another one holds it.
    :raises JournalWithoutLock: when it cannot be locked.
    :raises OSError: when the folder cannot be written.
    """

    def __init__(self, folder: str, cut: Record | None = None, *, is_shared: bool = True) -> None:
        self.folder = folder
        self.rows = os.path.join(folder, "rows")
        self.output = os.path.join(folder, "output")
        os.makedirs(folder, exist_ok=True)
        self._path = os.path.join(folder, "journal")
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if is_shared:
            self._lock()
        self._starts = array("q")  # where the rows of each mini-batch begin
        self._sizes = array("i")  # small ones: there may be millions of them
        self._items = array("i")
        self._results = array("i")
        self._waiting: list[bytes] = []
        head = {"journal": "refrain parallel run", "schema": SCHEMA, "cut": cut or {}}
        self._end = self._read(head)
        os.ftruncate(self._descriptor, self._end)
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        if not self._end:
            self._begin(head)
        for path in (self.rows, self.output):
            os.makedirs(path, exist_ok=True)

    def done(self, batch: int, items: int) -> int | None:
        """Return how many results a mini-batch of so many items has, if all of them succeeded; else None."""
        if not self._has(batch) or self._items[batch] != items or self._results[batch] < items:
            return None
        return self._results[batch]

    def done_items(self) -> bytes:
        """Return how many items each mini-batch has that need not be run again, as 64-bit numbers; -1 for others."""
        pairs = zip(self._items, self._results)
        return array("q", [items if results >= items else _NONE for items, results in pairs]).tobytes()

    def add(self, batch: int, items: int, results: int, rows: bytes | RowsFile) -> None:
        """Note what came of a mini-batch; it counts once :meth:`flush` has returned.

        :param rows: the lines of its results, or the file that holds them.
        """
        if isinstance(rows, RowsFile):
            head, content = _line({"b": batch, "n": items, "r": results, "file": rows.name, "f": rows.crc}), b""
            start, size = self._end, _IN_FILE
        else:
            content, size = rows, len(rows)
            head = _HEAD_OF_ROWS % (batch, items, results, size, zlib.crc32(content))
            start = self._end + len(head)
        self._note(batch, items, results, (start, size))
        self._append(b"".join((head, content, b"\n")))

    def give_up(self, batch: int, items: int) -> None:
        """Note that a mini-batch has failed for good, so that nothing that was noted of it before counts any more.

        The next process that holds the journal reads this as what is to be run again.
        """
        if self._has(batch):
            self.add(batch, items, _NONE, b"")

    def flush(self) -> None:
        """Hand everything that was noted to the operating system, which keeps it whatever becomes of this process.

        :raises OSError: when it does not fit; a message without a number.
        """
        rest = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise OSError(f"the journal {self._path!r} cannot be written: {error.strerror}") from error

    def write_rows(self, path: str) -> None:
        """Write the rows of all mini-batches to a file, in the mini-batches' order; one of that name goes.

        :raises OSError: where the entry script has made a folder of that name; a message without a number.
        """
        if os.path.isdir(path) and not os.path.islink(path):
            raise OSError(
                f"The rows cannot be written to {path!r}: the entry script has made a folder of that name. Let it "
                "write somewhere else, or set append_row_file_name"
            )
        with suppress(FileNotFoundError):
            os.unlink(path)  # it may be a file of the entry script, whose bytes are those in the journal's folder
        with open(path, "xb") as file:
            file.writelines(self._contents())

    def copy_output(self, target: str) -> int:
        """Put what the entry script has written into a folder, by hard links where it can be; return how many files.

        Symbolic links stay what they are, and count as files: whether they may be in an output, the engine decides.
        """
        count, top = 0, os.path.realpath(self.output)
        for parent, folders, names in os.walk(self.output):
            folder = os.path.normpath(os.path.join(target, os.path.relpath(parent, self.output)))
            os.makedirs(folder, exist_ok=True)
            links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # walk does not enter them
            for name in (*names, *links):
                _put(os.path.join(parent, name), os.path.join(folder, name), top)
                count += 1
        return count

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            if error.errno in _HELD:
                raise JournalInUse("Another run does the same work right now") from error
            # Two processes would cut each other's records off: better no notes for a later try than wrong ones.
            raise JournalWithoutLock(f"The journal in {self.folder!r} cannot be locked: {error.strerror}") from error
        if not os.fstat(self._descriptor).st_nlink:  # removed, or replaced, by whoever had it when we opened it
            os.close(self._descriptor)
            raise JournalInUse("Another run has ended the same work right now")

    def _has(self, batch: int) -> bool:
        return batch < len(self._starts) and self._starts[batch] != _NONE

    def _note(self, batch: int, items: int, results: int, rows: tuple[int, int]) -> None:
        missing = batch + 1 - len(self._starts)
        if missing > 0:
            for numbers in (self._starts, self._sizes, self._items, self._results):
                numbers.extend([_NONE] * missing)
        self._starts[batch], self._sizes[batch] = rows
        self._items[batch], self._results[batch] = items, results

    def _append(self, data: bytes) -> None:
        self._waiting.append(data)
        self._end += len(data)

    def _begin(self, head: Record) -> None:
        """Begin anew, without what was written for other mini-batches."""
        for path in (self.rows, self.output):
            if os.path.isdir(path):
                import shutil

                shutil.rmtree(path, ignore_errors=True)
        self._append(_line(head))
        self.flush()

    def _read(self, head: Record) -> int:
        """Take in what is there, and return where the whole records end; 0 when they are of other work."""
        with open(self._path, "rb") as file:
            if _parsed(file.readline()) != head:
                return 0
            end = file.tell()
            for record, rows, after in _records(file):
                if "file" not in record or self._is_whole(RowsFile(record["file"], record["f"])):
                    self._note(record["b"], record["n"], record["r"], rows)
                end = after
        return end

    def _is_whole(self, rows: RowsFile) -> bool:
        """Say whether a file has what was written to it; after a loss of power a record may outlive its rows."""
        crc = 0
        try:
            for block in _blocks(os.path.join(self.rows, rows.name)):
                crc = zlib.crc32(block, crc)
        except OSError:
            return False
        return crc == rows.crc

    def _contents(self) -> Iterator[bytes]:
        """Yield the rows of each mini-batch; records that lie near each other are read at once."""
        window, begin = b"", 0
        for start, size in zip(self._starts, self._sizes):
            if start == _NONE:
                continue
            if size == _IN_FILE:
                head = os.pread(self._descriptor, _LONGEST_HEAD, start).partition(b"\n")[0]
                yield from _blocks(os.path.join(self.rows, json.loads(head)["file"]))
                continue
            if not begin <= start <= start + size <= begin + len(window):
                window, begin = _exactly(self._descriptor, start, max(size, min(_WINDOW, self._end - start))), start
            yield window[start - begin : start - begin + size]


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"


def _parsed(line: bytes) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _records(file: BinaryIO) -> Iterator[tuple[Record, tuple[int, int], int]]:
    """Yield the whole records: their heads, where their rows are, and where they end."""
    while True:
        place = file.tell()
        record = _parsed(file.readline())
        if record is None or not {"b", "n", "r"} <= record.keys():
            return
        start = file.tell()
        content = file.read(record.get("z", 0))
        if file.read(1) != b"\n" or ("c" in record and zlib.crc32(content) != record["c"]):
            return
        yield record, (place, _IN_FILE) if "file" in record else (start, len(content)), file.tell()


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while True:
            block = file.read(_COPIED)
            if not block:
                return
            yield block


def _exactly(descriptor: int, place: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.pread(descriptor, size, place)
        if not part:
            raise OSError(f"The journal ends {size} bytes too early.")
        parts.append(part)
        place, size = place + len(part), size - len(part)
    return b"".join(parts)


def _goal(link: str, top: str) -> str:
    """Return where a symbolic link leads; within the folder *top*, in words that hold for a copy of the folder, too."""
    written, goal = os.readlink(link), os.path.realpath(link)
    if os.path.isabs(written) and os.path.commonpath((goal, top)) == top:
        return os.path.relpath(goal, os.path.realpath(os.path.dirname(link)))
    return written


def _put(source: str, target: str, top: str) -> None:
    if os.path.islink(source):
        os.symlink(_goal(source, top), target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        import shutil

        shutil.copyfile(source, target)
