"""Contents: what a tree holds, by reading every byte of it, whatever an index or a receipt says."""

from __future__ import annotations

from blake3 import blake3

from refrain.storage.listing import Listed
from refrain.storage.manifest import Entry, Manifest
from refrain.storage.parts import part, parts_of
from refrain.storage.retry import in_parallel
from refrain.storage.store import Place
from refrain.storage.watch import Meter, Watch


def read_contents(place: Place, watch: Watch | None = None) -> Manifest:
    """Return the files at a place with the digests of their bytes; empty folders are left out.

    :raises DataError: when it cannot be read, or changes meanwhile.
    :raises TransferCanceledError: when *watch* stopped it.
    """
    watch = watch or Watch()
    listing = place.listing()
    meter = Meter(watch, len(listing.objects), sum(o.size for o in listing.objects))

    def read(listed: Listed) -> Entry:
        reading = place.store.reading(listed)
        hasher = blake3()
        starts = parts_of(reading.size)
        for index in range(len(starts)):
            watch.require_wanted()
            at = part(reading.size, starts, index)
            hasher.update(reading.read(at.start, at.end))
            meter.add(at.size)
        reading.require_same(None)
        meter.add(0, files=1)
        return Entry(listed.path, reading.size, hasher.hexdigest())

    return Manifest(listing.kind, tuple(in_parallel(read, listing.objects)))
