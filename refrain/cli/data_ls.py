"""``refrain data ls``: what is at a place, with sizes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from refrain.cli.answer import Answer
from refrain.cli.data_place import place_of
from refrain.cli.found_workspace import open_workspace
from refrain.errors import DataError, DataNotFoundError
from refrain.execution.sizes import size_text
from refrain.execution.table import Column, render
from refrain.storage.listing import Listed, Listing
from refrain.storage.manifest import TreeKind
from refrain.storage.store import Place

_COLUMNS = (Column("SIZE", is_number=True), Column("FILES", is_number=True), Column("NAME"))


def data_ls(options: argparse.Namespace) -> Answer:
    """List a file, or what is in a folder: its files, and its folders with what is below them.

    :raises DataNotFoundError: when there is nothing.
    """
    place = place_of(options.place, open_workspace(options))
    listing, is_complete = _listed(place)
    if listing.kind is TreeKind.MISSING:
        raise DataNotFoundError(f"There is nothing at {place}.")
    entries = _entries(listing.objects, options.recursive, place.name)
    size = sum(o.size for o in listing.objects)
    document: dict[str, Any] = {
        "place": place.uri,
        "kind": listing.kind.value,
        "files": len(listing.objects),
        "bytes": size,
        "is_complete": is_complete,
        "entries": entries,
    }
    return Answer(document, tuple(_lines(document)))


def _listed(place: Place) -> tuple[Listing, bool]:
    try:
        return place.listing(), True
    except DataError:
        return place.listing(is_filling=True), False


def _entries(objects: Iterable[Listed], is_recursive: bool, name: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for listed in objects:
        first, is_below, _ = listed.path.partition("/")
        is_folder = bool(is_below) and not is_recursive
        path = f"{first}/" if is_folder else listed.path or name
        kind = TreeKind.DIRECTORY if is_folder else TreeKind.FILE
        entry = found.setdefault(path, {"path": path, "kind": kind.value, "files": 0, "bytes": 0})
        entry["files"] += 1
        entry["bytes"] += listed.size
    return list(found.values())


def _lines(document: dict[str, Any]) -> Iterable[str]:
    rows = ((size_text(e["bytes"]), f"{e['files']:,}", e["path"]) for e in document["entries"])
    yield from render(_COLUMNS, rows)
    yield f"{document['files']:,} files, {size_text(document['bytes'])}"
    if not document["is_complete"]:
        yield "This folder is not complete: a copy into it is under way or was interrupted."
