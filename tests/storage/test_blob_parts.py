"""Blocks of Azure Blob, spoken to at a server of its own."""

from __future__ import annotations

import json
import random
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.remote_stores import azurite
from refrain.errors import DataError
from refrain.storage.blob_parts import BlobWriting
from refrain.storage.copying import copy
from refrain.storage.parts import PART_BYTES, md5_of, part, parts_of
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place

DATA = random.Random(7).randbytes(2 * PART_BYTES + 999)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("azurite-blob") is None:
        pytest.skip("needs azurite-blob on PATH: npm install -g azurite")
    with azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceState:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    return WorkspaceState(tmp_path / "workspace")


@pytest.fixture
def root(state: WorkspaceState, server: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    extra = {"connection_string": server}
    monkeypatch.setenv("AIRFLOW_CONN_BLOB", json.dumps({"conn_type": "wasb", "extra": extra}))
    container = f"c{uuid.uuid4().hex}"
    state.datastores.register_url("blob", f"abfs://{container}/data", "blob")
    place = state.stores.on("blob", "")
    place.store._fs.call("make container", lambda fs: fs.mkdir(container))
    return place


def _writing(place: Place) -> BlobWriting:
    writing = place.store.writing(place.path)
    assert isinstance(writing, BlobWriting)
    return writing


def _send(writing: BlobWriting, upload: str, *indexes: int) -> dict[int, str]:
    starts, sums = parts_of(len(DATA)), {}
    for index in indexes:
        at = part(len(DATA), starts, index)
        sums[index] = md5_of(DATA[at.start : at.end])
        writing.write(upload, at, DATA[at.start : at.end], sums[index])
    return sums


def test_a_large_file_arrives_and_comes_back(root, state, tmp_path):
    (tmp_path / "large").write_bytes(DATA)
    copy(state.stores.local(tmp_path / "large"), root.below("large"), state.ledgers)
    copy(root.below("large"), root.below("again/large"), state.ledgers)
    copy(root.below("again"), state.stores.local(tmp_path / "back"), state.ledgers)
    assert (tmp_path / "back" / "large").read_bytes() == DATA
    assert root.below("again/large").identify().digest == state.trees.identify(tmp_path / "large").digest


def test_nothing_is_there_until_all_blocks_are_and_those_that_are_count(root):
    place = root.below("object")
    writing = _writing(place)
    upload, there = writing.begin(len(DATA), None, {})
    assert there == {}
    sums = _send(writing, upload, 2, 0)
    assert not place.exists()
    again, there = _writing(place).begin(len(DATA), upload, {**sums, 1: "0" * 32})
    assert (again, there) == (upload, sums)
    sums |= _send(writing, upload, 1)
    tag = writing.finish(upload, len(DATA), [sums[0], sums[1], sums[2]])
    (listed,) = place.listing().objects
    assert (listed.size, listed.tag) == (len(DATA), tag)
    assert place.store.reading(listed).read(PART_BYTES - 1, PART_BYTES + 1) == DATA[PART_BYTES - 1 : PART_BYTES + 1]


def test_a_block_that_came_as_something_else_is_refused(root, monkeypatch):
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)
    writing = _writing(root.below("object"))
    upload, _ = writing.begin(len(DATA), None, {})
    with pytest.raises(DataError, match=r"Cannot write abfs://.*/object"):
        writing.finish(upload, len(DATA), ["0" * 32])
