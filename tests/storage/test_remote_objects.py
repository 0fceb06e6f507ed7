"""What every object store must do: one contract, inherited by the test of each."""

from __future__ import annotations

import os
import random
import shutil
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fakes.remote_stores import ForgetfulFileSystem, S3Server, azurite, s3_server
from refrain.errors import WorkspaceError
from refrain.storage.filesystem import FileSystem
from refrain.storage.objects import LocalObjectStore, ObjectStore
from refrain.storage.remote_objects import RemoteObjectStore


class ObjectStoreContract:
    """Inherited by each store's tests, which give the fixture ``store``: one without objects."""

    def test_what_is_put_can_be_had(self, store: ObjectStore) -> None:
        store.put("a/b", b"one")
        store.put("a/b", b"two")
        store.put("a/empty", b"")
        assert (store.get("a/b"), store.get("a/empty")) == (b"two", b"")
        assert store.exists("a/b")

    def test_what_is_not_there_is_nothing(self, store: ObjectStore) -> None:
        assert store.get("a/b") is None
        assert not store.exists("a/b")
        assert not store.is_fresh("a/b")
        assert store.names("a") == []
        assert list(store.walk("a")) == []
        store.delete("a/b")

    def test_a_folder_is_no_object(self, store: ObjectStore) -> None:
        store.put("a/b/c", b"")
        assert not store.is_fresh("a/x")
        assert store.names("a/b/c") == []

    def test_only_the_first_creation_counts(self, store: ObjectStore) -> None:
        assert store.create("a/key", b"one", may_repeat=True)
        assert not store.create("a/key", b"two", may_repeat=True)
        assert store.get("a/key") == b"one"

    def test_names_are_those_directly_below(self, store: ObjectStore) -> None:
        for key in ("a/2", "a/1/deep", "a/1/deeper/x", "ab/c"):
            store.put(key, b"")
        assert store.names("a") == ["1", "2"]
        assert store.names("") == ["a", "ab"]

    def test_every_object_below_a_folder_is_walked_with_its_size_and_age(self, store: ObjectStore) -> None:
        for key in ("a/2", "a/1/deep", "ab/c"):
            store.put(key, b"four")
        found = sorted(store.walk("a"), key=lambda stored: stored.key)
        assert [(stored.key, stored.bytes) for stored in found] == [("a/1/deep", 4), ("a/2", 4)]
        assert all(abs(stored.changed - time.time()) < 60 for stored in found)

    def test_what_was_just_written_is_fresh(self, store: ObjectStore) -> None:
        store.put("a/b", b"")
        assert store.is_fresh("a/b")

    def test_a_deleted_object_is_gone(self, store: ObjectStore) -> None:
        store.put("a/b", b"")
        store.delete("a/b")
        assert not store.exists("a/b")
        assert store.names("a") == []

    def test_a_folder_is_taken_once(self, store: ObjectStore) -> None:
        assert store.claim("runs/one")
        assert not store.claim("runs/one")
        assert store.claim("runs/two")
        assert store.names("runs") == ["one", "two"]
        assert store.names("runs/one") == []

    def test_a_dropped_folder_is_gone_with_all_that_is_in_it_and_nothing_else(self, store: ObjectStore) -> None:
        for key in ("a/run.json", "a/logs/x", "ab/c", "a/run.json.2"):
            store.put(key, b"")
        store.drop("a", last="run.json")
        store.drop("nothing")
        assert [stored.key for stored in store.walk("")] == ["ab/c"]
        assert store.names("") == ["ab"]

    def test_a_place_is_told_with_its_key(self, store: ObjectStore) -> None:
        assert store.location("a/b").endswith("/a/b")


class ConditionalContract(ObjectStoreContract):
    """Of stores that create an object only if it is not there."""

    def test_it_is_known_to_be_conditional_and_nothing_is_left_of_finding_out(self, store: ObjectStore) -> None:
        assert store.is_conditional
        assert list(store.walk("")) == []

    def test_of_many_threads_exactly_one_creates_an_object(self, store: ObjectStore) -> None:
        assert store.is_conditional
        with ThreadPoolExecutor(16) as pool:
            for key in ("a/1", "a/2", "a/3"):
                told = list(pool.map(store.create, [key] * 16, [b"%d" % writer for writer in range(16)]))
                assert told.count(True) == 1
                assert store.get(key) == b"%d" % told.index(True)


class TestLocal(ConditionalContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        (tmp_path / "root").mkdir()
        return LocalObjectStore(tmp_path / "root")

    def test_what_was_written_long_ago_is_not_fresh(self, store: LocalObjectStore) -> None:
        store.put("a", b"")
        os.utime(store.path("a"), (1e9, 1e9))
        assert not store.is_fresh("a")


class TestMemory(ConditionalContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        url = f"memory://{uuid.uuid4().hex}"
        return RemoteObjectStore(FileSystem(url), url)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


class TestS3(ConditionalContract):
    @pytest.fixture
    def store(self, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
        monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
        url = f"s3://{server.make_bucket()}/base"
        return RemoteObjectStore(FileSystem(url, "objects"), url)

    def test_a_missing_bucket_is_named_with_the_way_out(self, store: ObjectStore, server: S3Server) -> None:
        lost = RemoteObjectStore(FileSystem("s3://no-such-bucket", "objects"), "s3://no-such-bucket/base")
        assert lost.get("a") is None
        with pytest.raises(WorkspaceError, match=r"Cannot write s3://no-such-bucket/base/a: .* Make the bucket or"):
            lost.put("a", b"")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if shutil.which("azurite-blob") is None:
        pytest.skip("needs azurite-blob on PATH: npm install -g azurite")
    with azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


class TestAzure(ConditionalContract):
    @pytest.fixture
    def store(self, connection: str) -> ObjectStore:
        container = uuid.uuid4().hex
        files = FileSystem(f"abfs://{container}", options={"connection_string": connection})
        files.call("make the container", lambda fs: fs.mkdir(container))
        return RemoteObjectStore(files, f"abfs://{container}/base")


class TestWithoutConditionalWrites(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        fsspec.register_implementation("forgetful", ForgetfulFileSystem, clobber=True)
        url = f"forgetful://{uuid.uuid4().hex}"
        return RemoteObjectStore(FileSystem(url), url)

    def test_it_is_found_out(self, store: ObjectStore) -> None:
        assert not store.is_conditional
        assert list(store.walk("")) == []

    def test_what_two_writers_could_spoil_is_refused(self, store: ObjectStore) -> None:
        match = r"Cannot write forgetful://\w+/registry/x/1 so that no other writer's is lost: the store has no condit"
        with pytest.raises(WorkspaceError, match=match):
            store.create("registry/x/1", b"")
        assert store.names("registry") == []


def test_on_a_store_that_fails_often_an_object_is_still_created_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is lost on the way must not make a writer believe that somebody else was first."""
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.0001)

    class Losing(ForgetfulFileSystem):
        protocol = "losing"
        generator = random.Random(7)

        @classmethod
        def _strip_protocol(cls, path):
            return ForgetfulFileSystem._strip_protocol(str(path).replace("losing://", "memory://", 1))

        def pipe_file(self, path, value, mode="overwrite", **kwargs):
            MemoryFileSystem.pipe_file(self, path, value, mode=mode, **kwargs)
            if self.generator.random() < 0.3:
                raise OSError("the line went dead")

    fsspec.register_implementation("losing", Losing, clobber=True)
    url = f"losing://{uuid.uuid4().hex}"
    store = RemoteObjectStore(FileSystem(url), url)
    for number in range(100):
        assert store.create(f"a/{number}", b"mine")
        assert not store.create(f"a/{number}", b"another's")
