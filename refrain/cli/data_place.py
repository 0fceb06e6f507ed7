"""DataPlace: where data is, as a command line writes it.

``datastore:path`` is a path on a datastore, ``scheme://…`` a URL, and all else a path on this machine. A local file
whose name has a colon is written with a ``/`` before it: ``./a:b``.
"""

from __future__ import annotations

import os
import re

from refrain.errors import UnknownNameError, UserError, did_you_mean, known
from refrain.pipelines.workspace import Workspace
from refrain.storage.store import Place

_ON_DATASTORE = re.compile(r"(\w+):(?!//)(.*)", re.ASCII | re.DOTALL)


def place_of(text: str, workspace: Workspace) -> Place:
    """Return the place that a command line names.

    :raises UnknownNameError: for a datastore that the workspace does not have.
    :raises UserError: for an empty text, or a path that would leave its datastore.
    """
    if not text.strip():
        raise UserError("A place is missing: write datastore:path, a URL or a local path.")
    found = _ON_DATASTORE.fullmatch(text)
    if found is None:
        return workspace.state.stores.named(text if "://" in text else os.path.abspath(os.path.expanduser(text)))
    name, path = found.groups()
    names = workspace.state.datastores.names()
    if name not in names:
        raise UnknownNameError(
            f"{text!r}: there is no datastore {name!r}. Known: {known(names)}.{did_you_mean(name, names)} A local "
            f"file of that name is written './{text}'."
        )
    return workspace.state.stores.on(name, path)
