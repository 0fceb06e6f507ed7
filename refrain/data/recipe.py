"""Recipe: the definition of a dataset apart from the places of its files, which are known by their content."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from refrain.storage.digest import digest_bytes


def canonical(definition: Mapping[str, Any]) -> str:
    """Return the one text of a definition."""
    return json.dumps(definition, sort_keys=True, separators=(",", ":"))


def recipe_of(definition: Mapping[str, Any]) -> str:
    """Return a definition without its places, as its one text."""
    made = copy.deepcopy(dict(definition))
    _source(made).pop("places", None)
    return canonical(made)


def placed(recipe: str, places: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the definition of a recipe that is applied to places.

    :param places: pairs of a datastore's name ("" for a local path or a URL) and a path.
    """
    made: dict[str, Any] = json.loads(recipe)
    _source(made)["places"] = [list(place) for place in places]
    return made


def dataset_id(identity: str) -> str:
    """Return the id of a dataset, which has the form of a UUID; the same definition has the same id."""
    import uuid

    return str(uuid.UUID(digest_bytes(f"dataset\n{identity}".encode())[:32]))


def _source(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a definition that names its places: its own source, or that of the table it is made of."""
    source: dict[str, Any] = definition["source"]
    return _source(source["table"]) if "table" in source else source
