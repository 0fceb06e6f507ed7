"""``refrain compute``: what the names of compute targets mean in a workspace."""

from __future__ import annotations

import argparse
import json
from typing import Any

from refrain.cli.answer import Answer
from refrain.cli.found_workspace import open_workspace
from refrain.compute.kinds import check, kind, kinds
from refrain.compute.target import Target, TargetTable
from refrain.errors import UserError
from refrain.execution.table import Column, render

_COLUMNS = (Column("NAME"), Column("KIND"), Column("QUEUE"), Column("POOL"), Column("SETTINGS"))


def listing(options: argparse.Namespace) -> Answer:
    """List the compute targets of the workspace, and the kinds that are installed here."""
    table = TargetTable(open_workspace(options).state.registry)
    targets = [table.get(name) for name in table.names()]
    document = {"targets": [_document(target) for target in targets], "kinds": kinds()}
    rows = render(_COLUMNS, map(_row, targets)) if targets else ["No compute target is registered."]
    return Answer(document, (*rows, f"Kinds that are installed here: {', '.join(kinds())}."))


def put(options: argparse.Namespace) -> Answer:
    """Register a compute target, in the place of one of the same name.

    :raises UserError: for a setting that its kind does not have.
    :raises UnknownNameError: when there is no such kind.
    """
    settings = dict(_setting(word) for word in options.settings)
    target = Target(options.name, options.kind, settings, options.queue, options.pool)
    check(target)
    TargetTable(open_workspace(options).state.registry).put(target)
    return Answer(_document(target), (f"Steps that name {target.name!r} run on {target.kind}.",))


def remove(options: argparse.Namespace) -> Answer:
    """Forget a compute target.

    :raises UnknownNameError: when there is none.
    """
    TargetTable(open_workspace(options).state.registry).remove(options.name)
    return Answer({"removed": options.name}, (f"Steps that name {options.name!r} run on this machine now.",))


def test(options: argparse.Namespace) -> Answer:
    """Try a compute target from end to end.

    :raises RefrainError: at the first thing that does not work.
    """
    state = open_workspace(options).state
    target = TargetTable(state.registry).get(options.name)
    found = list(kind(target.kind).examine(target, state))
    return Answer({"target": target.name, "works": found}, (*found, f"{target.name!r} works."))


def _setting(word: str) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise UserError(f"A setting is written NAME=VALUE, not {word!r}.")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _document(target: Target) -> dict[str, Any]:
    return {**vars(target), "settings": dict(target.settings)}


def _row(target: Target) -> tuple[str, ...]:
    settings = " ".join(f"{name}={value}" for name, value in target.settings.items())
    return target.name, target.kind, target.queue or "", target.pool or "", settings
