"""Needs: what must be found on a node, at the same paths as here, so that mini-batches can be run there."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from itertools import islice

from refrain.runtime.context import current_folder, current_inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from refrain.runtime.parallel.settings import Settings

_SCHEMA = 1
_MOST = 100


def needs(settings: Settings) -> list[str]:
    """Return absolute paths: the script's, those of the inputs, and of some files of each.

    Folders can hold links, and descriptions of datasets name files anywhere; but an input has too many to look for all
    of them. What is not there on this machine, either, is no reason to refuse a node.
    """
    run, known = current_folder(), current_inputs()
    folders = [known.paths.get(name, name) for name in settings.files]
    cut = [known.descriptions.get(name, name) for name in settings.tables]
    sides = [path for name, path in known.descriptions.items() if name not in settings.tables]
    files = [_first(folder) for folder in [*folders, *known.paths.values()]]
    files += [path for description in cut for path in _samples(description, ["file"])]
    files += [path for description in sides for path in [description, *_samples(description, ["file", "tabular"])]]
    paths = [settings.script, *folders, *([run] if run else []), *filter(os.path.exists, files)]
    return list(dict.fromkeys(map(os.path.abspath, paths)))


def _first(path: str) -> str:
    """Return the file that is found first below a folder; what is no folder, or has nothing in it, as it is."""
    with suppress(OSError):  # who needs what cannot be listed will say so
        while os.path.isdir(path):
            with os.scandir(path) as entries:
                entry = next(entries, None)
            if entry is None:
                break
            path = entry.path
    return path


def _samples(description: str, kinds: list[str]) -> list[str]:
    """Return a file of each folder that a dataset has files in, of a hundred at most.

    :param description: what :mod:`refrain.data.brought` wrote.
    :param kinds: of datasets whose files the workers read; the rows of a table that is cut are sent to them.
    """
    found: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):  # who reads the dataset says what is wrong with it
        with open(description, encoding="utf-8") as file:
            told = json.load(file)
        if told["schema"] == _SCHEMA and told["definition"]["kind"] in kinds:
            for _, _, _, path in told["files"]:
                if path:  # else it is not chosen, and was not brought here
                    found.setdefault(os.path.dirname(path), path)
    return list(islice(found.values(), _MOST))
