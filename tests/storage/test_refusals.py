"""What stores and servers refuse, and what they say of it: an error names it, and nothing passes for empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.remote_stores import S3Server, s3_server
from fakes.web_server import WebServer, web_server
from refrain.errors import DataError, DataNotFoundError
from refrain.storage import retry
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT

ACTS: dict[str, Callable[[Place, Path], object]] = {
    "list": lambda place, _: place.identify(),
    "mount": lambda place, folder: place.store.mount(place.path, folder / "view"),
    "write": lambda place, folder: place.store.put([(folder / "file", place.path)]),
    "get": lambda place, folder: place.store.get([(place.path, folder / "file")]),
    "remove": lambda place, _: place.store.remove(place.path),
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceState:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retry, "_FIRST_SECONDS", 0.0001)
    (tmp_path / "file").write_text("what was there")
    return WorkspaceState(tmp_path / "workspace")


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def place(state: WorkspaceState, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    state.datastores.register_url("store", f"s3://{server.make_bucket()}", "objects")
    yield state.stores.on("store", "data")
    server.refusal = None


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied", "InvalidAccessKeyId"])
@pytest.mark.parametrize("act", ACTS)
def test_an_expired_or_refused_credential_is_never_taken_for_nothing(place, server, tmp_path, act, code):
    server.refusal = ("403 Forbidden", code)
    with pytest.raises(DataError, match=r"Cannot \w+ s3://.*Check the connection 'objects'") as caught:
        ACTS[act](place, tmp_path)
    assert not isinstance(caught.value, DataNotFoundError)
    assert "top-secret-word" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "what was there"


@pytest.mark.parametrize(("status", "code"), [("503 Service Unavailable", "SlowDown"), ("500 Broken", "InternalError")])
@pytest.mark.parametrize("act", ACTS)
def test_a_store_that_is_down_is_asked_a_bounded_number_of_times(place, server, tmp_path, act, status, code):
    server.refusal = (status, code)
    server.requests.clear()
    with pytest.raises(DataError, match=r"Cannot \w+ s3://.*Check the connection 'objects'") as caught:
        ACTS[act](place, tmp_path)
    assert not isinstance(caught.value, DataNotFoundError)
    assert sum(server.requests.values()) == retry.TRIES


def test_a_listing_of_before_an_overwriting_does_not_vouch_for_what_was_written(state, tmp_path, monkeypatch):
    state.datastores.register_url("memory", "memory://stale/data")
    place = state.stores.on("memory", "out")
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a").write_text("1")
    (tmp_path / "two").mkdir()
    (tmp_path / "two/a").write_text("2")
    place.store.publish(tmp_path / "one", place.path, state.trees.manifest(tmp_path / "one", OUTPUT))
    real = place.store.listing
    before = real(place.path)
    monkeypatch.setattr(place.store, "listing", lambda path, **_: before)
    with pytest.raises(DataError, match=r"memory://stale/data/out/a"):
        place.store.publish(tmp_path / "two", place.path, state.trees.manifest(tmp_path / "two", OUTPUT))
    monkeypatch.setattr(place.store, "listing", real)
    monkeypatch.undo()
    assert (
        place.store._known.receipts.get(before.manifest.digest).digest == state.trees.identify(tmp_path / "one").digest
    )


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def _digest(state: WorkspaceState, web: WebServer, path: str) -> str:
    return state.stores.named(web.url + path).identify().digest


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [("ETag", '"one"', '"two"'), ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:01 GMT")],
)
def test_a_web_file_is_known_by_its_tag_or_its_time(state, web, name, one, two):
    web.files["/a"], web.tags["/a"] = b"1", {name: one}
    first = _digest(state, web, "/a")
    assert _digest(state, web, "/a") == first
    web.tags["/a"] = {name: two}
    assert _digest(state, web, "/a") != first


def test_a_web_file_of_which_nothing_is_said_counts_as_new_each_time(state, web):
    web.files["/a"] = b"1"
    assert _digest(state, web, "/a") != _digest(state, web, "/a")


def test_a_web_file_that_has_moved_is_found(state, web, tmp_path):
    web.files["/new"], web.moved["/old"] = b"content", "/new"
    place = state.stores.named(f"{web.url}/old")
    place.store.get([(place.path, tmp_path / "copy")])
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_a_web_file_that_is_sent_compressed_arrives_as_it_is(state, web, tmp_path):
    web.files["/a"], web.zips, web.knows_ranges = b"content " * 1000, True, False
    place = state.stores.named(f"{web.url}/a")
    place.store.get([(place.path, tmp_path / "copy")])
    assert (tmp_path / "copy").read_bytes() == b"content " * 1000


def test_a_web_file_that_is_not_there_is_named(state, web, tmp_path):
    with pytest.raises(DataNotFoundError, match=f"There is nothing at {web.url}/none"):
        _digest(state, web, "/none")
    assert list(tmp_path.glob("cop*")) == []
