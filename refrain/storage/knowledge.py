"""Knowledge: what a workspace and a machine know of the data on other file systems."""

from __future__ import annotations

from refrain.storage.blobs import BlobStore
from refrain.storage.cache import WorkerCache
from refrain.storage.receipts import Receipts
from refrain.values import dataclass


@dataclass(frozen=True)
class Knowledge:
    """What a remote store needs of its workspace and machine."""

    blobs: BlobStore
    receipts: Receipts
    cache: WorkerCache
