"""Content: the bytes of registered models, each content stored once, and verified whenever it is read.

::

    <workspaceblobstore>/models/<digest>/<name>         a file or a folder, under the name that it had
    <workspaceblobstore>/models/<digest>/.registered    as young as the latest version of this content, for the cleaning
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.data.handle import DataHandle
from refrain.data.ports import MODELS
from refrain.errors import DataError, ModelPathNotFoundException
from refrain.storage.copying import Terms, copy
from refrain.storage.datastores import BLOB_STORE
from refrain.storage.local import remove_path
from refrain.storage.manifest import TreeKind
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.stores import Stores

FOLDER = f"datastores/{BLOB_STORE}/{MODELS}"
"""Where the cleaning finds models, unless the datastore was given another place."""

_WAITS = (0.2, 0.5, 1, 2, 5, 10)  # seconds, for somebody who stores the same content


@dataclass(frozen=True)
class Content:
    """What a model is, and where: ``kind`` says whether a file or a folder."""

    datastore: str
    path: str
    kind: TreeKind
    digest: str
    files: int
    bytes: int

    @property
    def name(self) -> str:
        """The name of the file or the folder."""
        return self.path.rpartition("/")[2]

    def place(self, stores: Stores) -> Place:
        """Return where it is."""
        return stores.on(self.datastore, self.path)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**vars(self), "kind": self.kind.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Content:
        """Read it back."""
        return cls(**{**document, "kind": TreeKind(document["kind"])})


def sign_key(digest: str) -> str:
    """Return the key of the object that is as young as the latest registration of a content."""
    return f"{FOLDER}/{digest}/.registered"


def keep(path: Path, state: WorkspaceState) -> Content:
    """Store a file or a folder, unless it is there already.

    :raises ModelPathNotFoundException: when nothing is at *path*.
    :raises DataError: when it cannot be read or stored, or changes meanwhile.
    """
    source = state.stores.local(os.path.abspath(path))
    if not source.exists():
        raise ModelPathNotFoundException(f"There is nothing at {str(path)!r} that a model could be registered from.")
    manifest = source.manifest()
    if not manifest.files:
        raise DataError(f"The folder {str(path)!r} holds no file that a model could be registered from.")
    place = f"{MODELS}/{manifest.digest}/{source.name}"
    content = Content(BLOB_STORE, place, manifest.kind, manifest.digest, manifest.files, manifest.bytes)
    state.objects.put(sign_key(content.digest), b"", durable=False)  # first: from now on no cleaning takes it away
    _store(source, content, state)
    state.blobs.put_manifest(manifest)
    return content


def bring(content: Content, what: str, target: Path, state: WorkspaceState) -> None:
    """Copy a model to a local path, where it appears whole, with the bytes that were registered.

    :param what: the model, for messages.
    :raises DataError: when its bytes are not what they were, or cannot be read or written.
    """
    waiting = target.with_name(f".refrain-{os.urandom(8).hex()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        terms = Terms(target_kind=content.kind)
        copy(content.place(state.stores), state.stores.local(os.path.abspath(waiting)), state.ledgers, terms)
        if state.trees.identify(waiting).digest != content.digest:
            raise DataError(damaged(content, what, state))
        os.replace(waiting, target)
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{what} cannot be put at {str(target)!r}: {error.strerror}.") from error
    finally:
        remove_path(waiting)


def sound(content: Content, what: str, state: WorkspaceState) -> DataHandle:
    """Return a reference to a model's bytes as they are stored.

    :raises DataError: when they are not what was registered.
    """
    place = content.place(state.stores)
    if not _holds(place, content.digest):
        raise DataError(damaged(content, what, state))
    return DataHandle(place.uri, content.kind, content.digest, content.files, content.bytes)


def damaged(content: Content, what: str, state: WorkspaceState) -> str:
    """Say that stored bytes are not what they were."""
    return (
        f"{what} at {content.place(state.stores)} is not what was registered: it was changed, damaged or deleted "
        "since. Register the same files again, which repairs it, or delete this version."
    )


def _store(source: Place, content: Content, state: WorkspaceState) -> None:
    target = content.place(state.stores)
    for wait in (*_WAITS, None):
        try:
            _fill(target, source, content, state)
            break
        except DataError:
            if wait is None:
                raise
            time.sleep(wait)
    if not _holds(target, content.digest):
        raise DataError(f"{source} changed while it was registered as a model; wait until its writer has finished.")


def _fill(target: Place, source: Place, content: Content, state: WorkspaceState) -> None:
    """Put a content where it belongs, in the place of one that is damaged."""
    if target.exists():
        if target.identify().digest == content.digest:
            return
        target.store.remove(target.path)
    terms = Terms(overwrite=True, source_kind=content.kind, target_kind=content.kind)
    copy(source, target, state.ledgers, terms)


def _holds(place: Place, digest: str) -> bool:
    try:
        return place.identify().digest == digest
    except DataError:
        return False
