"""What every store must do: one contract, inherited by the test of each."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.remote_stores import S3Server, azurite, s3_server, s3rver
from refrain.errors import DataNotFoundError
from refrain.storage.datastores import Option
from refrain.storage.manifest import TreeKind
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT

NAMES = ["a.txt", "deep/b.txt", "deep/er/c d.csv", "deep/é#1%.txt"]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceState:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    return WorkspaceState(tmp_path / "workspace")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(f"content of {name}")
    return tmp_path / "tree"


class StoreContract:
    """Inherited by each store's tests, which give the fixture ``root``: a place that is empty."""

    def publish(self, source: Path, place: Place, state: WorkspaceState) -> str:
        written = state.trees.manifest(source, OUTPUT)
        copy = source.with_name(f"copy-{uuid.uuid4().hex}")
        shutil.copytree(source, copy) if source.is_dir() else shutil.copyfile(source, copy)
        place.store.publish(copy, place.path, written)
        state.blobs.put_manifest(written)
        return written.digest

    def test_what_was_published_is_known_by_its_content(self, root, state, tree):
        digest = self.publish(tree, root.below("out"), state)
        identity = root.below("out").identify(OUTPUT)
        assert (identity.kind, identity.digest, identity.files) == (TreeKind.DIRECTORY, digest, len(NAMES))
        assert root.below("out").manifest(OUTPUT).digest == digest

    def test_a_single_file_is_a_tree_too(self, root, state, tree):
        digest = self.publish(tree / "a.txt", root.below("out/model.txt"), state)
        identity = root.below("out/model.txt").identify(OUTPUT)
        assert (identity.kind, identity.digest, identity.bytes) == (TreeKind.FILE, digest, len("content of a.txt"))

    def test_a_place_is_found_again_by_its_uri(self, root, state, tree):
        place = root.below("out/c d.csv")
        self.publish(tree / "deep/er/c d.csv", place, state)
        assert state.stores.at(place.uri) == place
        assert state.stores.at(place.uri).exists()

    def test_nothing_is_nothing(self, root):
        assert not root.below("nope").exists()
        assert root.below("nope").files() == []
        with pytest.raises(DataNotFoundError, match="There is nothing at"):
            root.below("nope").identify()

    def test_every_file_is_listed(self, root, state, tree):
        self.publish(tree, root.below("out"), state)
        assert root.below("out").files() == sorted(NAMES)

    def test_a_name_that_begins_alike_is_another_place(self, root, state, tree):
        self.publish(tree, root.below("out2"), state)
        assert not root.below("out").exists()

    def test_a_changed_file_changes_the_identity(self, root, state, tree):
        digest = self.publish(tree, root.below("out"), state)
        (tree / "a.txt").write_text("CONTENT OF a.txt")
        root.store.put([(tree / "a.txt", root.below("out/a.txt").path)])
        assert root.below("out").identify(OUTPUT).digest != digest

    def test_an_added_and_a_removed_file_change_the_identity(self, root, state, tree):
        digest = self.publish(tree, root.below("out"), state)
        root.store.put([(tree / "a.txt", root.below("out/new.txt").path)])
        assert root.below("out").identify(OUTPUT).digest != digest
        root.store.remove(root.below("out/new.txt").path)
        assert root.below("out").identify(OUTPUT).digest == digest

    def test_globs_find_files(self, root, state, tree):
        self.publish(tree, root.below("out"), state)

        def found(pattern: str) -> list[str]:
            pattern = root.below("out").path + "/" + pattern
            return [path[len(root.below("out").path) + 1 :] for path in root.store.match(pattern)]

        assert found("*.txt") == ["a.txt"]
        assert found("*/*.txt") == ["deep/b.txt", "deep/é#1%.txt"]
        assert found("**/*.csv") == ["deep/er/c d.csv"]
        assert found("[ab].t?t") == ["a.txt"]
        assert found("nope*") == []

    def test_a_mounted_tree_can_be_read(self, root, state, tree, tmp_path):
        self.publish(tree, root.below("out"), state)
        mounted = root.store.mount(root.below("out").path, tmp_path / "view")
        assert {name: (mounted / name).read_text() for name in NAMES} == {n: f"content of {n}" for n in NAMES}

    def test_a_mounted_file_keeps_its_name(self, root, state, tree, tmp_path):
        self.publish(tree / "a.txt", root.below("model.txt"), state)
        mounted = root.store.mount(root.below("model.txt").path, tmp_path / "view")
        assert (mounted.name, mounted.read_text()) == ("model.txt", "content of a.txt")

    def test_files_are_listed_with_their_sizes(self, root, state, tree):
        self.publish(tree, root.below("out"), state)
        sizes = {name: len(f"content of {name}".encode()) for name in sorted(NAMES)}
        assert root.below("out").sizes() == sizes
        assert root.below("out/a.txt").sizes() == {"": sizes["a.txt"]}
        assert list(root.store.match(root.below("out/**/*.csv").path).values()) == [sizes["deep/er/c d.csv"]]

    @pytest.mark.parametrize("buffering", [0, 4])
    def test_a_file_is_read_in_pieces(self, root, state, tree, buffering):
        self.publish(tree, root.below("out"), state)
        with root.below("out/deep/é#1%.txt").open(buffering) as file:
            assert (file.read(3), file.seek(8), file.read(2), file.tell()) == (b"con", 8, b"of", 10)
            assert file.read() == " deep/é#1%.txt".encode()
        with pytest.raises(DataNotFoundError, match="nope"):
            root.below("nope").open()

    def test_files_are_linked_to_where_they_can_be_read(self, root, state, tree, tmp_path):
        self.publish(tree, root.below("out"), state)
        root.store.link((root.below(f"out/{name}").path, tmp_path / "links" / name) for name in NAMES)
        assert {n: (tmp_path / "links" / n).read_text() for n in NAMES} == {n: f"content of {n}" for n in NAMES}

    def test_files_can_be_copied_from_it(self, root, state, tree, tmp_path):
        self.publish(tree, root.below("out"), state)
        root.below("out").download(tmp_path / "copy")
        assert state.trees.manifest(tmp_path / "copy") == state.trees.manifest(tree)

    def test_what_would_be_replaced_is_named(self, root, state, tree, tmp_path):
        self.publish(tree, root.below("out"), state)
        (tmp_path / "other").mkdir()
        (tmp_path / "other/new.txt").write_text("new")
        assert root.store.clash(tmp_path / "other", root.below("out").path) is None
        (tmp_path / "other/a.txt").write_text("new")
        assert root.store.clash(tmp_path / "other", root.below("out").path) == root.below("out/a.txt").path

    def test_removing_removes_everything(self, root, state, tree):
        self.publish(tree, root.below("run/out"), state)
        root.store.remove(root.below("run/out").path)
        assert not root.below("run/out").exists()
        root.store.remove(root.below("run/out").path)

    def test_the_datastore_of_a_place_is_known(self, root, state):
        assert state.stores.datastore_of(root.below("a/b")) == ("store", "a/b")


class TestLocalStore(StoreContract):
    @pytest.fixture
    def root(self, state, tmp_path):
        (tmp_path / "store").mkdir()
        state.datastores.register("store", tmp_path / "store")
        return state.stores.on("store", "")


class RemoteContract(StoreContract):
    def test_empty_folders_of_our_own_are_there_again(self, root, state, tree, tmp_path):
        (tree / "empty").mkdir()
        self.publish(tree, root.below("out"), state)
        assert (root.store.mount(root.below("out").path, tmp_path / "view") / "empty").is_dir()

    def test_without_a_receipt_data_is_known_by_its_listing(self, root, state, tree):
        digest = self.publish(tree, root.below("out"), state)
        shutil.rmtree(state.root / "receipts")
        first, second = root.below("out").identify(), root.below("out").identify()
        assert first == second
        assert first.digest != digest

    def test_no_object_is_fetched_twice(self, root, state, tree, tmp_path):
        self.publish(tree, root.below("out"), state)
        one = root.store.mount(root.below("out").path, tmp_path / "cache" / "one")
        two = root.store.mount(root.below("out").path, tmp_path / "cache" / "two")
        assert all(os.path.samefile(one / name, two / name) for name in NAMES)


def _register(state: WorkspaceState, url: str, conn_id: str | None = None, **options: Option) -> Place:
    state.datastores.register_url("store", url, conn_id, options)
    return state.stores.on("store", "")


class TestMemoryStore(RemoteContract):
    @pytest.fixture
    def root(self, state):
        return _register(state, f"memory://{uuid.uuid4().hex}/data")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


class TestS3Store(RemoteContract):
    @pytest.fixture
    def root(self, state, s3, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_S3_TEST", s3.connection())
        return _register(state, f"s3://{s3.make_bucket()}/data", "s3_test")

    def test_deciding_fetches_no_object(self, root, state, tree, s3):
        self.publish(tree, root.below("out"), state)
        s3.requests.clear()
        root.below("out").identify(OUTPUT)
        assert s3.requests == {"LIST": 1}


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.mark.slow
class TestAzureBlobStore(RemoteContract):
    @pytest.fixture
    def root(self, state, azure, monkeypatch):
        monkeypatch.setenv(
            "AIRFLOW_CONN_BLOB", json.dumps({"conn_type": "wasb", "extra": {"connection_string": azure}})
        )
        container = f"c{uuid.uuid4().hex}"
        place = _register(state, f"abfs://{container}/data", "blob")
        place.store._fs.call("make container", lambda fs: fs.mkdir(container))
        return place


@pytest.fixture(scope="session")
def other_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3rver(tmp_path_factory.mktemp("s3rver")) as connection:
        yield connection


@pytest.mark.slow
class TestOtherS3Store(RemoteContract):
    """Another server than moto, written in another language by others."""

    @pytest.fixture
    def root(self, state, other_s3, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", other_s3)
        return _register(state, f"s3://bucket/{uuid.uuid4().hex}", "other")
