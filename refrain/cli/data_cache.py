"""``refrain data cache``: the copies of remote objects on this machine."""

from __future__ import annotations

import argparse

from refrain.cli.answer import Answer
from refrain.errors import UserError
from refrain.execution.sizes import bytes_of, size_text
from refrain.storage.cache import LIMIT, WorkerCache, limit_bytes
from refrain.storage.state import cache_folder


def data_cache(options: argparse.Namespace) -> Answer:
    """Show the cache, after having made it smaller if that was asked for; what a step uses now stays.

    :raises UserError: for a limit that is no size.
    """
    cache = WorkerCache(cache_folder() / "data")
    if options.clear and options.limit is not None:
        raise UserError("Give --clear or --limit, not both.")
    before = cache.usage()
    if options.clear or options.limit is not None:
        cache.make_room(0 if options.clear else bytes_of(options.limit, "--limit"))
    now = cache.usage()
    document = {
        "folder": str(cache.folder),
        "files": now.files,
        "bytes": now.bytes,
        "limit": limit_bytes(),
        "freed": before.bytes - now.bytes,
    }
    lines = [f"{now.files:,} objects, {size_text(now.bytes)} of {size_text(limit_bytes())}, in {cache.folder}"]
    if options.clear or options.limit is not None:
        lines.append(f"Freed {size_text(before.bytes - now.bytes)}. To keep it small, set {LIMIT} for the workers.")
    return Answer(document, tuple(lines))
