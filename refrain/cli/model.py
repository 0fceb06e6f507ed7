"""``refrain model``: the registered models of a workspace."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from refrain.cli.answer import Answer
from refrain.cli.found_workspace import open_workspace
from refrain.data.models.model import Model
from refrain.data.models.registration import described, register
from refrain.errors import UserError
from refrain.execution.sizes import size_text
from refrain.execution.table import Column, render

_COLUMNS = (
    Column("NAME"),
    Column("VERSION", is_number=True),
    Column("REGISTERED"),
    Column("SIZE", is_number=True),
    Column("BY"),
    Column("TAGS"),
)


def listing(options: argparse.Namespace) -> Answer:
    """List the newest version of every model, or every version of one.

    :raises ModelNotFoundException: when there is none of this name.
    """
    workspace, name = open_workspace(options), getattr(options, "name", None)
    models = [*Model.list(workspace, name=Model(workspace, name).name)] if name else [*workspace.models.values()]
    lines = render(_COLUMNS, map(_row, models)) if models else ["No model is registered."]
    return Answer({"models": [model.serialize() for model in models]}, tuple(lines))


def show(options: argparse.Namespace) -> Answer:
    """Show what is known of a model.

    :raises ModelNotFoundException: when there is none.
    """
    document = _named(options).serialize()
    width = max(map(len, document))
    return Answer(document, tuple(f"{key:{width}}  {_text(value)}" for key, value in document.items()))


def put(options: argparse.Namespace) -> Answer:
    """Register a file or a folder as the next version of a model.

    :raises ModelPathNotFoundException: when there is nothing at the path.
    """
    workspace = open_workspace(options)
    tags, properties = _labels(options.tag), _labels(options.property)
    wanted = described(options.name, tags, properties, options.description, None, options.framework, None)
    version = register(wanted, Path(options.path), workspace.state)
    model = Model(workspace, options.name, version=version)
    return Answer(model.serialize(), (f"{options.path} is version {version} of model {options.name!r} now.",))


def download(options: argparse.Namespace) -> Answer:
    """Copy a model to a folder, verified.

    :raises DataError: when something is there, or the bytes are not those that were registered.
    """
    model = _named(options)
    path = model.download(options.folder, exist_ok=options.overwrite)
    return Answer({**model.serialize(), "path": path}, (f"{model} is at {path} now.",))


def delete(options: argparse.Namespace) -> Answer:
    """Forget a version of a model.

    :raises UserError: when it is not said which.
    """
    if ":" not in options.model:
        raise UserError(f"Say which version of model {options.model!r} is to be deleted: {options.model}:VERSION.")
    model = _named(options)
    model.delete()
    return Answer({"deleted": model.id}, (f"{model} is forgotten; 'refrain gc' removes its bytes.",))


def _named(options: argparse.Namespace) -> Model:
    workspace = open_workspace(options)
    name, colon, _ = options.model.partition(":")
    return Model(workspace, id=options.model) if colon else Model(workspace, name)


def _labels(words: Iterable[str]) -> dict[str, str]:
    labels = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UserError(f"A tag or a property is written NAME=VALUE, not {word!r}.")
        labels[name] = value
    return labels


def _row(model: Model) -> tuple[str, ...]:
    known = model.serialize()
    tags = " ".join(f"{name}={value}" for name, value in model.tags.items())
    registered = f"{model.created_time.astimezone():%Y-%m-%d %H:%M}"
    return model.name, str(model.version), registered, size_text(known["bytes"]), model.run_id or "", tags


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in value.items())
    return "" if value in (None, []) else str(value)
