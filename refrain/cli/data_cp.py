"""``refrain data cp``: copies a file or a folder between any two places."""

from __future__ import annotations

import argparse

from refrain.cli.answer import Answer
from refrain.cli.data_place import place_of
from refrain.cli.data_progress import shown
from refrain.cli.found_workspace import open_workspace
from refrain.execution.sizes import size_text
from refrain.storage.copying import Terms, copy
from refrain.storage.manifest import TreeKind


def data_cp(options: argparse.Namespace) -> Answer:
    """Copy, verified; when it is interrupted, the same command goes on from where it was.

    :raises DataError: when it cannot be copied, or would replace files that are there.
    """
    workspace = open_workspace(options)
    source, target = place_of(options.source, workspace), place_of(options.target, workspace)
    is_folder = options.target.endswith("/")
    terms = Terms(options.overwrite, target_kind=TreeKind.DIRECTORY if is_folder else None)
    with shown("Copying", options.json) as watch:
        copied = copy(source, target, workspace.state.ledgers, terms, watch)
    document = {
        "source": source.uri,
        "target": copied.place.uri,
        "kind": copied.kind.value,
        "files": copied.files,
        "bytes": copied.bytes,
        "arrived_earlier": copied.kept,
    }
    kept = f" ({copied.kept} of them had arrived in an earlier try)" if copied.kept else ""
    return Answer(document, (f"{copied.files:,} files, {size_text(copied.bytes)}, are now at {copied.place}{kept}.",))
