"""State: everything durable of a workspace, under one root."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from refrain.errors import WorkspaceError, WorkspaceSchemaError
from refrain.storage.blobs import BlobStore
from refrain.storage.cache import WorkerCache
from refrain.storage.datastores import DatastoreTable
from refrain.storage.digest import digest_bytes
from refrain.storage.identity import DataIdentity, data_identity
from refrain.storage.knowledge import Knowledge
from refrain.storage.objects import LocalObjectStore, NoObjects, ObjectStore
from refrain.storage.receipts import Receipts
from refrain.storage.registry import Registry
from refrain.storage.remembering import RememberingObjects
from refrain.storage.root import Root
from refrain.storage.statindex import StatIndex
from refrain.storage.store import Place
from refrain.storage.stores import NoDatastores, Stores
from refrain.storage.trees import Trees
from refrain.storage.unfinished import UNFINISHED, UnfinishedWork

if TYPE_CHECKING:
    from refrain.storage.ledger import Ledgers

SCHEMA = 1
COPIES = "copies"
_RECORD = "workspace.json"
_KEY = "secret.key"
_KEY_BYTES = 32


class WorkspaceState:
    """The parts of a workspace, made on first use.

    ::

        <root>/workspace.json   schema, name
        <root>/secret.key       for keyed hashes of secret values, readable by the owner only where files have owners
        <root>/reuse/ manifests/ blobs/ runs/ registry/ datastores/

    Where the root is a URL, this machine has a folder of its own for what must be local while a step works.
    """

    def __init__(self, root: str | os.PathLike[str] | Root) -> None:
        """Name the root, a folder or a URL; nothing is read or written yet.

        :raises WorkspaceError: when it names no place where a workspace can be.
        """
        given = root if isinstance(root, Root) else Root.parse(root)
        self.address = given if given.folder is None else replace(given, folder=given.folder.expanduser().absolute())
        self.root = self.address.folder or machine_folder(self.address)
        """The folder of this machine: the workspace itself, or where its steps work."""
        self.objects: ObjectStore = self._object_store()
        self.blobs = BlobStore(self.objects)
        self.registry = Registry(self.objects if self.is_local else RememberingObjects(self.objects))
        self.datastores = DatastoreTable(self.address, self.registry)

    @property
    def is_local(self) -> bool:
        """Say whether the workspace is a folder of this machine."""
        return self.address.folder is not None

    @cached_property
    def copies(self) -> ObjectStore | None:
        """What this machine has fetched of a remote workspace's records; None where the workspace is a folder."""
        return None if self.is_local else LocalObjectStore(self.root / COPIES)

    @cached_property
    def place(self) -> Place:
        """The root as a place, for files that are too large to be objects."""
        return self.stores.within(self.address)

    @cached_property
    def trees(self) -> Trees:
        """Digests of local trees, through this machine's stat index."""
        cache = cache_folder()
        return Trees(StatIndex(cache), (str(self.root), str(cache)))

    @cached_property
    def ledgers(self) -> Ledgers:
        """What interrupted copies had done."""
        from refrain.storage.ledger import Ledgers

        return Ledgers(self.root / "transfers")

    def unfinished(self, key: str) -> UnfinishedWork:
        """Return the folder of work that may take several tries.

        :param key: 64 hexadecimal digits that name the work.
        """
        relative = f"{UNFINISHED}/{key[:2]}/{key}"
        return UnfinishedWork(self.root / relative, None if self.is_local else self.place.below(relative))

    @cached_property
    def data_identity(self) -> DataIdentity:
        """What counts of data from outside of a pipeline, as it was set when this was first asked."""
        return data_identity(self.registry)

    @cached_property
    def stores(self) -> Stores:
        """Where data is, by datastore or by URI."""
        cache = WorkerCache(cache_folder() / "data")
        return Stores(self.datastores, self.trees, Knowledge(self.blobs, Receipts(self.objects, self.copies), cache))

    def open(self, name: str | None = None) -> str:
        """Make the workspace if it is not there, and return its name.

        :param name: of a workspace that is made now; one that is there keeps its own.
        :raises WorkspaceSchemaError: when a newer Refrain wrote it.
        :raises WorkspaceError: when it cannot be read or written, or its record is damaged.
        """
        found = self.peek()
        if found is None:
            record = {"schema": SCHEMA, "name": name or self._default_name(), "created": time.time()}
            self._require_writable()
            self.objects.create(_RECORD, json.dumps(record, indent=1).encode(), may_repeat=True)
            found = self.peek()
        return found or ""

    def peek(self) -> str | None:
        """Return the workspace's name, or None when it has not been made; raises as :meth:`open`, and makes nothing."""
        data = self.objects.get(_RECORD)
        if data is None:
            return None
        try:
            record = json.loads(data)
            schema, name = int(record["schema"]), str(record["name"])
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{self.objects.location(_RECORD)!r} is damaged; restore it, or remove it to have it made anew."
            ) from error
        if schema > SCHEMA:
            raise WorkspaceSchemaError(
                f"The workspace {str(self.address)!r} has schema {schema}, this Refrain reads up to {SCHEMA}. "
                "Upgrade Refrain, or use another workspace."
            )
        return name

    @cached_property
    def secret_key(self) -> bytes:
        """The workspace's own key for keyed hashes, 32 bytes; made once, by whichever process comes first.

        :raises WorkspaceError: when it cannot be read or made, or is damaged.
        """
        if not self.objects.exists(_KEY):
            self.objects.create(_KEY, os.urandom(_KEY_BYTES), private=True, may_repeat=True)
        key = self.objects.get(_KEY) or b""
        if len(key) != _KEY_BYTES:
            raise WorkspaceError(
                f"{self.objects.location(_KEY)!r} is damaged; restore it, or remove it: steps with secret variables "
                "then run once more."
            )
        return key

    def _default_name(self) -> str:
        """Name a workspace after its folder, or after the project where it is ``<project>/.refrain/workspace``."""
        is_in_project = self.is_local and self.root.parent.name == ".refrain"
        return (self.root.parent.parent.name if is_in_project else self.address.name) or "workspace"

    def _object_store(self) -> ObjectStore:
        if self.address.folder is not None:
            return LocalObjectStore(self.root)
        from refrain.storage.filesystem import FileSystem
        from refrain.storage.remote_objects import RemoteObjectStore

        files = FileSystem(self.address.url, self.address.conn_id, dict(self.address.options))
        return RemoteObjectStore(files, self.address.url)

    def _require_writable(self) -> None:
        if not self.is_local:
            return  # a store has no folders to be made, and says so itself when it cannot be written to
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"Cannot make the workspace {str(self.root)!r}: {error.strerror}. Name another folder with "
                "REFRAIN_WORKSPACE or in .refrain/config.json."
            ) from error


def stores_without_workspace() -> Stores:
    """Return the stores of local paths and of URLs, with the credentials that this machine has."""
    return _stores_without_workspace(cache_folder())


@lru_cache
def _stores_without_workspace(cache: Path) -> Stores:
    nothing = NoObjects()
    knowledge = Knowledge(BlobStore(nothing), Receipts(nothing), WorkerCache(cache / "data"))
    return Stores(NoDatastores(), Trees(StatIndex(cache)), knowledge)


def cache_folder() -> Path:
    """Return this machine's folder for what can be lost: ``REFRAIN_CACHE``, or the user's cache folder."""
    named = os.environ.get("REFRAIN_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "refrain"


def machine_folder(address: Root) -> Path:
    """Return the folder in which steps of a remote workspace work on this machine."""
    return cache_folder().absolute() / "workspaces" / digest_bytes(str(address).encode())[:32]
