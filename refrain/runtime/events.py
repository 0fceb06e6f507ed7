"""Events: one JSON line for each thing that a script says about its run, in a file that many processes append to.

    {"v":1,"t":1700000000.1,"run":"","kind":"metric","name":"loss","value":0.5}

``run`` is ``""`` for the step's own run, ``".."`` for the pipeline run above it, otherwise the id of a child run.
JSON has no NaN and no infinity: these are written as ``{"$float":"nan"}``, so that any JSON reader can read the file.
"""

from __future__ import annotations

import json
import os
import time
from math import isfinite

from refrain.runtime.errors import RunException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    Event = Dict[str, Any]
    Batch = Tuple[List[Event], int, List[Tuple[int, str]]]

VERSION = 1
OWN = ""
PARENT = ".."
_START = b'{"v":1,"t":'
_FLOAT = "$float"
_TEXT = (str, type(None))
_NUMBER = (str, int, float, type(None), dict)  # dict: a float that JSON lacks
# Kind -> the fields that it must have, with their types.
_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "metric": {"name": str, "value": _NUMBER},
    "row": {"name": str, "values": dict},
    "table": {"name": str, "values": dict},
    "image": {"name": str, "artifact": str},
    "document": {"name": str, "type": str, "artifact": str},
    "tag": {"key": str, "value": _TEXT},
    "untag": {"key": str},
    "property": {"key": str, "value": _TEXT},
    "artifact": {"name": str},
    "child": {"id": str, "name": str},
    "status": {"status": str},
    "display": {"field": str, "value": str},
}


def append(path: str, run: str, events: list[Event]) -> None:
    """Append *events* of *run* to the file at *path* in one write, so that no other process's line falls between.

    The file is opened each time: a descriptor kept open would not survive a script that closes what it does not know.
    Known limitation: network file systems without atomic appends (NFS) can lose lines of several hosts.
    """
    now = time.time()
    lines = b"".join(encode({"v": VERSION, "t": now, "run": run, **event}) for event in events)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        written = os.write(descriptor, lines) if lines else 0
    finally:
        os.close(descriptor)
    if written != len(lines):
        raise RunException(f"Only {written} of {len(lines)} bytes fit into '{path}'. Free space on its disk.")


def encode(event: Event) -> bytes:
    """Return *event* as one line of ASCII."""
    try:
        text = json.dumps(event, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a NaN or an infinity somewhere
        text = json.dumps(_typed(event), separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def decode(line: bytes) -> Event:
    """Return the event in *line*, its floats back.

    :raises ValueError: if the line is no event of this version.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not a line of JSON") from None
    if not isinstance(event, dict) or event.get("v") != VERSION:
        raise ValueError(f"not an event of version {VERSION}")
    common = isinstance(event.get("t"), (int, float)) and isinstance(event.get("run"), str)
    fields = _FIELDS.get(event["kind"], {}) if isinstance(event.get("kind"), str) else {"kind": str}
    if not common or not all(name in event and isinstance(event[name], kind) for name, kind in fields.items()):
        raise ValueError(f"an event of kind {event.get('kind')!r} that lacks a field")
    if "value" in event:
        event["value"] = _revived(event["value"])
    if "values" in event:
        event["values"] = {column: _revived(cells) for column, cells in event["values"].items()}
    return event


def read(path: str, offset: int = 0) -> Batch:
    """Read the events after byte *offset*: the events, the offset to go on from, and the unreadable lines.

    A last line without its end is left for the next call. An unreadable line is skipped: an offset and a reason.
    Where a killed process left half a line, the whole one that follows on the same line is still found.
    """
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            data = stream.read()
    except FileNotFoundError:
        return [], offset, []
    events: list[Event] = []
    problems: list[tuple[int, str]] = []
    for line in data.split(b"\n")[:-1]:
        _take(line, offset, events, problems)
        offset += len(line) + 1
    return events, offset, problems


def _take(line: bytes, offset: int, events: list[Event], problems: list[tuple[int, str]]) -> None:
    if not line:
        return
    try:
        events.append(decode(line))
    except ValueError as error:
        problems.append((offset, str(error)))
        start = line.rfind(_START)
        if start > 0:
            _take(line[start:], offset + start, events, [])


def _typed(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return {_FLOAT: repr(value)}
    if isinstance(value, dict):
        return {name: _typed(item) for name, item in value.items()}
    return [_typed(item) for item in value] if isinstance(value, list) else value


def _revived(value: Any) -> Any:
    if isinstance(value, dict):
        return float(str(value.get(_FLOAT)))
    return [_revived(item) for item in value] if isinstance(value, list) else value
