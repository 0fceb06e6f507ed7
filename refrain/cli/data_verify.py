"""``refrain data verify``: reads data again and compares it with what it should be."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from refrain.cli.answer import FAILED, OK, Answer
from refrain.cli.data_place import place_of
from refrain.cli.data_progress import shown
from refrain.cli.found_run import find_run
from refrain.cli.found_workspace import open_workspace
from refrain.data.handle import DataHandle
from refrain.errors import UserError
from refrain.execution.sizes import size_text
from refrain.pipelines.workspace import Workspace
from refrain.storage.contents import read_contents
from refrain.storage.manifest import Basis, Entry, Manifest, difference
from refrain.storage.store import Place
from refrain.storage.watch import Watch

_Check = tuple[str, Place, Manifest]


def data_verify(options: argparse.Namespace) -> Answer:
    """Read every byte at a place and compare: with another place, with its receipt, or with what a step's run wrote.

    :raises UserError: when nothing is known that it could be compared with.
    """
    workspace = open_workspace(options)
    with shown("Reading", options.json) as watch:
        checks = list(_checks(options, workspace, watch))
        results = [_compared(what, place, wanted, watch) for what, place, wanted in checks]
    is_same = all(result["is_same"] for result in results)
    lines = tuple(_line(result) for result in results)
    return Answer({"is_same": is_same, "checks": results}, lines, OK if is_same else FAILED)


def _checks(options: argparse.Namespace, workspace: Workspace, watch: Watch) -> Iterator[_Check]:
    if options.run is not None:
        if options.place:
            raise UserError("Give places or --run, not both.")
        yield from _outputs(options.run, workspace)
        return
    if not 1 <= len(options.place) <= 2:
        raise UserError("Give one place, two places to compare, or --run ID.STEP.")
    place, *others = (place_of(text, workspace) for text in options.place)
    if others:
        yield str(others[0]), place, read_contents(others[0], watch)
        return
    known = place.manifest()
    if known.basis is Basis.LISTING:
        raise UserError(f"The content of {place} is not known: Refrain did not write it. Name a place to compare with.")
    yield "the stat index" if place.in_place is not None else "its receipt", place, known


def _outputs(run: str, workspace: Workspace) -> Iterator[_Check]:
    found = find_run(workspace, run)
    if found.step is None:
        raise UserError(f"{run!r} is a whole run; name a step of it: --run {run}.STEP")
    record = found.run.store.get(found.step.id)
    if not record.outputs:
        raise UserError(f"The step run {record.run_id} has no output.")
    for name, value in record.outputs.items():
        handle = DataHandle.from_json(value)
        manifest = workspace.state.blobs.get_manifest(handle.digest)
        if manifest is None or manifest.basis is Basis.LISTING:
            raise UserError(f"The content of output {name!r} of {record.run_id} was never known, only its listing.")
        yield f"output {name} of {record.run_id}", workspace.state.stores.at(handle.uri), manifest


def _compared(what: str, place: Place, wanted: Manifest, watch: Watch) -> dict[str, Any]:
    found = read_contents(place, watch)
    change = difference(_files(wanted), _files(found))
    return {
        "place": place.uri,
        "compared_with": what,
        "is_same": not change and found.kind is wanted.kind,
        "files": found.files,
        "bytes": found.bytes,
        "added": list(change.added),
        "missing": list(change.removed),
        "changed": list(change.changed),
        "difference": change.describe(),
    }


def _files(manifest: Manifest) -> Manifest:
    """Leave out what a listing does not show: empty folders and executable bits."""
    entries = (Entry(e.path, e.size, e.digest) for e in manifest.entries if not e.path.endswith("/"))
    return Manifest(manifest.kind, tuple(entries))


def _line(result: dict[str, Any]) -> str:
    size = f"{result['files']:,} files, {size_text(result['bytes'])}"
    if result["is_same"]:
        return f"{result['place']} is the same as {result['compared_with']}: {size} read."
    return f"{result['place']} differs from {result['compared_with']}: {result['difference'] or 'file and folder'}."
