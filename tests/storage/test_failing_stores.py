"""A store with every fault that there is: the right result or one clear error, and nothing half-done to be seen."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fakes.remote_stores import FlakyFileSystem
from refrain.errors import DataError, DataNotFoundError
from refrain.storage import retry
from refrain.storage.digest import digest_bytes
from refrain.storage.listing import Listed, tag_of
from refrain.storage.manifest import Basis, Entry, Manifest, TreeKind
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT

FOLDERS = st.sampled_from(["one", "two"])
NAMES = st.sampled_from(["a", "b", "deep/c"])
BYTES = st.sampled_from([b"1", b"2", b"a longer text"])
TREES = st.dictionaries(NAMES, BYTES, min_size=1)
Contents = dict[str, bytes]


class FailingStore(RuleBasedStateMachine):
    """Does to a store what the engine does, and compares with what is in its memory."""

    share = 0.1
    stale_share = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="refrain-flaky-"))
        os.environ["REFRAIN_CACHE"] = str(self.folder / "cache")
        self.state = WorkspaceState(self.folder / "workspace")
        self.url = f"flaky://{uuid.uuid4().hex}/data"
        self.state.datastores.register_url("store", self.url)
        self.meaning: dict[str, Contents] = {}

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        FlakyFileSystem.generator = random.Random(seed)
        FlakyFileSystem.share, FlakyFileSystem.stale_share = self.share, self.stale_share
        FlakyFileSystem.cut_share = 0.0  # what a store cut short and could not be told is another's test
        FlakyFileSystem.versions.clear()
        FlakyFileSystem.earlier[:] = [{}]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(folder=FOLDERS, files=TREES)
    def publish(self, folder: str, files: Contents) -> None:
        source = self._local(files)
        written = self.state.trees.manifest(source, OUTPUT)
        before = self._stored(folder)
        try:
            place = self._place(folder)
            place.store.publish(source, place.path, written)
        except DataError:
            self._require_each(self._stored(folder), before, files)
        else:
            self.state.blobs.put_manifest(written)
            assert self._stored(folder) == {**before, **files}

    @rule(folder=FOLDERS, name=NAMES, data=BYTES)
    def put(self, folder: str, name: str, data: bytes) -> None:
        before = self._stored(folder)
        try:
            self._place(folder).store.put([(self._local({"x": data}) / "x", self._place(f"{folder}/{name}").path)])
        except DataError:
            self._require_each(self._stored(folder), before, {name: data})
        else:
            assert self._stored(folder) == {**before, name: data}

    @rule(folder=FOLDERS)
    def remove(self, folder: str) -> None:
        before = self._stored(folder)
        try:
            self._place(folder).store.remove(self._place(folder).path)
        except DataError:
            assert self._stored(folder).items() <= before.items()
        else:
            assert self._shown(folder).keys().isdisjoint(self._stored(folder))

    @rule(folder=FOLDERS)
    def identify(self, folder: str) -> None:
        try:
            identity = self._place(folder).identify()
        except DataNotFoundError:
            assert self._shown(folder) == {}
        except DataError:
            pass
        else:
            shown = self._shown(folder)
            assert self.meaning.setdefault(identity.digest, shown) == shown, "one digest for two contents"
            assert (identity.files, identity.bytes) == (len(shown), sum(map(len, shown.values())))

    @rule(folder=FOLDERS)
    def manifest(self, folder: str) -> None:
        try:
            manifest = self._place(folder).manifest()
        except DataError:
            return
        shown = self._shown(folder)
        assert {entry.path: entry.size for entry in manifest.entries} == {n: len(data) for n, data in shown.items()}
        if manifest.basis is Basis.CONTENT:
            rows = tuple(Entry(name, len(data), digest_bytes(data)) for name, data in shown.items())
            assert manifest.digest == Manifest(TreeKind.DIRECTORY, rows).digest

    @rule(folder=FOLDERS)
    def mount(self, folder: str) -> None:
        view = self.folder / uuid.uuid4().hex
        place = self._place(folder)
        try:
            place.store.mount(place.path, view)
        except DataError:
            for name, data in _read(view).items():
                assert data in self._ever(f"{folder}/{name}")
        else:
            assert _read(view) == self._shown(folder)

    @rule(folder=FOLDERS, name=NAMES)
    def get(self, folder: str, name: str) -> None:
        target = self.folder / "got" / uuid.uuid4().hex / "file"
        target.parent.mkdir(parents=True)
        target.write_bytes(b"what was there")
        place = self._place(f"{folder}/{name}")
        try:
            place.store.get([(place.path, target)])
        except DataError:
            assert _read(target.parent) == {"file": b"what was there"}
        else:
            assert _read(target.parent) == {"file": self._stored(folder)[name]}

    @rule(folder=FOLDERS, name=NAMES)
    def read(self, folder: str, name: str) -> None:
        try:
            with self._place(f"{folder}/{name}").open() as file:
                data = file.read()
        except DataError:
            return
        assert data == self._stored(folder)[name]

    @rule(folder=FOLDERS)
    def sizes(self, folder: str) -> None:
        try:
            sizes = self._place(folder).sizes()
        except DataError:
            return
        assert sizes == {name: len(data) for name, data in self._shown(folder).items()}

    @invariant()
    def every_object_of_the_cache_is_whole(self) -> None:
        known = {}
        for (name, created), data in FlakyFileSystem.versions.items():
            tag = tag_of({"created": created})
            known[Listed("", f"flaky://{name[1:]}", len(data), tag).digest] = data
        for path in (self.folder / "cache/data/objects").glob("*/*"):
            assert path.read_bytes() == known[path.name]

    def _place(self, path: str) -> Place:
        return self.state.stores.on("store", path)

    def _local(self, files: Contents) -> Path:
        source = self.folder / uuid.uuid4().hex
        for name, data in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
        return source

    def _below(self, folder: str) -> str:
        return FlakyFileSystem._strip_protocol(f"{self.url}/{folder}") + "/"

    def _stored(self, folder: str) -> Contents:
        """Return what is in the store, which no fault hides."""
        below = self._below(folder)
        found = {name: file.getvalue() for name, file in FlakyFileSystem.store.items() if name.startswith(below)}
        return {name.removeprefix(below): data for name, data in found.items()}

    def _shown(self, folder: str) -> Contents:
        """Return the content behind the listing that the store gave last."""
        below = self._below(folder)
        return {
            name.removeprefix(below): FlakyFileSystem.versions[name, info["created"]]
            for name, info in FlakyFileSystem.shown.items()
        }

    def _ever(self, path: str) -> list[bytes]:
        name = self._below(path).rstrip("/")
        return [data for (written, _), data in FlakyFileSystem.versions.items() if written == name]

    @staticmethod
    def _require_each(after: Contents, before: Contents, sent: Contents) -> None:
        """After a failure each object is the old one or the new one, whole."""
        for name in before.keys() | sent.keys() | after.keys():
            assert after.get(name) in (before.get(name), sent.get(name, before.get(name)))


class StaleStore(FailingStore):
    """Its listings are sometimes those of an earlier moment."""

    stale_share = 0.3


class BrokenStore(FailingStore):
    """Fails so often that most calls fail for good."""

    share = 0.6
    stale_share = 0.3


def _read(folder: Path) -> Contents:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REFRAIN_CACHE", "")
    monkeypatch.setattr(retry, "_FIRST_SECONDS", 0.0001)
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    kept = (FlakyFileSystem.share, FlakyFileSystem.stale_share, FlakyFileSystem.generator)
    yield
    FlakyFileSystem.share, FlakyFileSystem.stale_share, FlakyFileSystem.generator = kept


@pytest.mark.parametrize("machine", [FailingStore, StaleStore, BrokenStore])
def test_on_a_failing_store_everything_is_right_or_one_clear_error(machine: type[FailingStore]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
