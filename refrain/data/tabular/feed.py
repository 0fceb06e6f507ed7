"""Feed: the bytes of a file for Arrow's streaming reader, which asks for them from threads of its own."""

from __future__ import annotations

import atexit
import codecs
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from refrain.data.tabular.access import SourceFile

_open: dict[int, tuple[Callable[[], None], Any]] = {}


def stream(file: SourceFile, encoding: str, read: Callable[[Any], Any]) -> Iterator[Any]:
    """Yield the batches of a streaming reader, as UTF-8 whatever the file's encoding.

    A local file never calls back into Python. For others, Arrow's threads read ahead through Python: when the batches
    are no longer wanted they are led to the end of the file at once, also before the interpreter ends, which they
    would crash.

    :param read: makes the reader of an Arrow input stream.
    """
    import pyarrow as pa

    if file.is_local and encoding == "utf-8":
        with pa.input_stream(file.path, compression="detect") as native:
            yield from read(native)
        return
    with file.open() as raw:
        source = _Source(raw, encoding)
        reader = read(pa.PythonFile(source, mode="r"))
        _at_exit()
        _open[id(reader)] = (source.stop, reader)
        try:
            yield from reader
        finally:
            _finish(id(reader))


class _Source:
    """A file that can be told to end early."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self._raw = raw
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        self._is_stopped = False
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        while not self._is_stopped:
            data: bytes = self._raw.read(size)
            if self._decoder is None:
                return data
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode()
        return b""

    def stop(self) -> None:
        self._is_stopped = True

    def close(self) -> None:
        self.closed = True


@lru_cache(maxsize=1)
def _at_exit() -> None:
    atexit.register(_finish_all)


def _finish_all() -> None:
    for key in list(_open):
        _finish(key)


def _finish(key: int) -> None:
    if key not in _open:
        return  # done at exit already
    import pyarrow as pa

    stop, reader = _open.pop(key)
    stop()
    with suppress(pa.ArrowException, UnicodeError, ValueError, OSError, StopIteration):
        while True:
            reader.read_next_batch()
