"""Places of what users give as a path: local paths, URLs, datastore tuples, references, and lists of these."""

from __future__ import annotations

import os
from typing import Any

from refrain.data.datastore import Datastore
from refrain.data.reference import DataReference
from refrain.data.tabular.access import Folders, Place
from refrain.errors import UserError
from refrain.storage.datastores import normalized


def places_of(path: Any, what: str) -> tuple[tuple[Place, ...], Folders]:
    """Return the places that *path* names and the way to their datastores.

    :param what: the method that was called, for messages.
    :raises UserError: for a path of another type, or an empty list.
    """
    items = path if isinstance(path, list) else [path]
    if not items:
        raise UserError(f"{what} got an empty list of paths.")
    access = Folders()
    places = []
    for item in items:
        place, roots = place_of(item, what)
        places.append(place)
        access |= roots
    return tuple(places), access


def place_of(item: Any, what: str) -> tuple[Place, Folders]:
    """Return one place and the way to its datastore."""
    if isinstance(item, DataReference):
        return _on(item.datastore, str(item.path_on_datastore))
    if isinstance(item, Datastore):
        return _on(item, "")
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Datastore) and isinstance(item[1], str):
        return _on(item[0], item[1])
    if isinstance(item, str) and "://" in item:
        return Place("", item), Folders()
    if isinstance(item, (str, os.PathLike)):
        return Place("", os.path.abspath(os.path.expanduser(item))), Folders()
    raise UserError(f"{what} cannot read {item!r}: give a path, a URL, (datastore, 'path'), a DataReference or a list.")


def _on(datastore: Any, path: str) -> tuple[Place, Folders]:
    if "://" in datastore.root:
        raise UserError(
            f"Datastore {datastore.name!r} at {datastore.root} is not on this machine, where tables are read. Take the "
            "files as an input of a step, or download them."
        )
    return Place(datastore.name, normalized(path)), Folders({datastore.name: datastore.root})
