"""Places of what users give as a path: local paths, URLs, datastore tuples, references, and lists of these."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from refrain.data.datastore import Datastore, HasState
from refrain.data.tabular.access import ANYWHERE, Place, StoreAccess
from refrain.errors import UserError
from refrain.storage.connections import is_secret_name
from refrain.storage.datastores import normalized

_SIGNATURES = ("sig", "signature", "x-amz-signature")


def places_of(path: Any, what: str) -> tuple[tuple[Place, ...], StoreAccess]:
    """Return the places that *path* names and the way to their datastores.

    :param what: the method that was called, for messages.
    :raises UserError: for a path of another type, an empty list, or datastores of two workspaces.
    """
    items = path if isinstance(path, list) else [path]
    if not items:
        raise UserError(f"{what} got an empty list of paths.")
    access = ANYWHERE
    places = []
    for item in items:
        place, own = place_of(item, what)
        places.append(place)
        access = own if access == ANYWHERE else access
        if own != ANYWHERE and access.root_of(place) != own.root_of(place):
            raise UserError(f"{what}: {place} is of another workspace than those before it. Make a dataset of each.")
    return tuple(places), access


def place_of(item: Any, what: str) -> tuple[Place, StoreAccess]:
    """Return one place and the way to its datastore."""
    named = getattr(item, "datastore", None)  # of a DataReference, a DataPath or what a finished run left
    if isinstance(named, Datastore):
        return _on(named, str(item.path_on_datastore))
    if isinstance(item, Datastore):
        return _on(item, "")
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Datastore):
        return _on(item[0], _text(item[1], what))
    if isinstance(item, str) and "://" in item:
        _require_public(item, what)
        return Place("", item), ANYWHERE
    if isinstance(item, (str, os.PathLike)):
        return Place("", os.path.abspath(os.path.expanduser(item))), ANYWHERE
    raise UserError(f"{what} cannot read {item!r}: give a path, a URL, (datastore, 'path'), a DataReference or a list.")


def workspace_of(target: Any, what: str) -> HasState:
    """Return the workspace of the datastore that something is written to.

    :param what: what needs it, for the message.
    :raises UserError: for a target that is not on a datastore.
    """
    store = target[0] if isinstance(target, tuple) and target else getattr(target, "datastore", target)
    if not isinstance(store, Datastore):
        raise UserError(f"{what} needs a target on a datastore, such as (datastore, 'path'), not {target!r}.")
    return store


def _on(datastore: Datastore, path: str) -> tuple[Place, StoreAccess]:
    return Place(datastore.name, normalized(path)), StoreAccess(datastore.state.stores)


def _text(path: object, what: str) -> str:
    if not isinstance(path, str):
        raise UserError(f"{what}: {path!r} is no path; give one (datastore, 'path') for each.")
    return path


def _require_public(url: str, what: str) -> None:
    """Refuse a URL with a credential in it: a definition is stored, shown and logged."""
    parts = urlsplit(url)
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.password or any(name in _SIGNATURES or is_secret_name(name) for name in names):
        raise UserError(
            f"{what}: the URL of {parts.hostname or parts.scheme!r} holds a credential, which would be stored with the "
            "dataset. Register a datastore with a conn_id, and give (datastore, 'path')."
        )
