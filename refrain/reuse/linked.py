"""Linked: what is behind the outputs that hold no data, but the definition of a dataset that their script linked."""

from __future__ import annotations

import json

from refrain.data.data_value import data_value
from refrain.data.definition import dataset_from
from refrain.data.handle import DataHandle
from refrain.data.ports import FromFiles
from refrain.errors import RefrainError
from refrain.storage.pattern import literal_part
from refrain.storage.store import Place
from refrain.storage.stores import Stores


def lost_place(handle: DataHandle, stores: Stores) -> Place | None:
    """Return where nothing is any more of what an output links; None where all is there, or nobody here can say.

    Of a pattern, the folder is looked for in which it begins: which files there are is the reader's to see.
    """
    try:
        with stores.at(handle.uri).open() as file:
            value = data_value(dataset_from(json.load(file)))
        source = value.source if value is not None else None
        places = stores.of(source.locations) if isinstance(source, FromFiles) else []
        return next((place for place in places if not _is_there(place)), None)
    except (RefrainError, ValueError):
        return None


def _is_there(place: Place) -> bool:
    return place.store.exists(literal_part(place.path)) if place.is_pattern() else place.exists()
