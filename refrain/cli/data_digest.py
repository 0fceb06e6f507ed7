"""``refrain data digest``: what counts of data when a step is decided on, and how it is known."""

from __future__ import annotations

import argparse

from refrain.cli.answer import Answer
from refrain.cli.data_place import place_of
from refrain.cli.found_workspace import open_workspace
from refrain.execution.sizes import size_text
from refrain.storage.store import Place

_WHY = {
    "content": "Its bytes were read, now or when the stat index last saw these files; they have not changed since.",
    "receipt": "Refrain wrote it: the store still lists what was there when the content was checked.",
    "listing": "Only the store's listing is known (URLs, sizes, ETags): nothing is downloaded to decide on a step.",
}


def data_digest(options: argparse.Namespace) -> Answer:
    """Show the digest that reuse counts.

    :raises DataNotFoundError: when there is nothing.
    """
    workspace = open_workspace(options)
    place = place_of(options.place, workspace)
    identity = place.identify()
    workspace.state.trees.flush()
    basis = _basis(place, identity.digest)
    document = {
        "place": place.uri,
        "kind": identity.kind.value,
        "digest": identity.digest,
        "files": identity.files,
        "bytes": identity.bytes,
        "basis": basis,
        "why": _WHY[basis],
    }
    text = f"{identity.digest}  {identity.kind.value}, {identity.files:,} files, {size_text(identity.bytes)}"
    return Answer(document, (text, f"by {basis}: {_WHY[basis]}"))


def _basis(place: Place, digest: str) -> str:
    if place.in_place is not None:
        return "content"
    return "listing" if place.listing().manifest.digest == digest else "receipt"
