"""Addresses: how the executors of a Spark step find data, whatever a path means on the driver's machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from refrain.compute.spark import SparkSettings
from refrain.errors import DataError, known
from refrain.execution.inputs import ResolvedInput, provide
from refrain.execution.stage import Stage
from refrain.storage.stores import Stores

_FILE = "file://"


def address(item: ResolvedInput, stage: Stage, stores: Stores, spark: SparkSettings) -> str:
    """Return the address of an input that is taken with ``as_hdfs()``; bring it here where nothing else will do.

    :raises DataError: when the executors cannot see it, saying what would let them.
    """
    place = stores.at(item.handle.uri)
    url = spark.url(place.uri) if item.is_whole else None
    if url is not None:
        return url
    path = provide(item, stage, stores)
    for needed in (path, *_sources(item, stores)):
        if not spark.sees(needed):
            raise DataError(f"Input {item.port.name!r}: {_unseen(needed, spark)} {_way(place.uri)}")
    return _FILE + path


def output_address(name: str, path: Path, spark: SparkSettings) -> str:
    """Return the address of an output.

    :raises DataError: when the executors cannot see it.
    """
    if not spark.sees(str(path)):
        raise DataError(f"Output {name!r}: {_unseen(str(path), spark)} {_way(_FILE)}")
    return _FILE + str(path)


def _sources(item: ResolvedInput, stores: Stores) -> Iterator[str]:
    """Yield what the links at an input's path may lead to."""
    places = [place for _, place in item.members] or [stores.at(item.handle.uri)]
    for place in places:
        local = place.in_place
        yield str(stores.cache.folder if local is None else local)


def _unseen(path: str, spark: SparkSettings) -> str:
    shared = f"only {known(spark.shared_folders)}" if spark.shared_folders else "none that its target names"
    return f"the executors of {spark.place} must find {path!r}, but of this machine's folders they share {shared}."


def _way(uri: str) -> str:
    way = (
        "Put the workspace, its datastores and REFRAIN_CACHE into a folder that all machines share, and name it in the "
        "target's setting shared_folders."
    )
    own = "" if uri.startswith(_FILE) else f" Or let them read {uri.partition('://')[0]}:// by themselves: reads_urls."
    return way + own
