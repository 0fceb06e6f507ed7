"""Copies between stores: whole, verified, gone on with after a kill, and refused with words."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

import refrain
from fakes.remote_stores import FlakyFileSystem, S3Server, s3_server
from refrain.errors import DataError, DataNotFoundError, TransferCanceledError
from refrain.storage.copying import Copied, Terms, copy
from refrain.storage.filling import SIGN
from refrain.storage.manifest import TreeKind
from refrain.storage.parts import PART_BYTES, md5_of
from refrain.storage.remote_files import StreamWriting
from refrain.storage.retry import TransientError
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.watch import Progress, Watch

NAMES = ["a.txt", "deep/b.txt", "deep/er/c d.csv", "deep/é#1%.txt"]
LARGE = 2 * PART_BYTES + 12345


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def state(tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> WorkspaceState:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    state = WorkspaceState(tmp_path / "workspace")
    state.datastores.register_url("s3", f"s3://{server.make_bucket()}/base", "objects")
    state.datastores.register_url("memory", f"memory://{uuid.uuid4().hex}/base")
    (tmp_path / "disk").mkdir()
    state.datastores.register("disk", tmp_path / "disk")
    return state


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(f"content of {name}")
    return tmp_path / "tree"


@pytest.fixture
def large(tree: Path) -> Path:
    """The tree with a file of three parts."""
    (tree / "large.bin").write_bytes(random.Random(5).randbytes(LARGE))
    return tree


def _copy(state: WorkspaceState, source: str | Path, target: str | Path, **how) -> Copied:
    watch = how.pop("watch", None)
    return copy(_place(state, source), _place(state, target), state.ledgers, Terms(**how), watch)


def _place(state: WorkspaceState, where: str | Path) -> Place:
    if isinstance(where, Path):
        return state.stores.local(where)
    store, _, path = where.partition(":")
    return state.stores.on(store, path)


def _content(state: WorkspaceState, where: str | Path, folder: Path) -> dict[str, bytes]:
    target = folder / f"read-{uuid.uuid4().hex}"
    _place(state, where).download(target)
    if target.is_file():
        return {"": target.read_bytes()}
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def _in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


STORES = ["disk", "memory", "s3"]


@pytest.mark.parametrize("target", STORES)
@pytest.mark.parametrize("source", STORES)
def test_a_folder_arrives_as_it_was_on_any_store(state, large, tmp_path, source, target):
    _copy(state, large, f"{source}:from")
    copied = _copy(state, f"{source}:from", f"{target}:to/folder")
    assert (copied.files, copied.bytes, copied.kept) == (5, sum(map(len, _in(large).values())), 0)
    assert _content(state, f"{target}:to/folder", tmp_path) == _in(large)
    assert not list((state.root / "transfers").rglob("*.jsonl"))
    assert not list((tmp_path / "disk").rglob(".refrain*"))


@pytest.mark.parametrize("store", STORES)
def test_a_copy_of_known_content_is_known_by_its_content(state, large, store):
    _copy(state, large, f"{store}:one")
    wanted = state.trees.identify(large).digest
    assert _place(state, f"{store}:one").identify().digest == wanted or store == "memory"
    _copy(state, f"{store}:one", "s3:two")
    assert _place(state, "s3:two").identify().digest == wanted or store == "memory"


@pytest.mark.parametrize("store", STORES)
def test_a_file_goes_to_a_file_or_under_its_name_into_a_folder(state, tree, tmp_path, store):
    _copy(state, tree / "a.txt", f"{store}:x/renamed.txt")
    _copy(state, tree / "a.txt", f"{store}:x")
    _copy(state, tree / "a.txt", f"{store}:new", target_kind=TreeKind.DIRECTORY)
    assert _place(state, f"{store}:").files() == ["new/a.txt", "x/a.txt", "x/renamed.txt"]


def test_an_empty_folder_is_copied_on_a_disk_and_refused_elsewhere(state, tmp_path):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    _copy(state, tmp_path / "empty", "disk:empty")
    assert (tmp_path / "disk/empty/inside").is_dir()
    with pytest.raises(
        DataError, match=r"empty' holds no file, and s3://.* is on a store that has no empty folders|hold"
    ):
        _copy(state, tmp_path / "empty", "s3:empty")


def test_an_empty_file_is_copied(state, tmp_path):
    (tmp_path / "nothing").write_bytes(b"")
    for store in STORES:
        _copy(state, tmp_path / "nothing", f"{store}:nothing")
        assert _content(state, f"{store}:nothing", tmp_path) == {"": b""}


@pytest.mark.parametrize("store", STORES)
def test_files_that_are_there_are_replaced_only_on_request(state, tree, tmp_path, store):
    _copy(state, tree, f"{store}:to")
    (tree / "a.txt").write_text("another")
    with pytest.raises(DataError, match=r"The copy would replace .*to/a\.txt\. Pass overwrite"):
        _copy(state, tree, f"{store}:to")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "new.txt").write_text("new")
    _copy(state, tmp_path / "beside", f"{store}:to")
    _copy(state, tree, f"{store}:to", overwrite=True)
    assert _content(state, f"{store}:to", tmp_path) == {**_in(tree), "new.txt": b"new"}


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("disk:nothing", "disk:to", "There is nothing at .*disk/nothing, so that nothing can be copied"),
        ("s3:nothing", "disk:to", "There is nothing at s3://.*/nothing"),
        ("disk:here", "disk:here/inside", "here cannot be copied to .*here/inside, which is inside it"),
        ("disk:here", "disk:here", "here cannot be copied to itself"),
        ("s3:here", "s3:here/inside", "here cannot be copied to s3://.*here/inside, which is inside it"),
        ("disk:here", "disk:file.txt", r"The folder .*here cannot be copied onto the file .*file\.txt"),
        ("disk:file.txt", "disk:here", "The copy would replace .*here/file.txt"),
    ],
)
def test_what_cannot_be_copied_is_refused(state, tree, source, target, words):
    _copy(state, tree, "disk:here")
    _copy(state, tree, "s3:here")
    _copy(state, tree / "a.txt", "disk:file.txt")
    _copy(state, tree / "a.txt", "disk:here/file.txt")
    before = _in(Path(_place(state, "disk:").path))
    with pytest.raises(DataError, match=words):
        _copy(state, source, target)
    assert _in(Path(_place(state, "disk:").path)) == before


def test_a_source_of_another_kind_is_refused(state, tree):
    with pytest.raises(DataError, match=r"tree is a directory, not a file\."):
        _copy(state, tree, "disk:to", source_kind=TreeKind.FILE)
    with pytest.raises(DataNotFoundError):
        _copy(state, "disk:gone", "disk:to")


@pytest.mark.parametrize("key", ["../out.txt", "a//b", "./c"])
def test_an_object_whose_name_leads_out_of_the_folder_is_refused(state, tree, tmp_path, key):
    _copy(state, tree / "a.txt", "memory:from/fine.txt")
    fs = fsspec.filesystem("memory")
    root = _place(state, "memory:from").path.removeprefix("memory:/")
    fs.store[f"{root}/{key}"] = fs.store[f"{root}/fine.txt"]
    try:
        with pytest.raises(DataError, match=r"cannot be a file here: its name has an empty part, '.' or '..'"):
            _copy(state, "memory:from", tmp_path / "deep" / "to")
        assert not (tmp_path / "deep" / "out.txt").exists()
    finally:
        del fs.store[f"{root}/{key}"]


def test_a_source_that_changes_meanwhile_is_noticed(state, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(bytes(LARGE))

    def change(progress: Progress) -> None:
        (tmp_path / "data" / "file").write_bytes(b"other")

    for store in STORES:
        (tmp_path / "data" / "file").write_bytes(bytes(LARGE))
        with pytest.raises(DataError, match="file' changed while it was being copied"):
            _copy(state, tmp_path / "data", f"{store}:to", watch=Watch(change))


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_an_object_that_is_no_longer_the_listed_one_is_noticed(state, tree, store):
    _copy(state, tree / "a.txt", f"{store}:file")
    place = _place(state, f"{store}:file")
    (listed,) = place.listing().objects
    place.store.writing(place.path).put(b"x" * listed.size, md5_of(b"x" * listed.size))
    reading = place.store.reading(listed)
    with pytest.raises(DataError, match="file changed while it was being fetched"):
        reading.require_same(md5_of(reading.read(0, listed.size)))


@pytest.mark.parametrize("store", STORES)
def test_a_copy_that_was_stopped_is_not_taken_for_complete_and_is_gone_on_with(state, large, tmp_path, store):
    for number in range(100):  # many more than there are hands
        (large / f"{number}.txt").write_text(f"number {number}")
    canceled = threading.Event()
    with pytest.raises(TransferCanceledError, match="Run it again to go on"):
        _copy(state, large, f"{store}:to", watch=Watch(lambda progress: canceled.set(), canceled))
    if store == "disk":
        assert not (tmp_path / "disk" / "to").exists()
    else:
        for read in (Place.identify, Place.manifest, Place.files, Place.exists):
            with pytest.raises(DataError, match=f"to is not complete: a copy into it .*{SIGN}"):
                read(_place(state, f"{store}:to"))
    (large / "deep/b.txt").unlink()
    copied = _copy(state, large, f"{store}:to")
    assert copied.files == 104
    assert _content(state, f"{store}:to", tmp_path) == _in(large)


@pytest.mark.parametrize("store", STORES)
def test_what_is_below_a_folder_that_is_being_filled_is_not_copied(state, tree, store):
    _copy(state, tree, f"{store}:to")
    there = _place(state, f"{store}:to")
    there.store.writing(there.below(SIGN).path).put(b"{}", md5_of(b"{}"))
    for path in ("to/deep", "to/deep/b.txt"):
        with pytest.raises(DataError, match=f"to is not complete: a copy into it .*{SIGN}"):
            _copy(state, f"{store}:{path}", "disk:elsewhere")
    there.store.remove(there.below(SIGN).path)
    assert _copy(state, f"{store}:to/deep", "disk:elsewhere").files == 3


def test_progress_is_told_up_to_the_end(state, large):
    heard: list[Progress] = []
    _copy(state, large, "disk:to", watch=Watch(heard.append))
    assert heard[-1].is_complete
    assert heard[-1].bytes == heard[-1].all_bytes == sum(map(len, _in(large).values()))
    assert heard[-1].rate > 0
    assert heard[-1].eta == 0


_KILLED = """
import os, signal, sys
from pathlib import Path
from refrain.storage import ledger
from refrain.storage.copying import copy
from refrain.storage.state import WorkspaceState
left = int(sys.argv[4])
append = ledger.Ledger._append
def counted(self, line):
    global left
    append(self, line)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
ledger.Ledger._append = counted
state = WorkspaceState(sys.argv[1])
place = lambda text: state.stores.on(*text.split(":"))
print(copy(place(sys.argv[2]), place(sys.argv[3]), state.ledgers).kept)
"""


@pytest.fixture
def killed(state: WorkspaceState) -> Callable[[str, str, int], None]:
    """Copies in a process of its own, which kills itself after so many notes in its ledger."""

    def run(source: str, target: str, after: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
        command = [sys.executable, "-c", _KILLED, str(state.root), source, target, str(after)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run


@pytest.mark.parametrize("after", [2, 4, 6])
@pytest.mark.parametrize(("source", "target"), [("disk", "s3"), ("s3", "disk"), ("s3", "s3")])
def test_after_a_kill_nothing_that_is_complete_is_copied_again(
    state, large, tmp_path, server, killed, source, target, after
):
    _copy(state, large, f"{source}:from")
    killed(f"{source}:from", f"{target}:to", after)
    if target == "disk":
        assert not (tmp_path / "disk" / "to").exists()
    else:
        with pytest.raises(DataError, match="is not complete"):
            _place(state, f"{target}:to").identify()
    (notes,) = (state.root / "transfers").rglob("*.jsonl")
    lines = notes.read_text().splitlines()[2:]  # after the head, and the note that nothing was in the way
    wholes, parts = sum('"arrived"' in line for line in lines), sum('"part"' in line for line in lines)
    assert wholes + parts + sum('"upload"' in line for line in lines) >= after - 1  # others note while it is killed
    server.requests.clear()
    moved: list[int] = []
    copied = _copy(state, f"{source}:from", f"{target}:to", watch=Watch(lambda progress: moved.append(progress.moved)))
    assert copied.kept == wholes
    assert moved[-1] <= copied.bytes - parts * 12345 - wholes
    if source == "s3":
        assert server.requests["GET"] <= 7 - wholes - parts + 2  # two of them ask for the parts of an upload
    assert _content(state, f"{target}:to", tmp_path) == _in(large)


def test_a_file_that_a_killed_try_had_begun_and_not_noted_does_not_appear(state, large, tmp_path, killed):
    _copy(state, large, "s3:from")
    killed("s3:from", "disk:to", 4)
    (waiting,) = (tmp_path / "disk").glob(".refrain-copy-*")
    (waiting / ".refrain-0123456789abcdef").write_bytes(bytes(8))
    _copy(state, "s3:from", "disk:to")
    assert _in(tmp_path / "disk/to") == _in(large)


def test_a_large_file_whose_last_step_fails_is_written_anew(state, large, tmp_path, monkeypatch):
    finish, fails = StreamWriting.finish, [True, True, False]

    def finished(self, upload, size, sums):
        if fails.pop(0):
            raise TransientError("the line went dead")
        return finish(self, upload, size, sums)

    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)
    monkeypatch.setattr(StreamWriting, "finish", finished)
    copied = _copy(state, large / "large.bin", "memory:there")
    assert (copied.bytes, fails) == (LARGE, [])
    assert _content(state, "memory:there", tmp_path) == {"": (large / "large.bin").read_bytes()}


def test_what_was_noted_of_another_source_or_content_counts_no_more(state, large, tmp_path, killed):
    _copy(state, large, "disk:from")
    killed("disk:from", "s3:to", 4)
    (tmp_path / "disk/from/large.bin").write_bytes(bytes(LARGE))
    _copy(state, "disk:from", "s3:to")
    assert _content(state, "s3:to", tmp_path) == _in(tmp_path / "disk/from")


def test_two_copies_to_one_place_at_once_are_refused(state, tree):
    with (
        state.ledgers.open("file:///elsewhere", _place(state, "disk:to").uri),
        pytest.raises(DataError, match=r"Another copy to file://.*/disk/to is under way"),
    ):
        _copy(state, tree, "disk:to")


def test_a_store_that_fails_often_gets_everything_right(state, large, tmp_path, monkeypatch):
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)
    monkeypatch.setattr("refrain.storage.retry.TRIES", 20)  # a fault in four calls, and each must end well
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    state.datastores.register_url("flaky", f"flaky://{uuid.uuid4().hex}")
    for number in range(30):
        (large / f"{number}.txt").write_text(f"number {number}")
    _copy(state, large, "flaky:there")
    _copy(state, "flaky:there", "flaky:again")
    _copy(state, "flaky:again", "disk:back")
    assert _in(tmp_path / "disk/back") == _in(large)


def test_a_file_that_nobody_may_read_or_write_is_named(state, tree, unprivileged):
    with unprivileged() as folder:
        (folder / "secret").write_text("x")
        (folder / "closed").mkdir()
        (folder / "secret").chmod(0)
        (folder / "closed").chmod(0o500)
        local = state.stores.local
        (folder / "workspace").mkdir()
        ledgers = WorkspaceState(folder / "workspace").ledgers
        with pytest.raises(DataError, match=r"Cannot read '.*/secret': Permission denied\."):
            copy(local(folder / "secret"), local(folder / "copy"), ledgers)
        (folder / "fine").write_text("x")
        with pytest.raises(DataError, match=r"Cannot write '.*/closed/copy': Permission denied\."):
            copy(local(folder / "fine"), local(folder / "closed" / "copy"), ledgers)


def test_credentials_that_expired_are_named_without_being_shown(state, tree, monkeypatch):
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)

    def expired(*_args, **_kwargs):
        raise PermissionError("The provided token has expired: top-secret-word")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", expired)
    with pytest.raises(
        DataError, match=r"Cannot write s3://.*token has expired.*Check the connection 'objects'"
    ) as caught:
        _copy(state, tree, "s3:to")
    assert "top-secret-word" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_appears(state, large, small_disk):
    with pytest.raises(DataError, match=r"Cannot write '.*': No space left on device\. Make room there"):
        _copy(state, large, small_disk / "to")
    assert not (small_disk / "to").exists()
