"""Digests of trees: read once, then answered from the stat index, never wrongly."""

import os
import time
from types import SimpleNamespace

import pytest

from refrain.errors import DataError, DataNotFoundError
from refrain.storage import statindex
from refrain.storage.digest import digest_and_stat, digest_bytes
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.statindex import StatIndex
from refrain.storage.trees import OUTPUT, TreeRules, Trees

TICK = 2 * 1_000_000_000


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are opened for their bytes."""
    names = []

    def spy(path, size):
        names.append(os.path.basename(path))
        return digest_and_stat(path, size)

    monkeypatch.setattr("refrain.storage.small_files.digest_and_stat", spy)
    return names


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    return folder


def test_a_tree_has_the_digest_of_its_manifest(trees, root):
    manifest = trees.manifest(root)
    identity = trees.identify(root)
    assert [(e.path, e.size, e.digest) for e in manifest.entries] == [
        ("a", 3, digest_bytes(b"one")),
        ("b", 3, digest_bytes(b"two")),
    ]
    assert (identity.kind, identity.digest, identity.files, identity.bytes) == (
        TreeKind.DIRECTORY,
        manifest.digest,
        2,
        6,
    )


def test_a_file_is_a_tree_whose_one_entry_has_no_path(trees, root):
    identity = trees.identify(root / "a")
    assert identity.kind is TreeKind.FILE
    assert trees.manifest(root / "a").entries[0].path == ""


def test_a_file_and_a_folder_with_that_file_differ(trees, root, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_text("one")
    assert trees.identify(tmp_path / "folder").digest != trees.identify(root / "a").digest


def test_an_unchanged_tree_at_rest_is_not_read_again(trees, root, later, reads):
    later()
    first = trees.identify(root)
    assert sorted(reads) == ["a", "b"]
    assert trees.identify(root) == first
    assert len(reads) == 2


def test_what_one_process_learned_another_knows(trees, root, later, reads, index):
    later()
    first = trees.identify(root)
    trees.flush()
    assert Trees(StatIndex(index._path.parent)).identify(root) == first
    assert len(reads) == 2


def test_only_what_changed_is_read_again(trees, root, later, reads):
    later()
    before = trees.identify(root)
    (root / "b").write_text("three")
    del reads[:]
    assert trees.identify(root).digest != before.digest
    assert reads == ["b"]


def test_a_young_tree_is_read_every_time(trees, root, reads):
    assert trees.identify(root) == trees.identify(root)
    assert len(reads) == 4


def test_nothing_is_stored_of_a_young_tree(trees, root, index):
    trees.identify(root)
    trees.flush()
    assert index.load(str(root)) == statindex.UNKNOWN


def test_the_same_size_and_modification_time_do_not_hide_a_change(trees, root, later):
    later()
    before = trees.identify(root)
    stat = (root / "a").stat()
    (root / "a").write_text("ONE")
    os.utime(root / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (root / "a").stat().st_mtime_ns == stat.st_mtime_ns
    assert trees.identify(root).digest != before.digest


def test_another_file_put_in_place_with_the_same_times_does_not_hide(trees, root, later, tmp_path):
    later()
    before = trees.identify(root)
    stat = (root / "a").stat()
    (tmp_path / "new").write_text("ONE")
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(tmp_path / "new", root / "a")
    assert trees.identify(root).digest != before.digest


@pytest.fixture
def coarse_clock(monkeypatch):
    """A file system whose clock ticks every two seconds, and a moment at which one tick has just begun."""
    now = time.time_ns() // TICK * TICK

    def coarse(real):
        def stat(path, **options):
            found = real(path, **options)
            names = ("st_mode", "st_size", "st_ino", "st_dev")
            return SimpleNamespace(**{name: getattr(found, name) for name in names}, st_mtime_ns=now, st_ctime_ns=now)

        return stat

    monkeypatch.setattr(os, "stat", coarse(os.stat))
    monkeypatch.setattr(os, "fstat", coarse(os.fstat))
    clock = SimpleNamespace(now=now)
    monkeypatch.setattr(time, "time_ns", lambda: clock.now)
    return clock


def test_a_write_in_the_tick_of_the_read_is_seen(trees, root, coarse_clock):
    """Racily clean, as git calls it: nothing that stat says tells the two contents apart."""
    coarse_clock.now += TICK - 1
    assert trees.identify(root / "a").digest == trees.manifest(root / "a").digest
    (root / "a").write_text("ONE")
    coarse_clock.now += 10 * TICK
    assert trees.manifest(root / "a").entries[0].digest == digest_bytes(b"ONE")


def test_without_the_waiting_time_that_write_would_be_missed(trees, root, coarse_clock, monkeypatch):
    monkeypatch.setattr(statindex, "AT_REST_NS", -TICK)
    coarse_clock.now += TICK - 1
    trees.identify(root / "a")
    (root / "a").write_text("ONE")
    assert trees.manifest(root / "a").entries[0].digest == digest_bytes(b"one")


def test_a_file_of_the_future_is_read_every_time(trees, root, reads):
    far = time.time_ns() + 3600 * 1_000_000_000
    os.utime(root / "a", ns=(far, far))
    trees.identify(root / "a")
    trees.identify(root / "a")
    assert reads == ["a", "a"]


@pytest.mark.parametrize("waiting", [0.0, 1e9], ids=["slow storage", "files in memory"])
def test_a_folder_of_many_files_is_read_with_one_result_however_slow_it_is(trees, tmp_path, monkeypatch, waiting):
    monkeypatch.setattr("refrain.storage.small_files._WAITING", waiting)
    (tmp_path / "many").mkdir()
    for number in range(100):
        (tmp_path / f"many/{number}").write_text(str(number))
    found = {entry.path: entry.digest for entry in trees.manifest(tmp_path / "many").entries}
    assert found == {str(number): digest_bytes(str(number).encode()) for number in range(100)}


def test_of_a_large_tree_only_what_changed_is_read_again(trees, tmp_path, later, reads):
    for number in range(40):
        (tmp_path / f"tree/{number % 4}/deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"tree/{number % 4}/{number}").write_text(str(number))
    later()
    trees.identify(tmp_path / "tree")
    del reads[:]
    (tmp_path / "tree/1/5").write_text("five")
    (tmp_path / "tree/2/new").write_text("new")
    (tmp_path / "tree/3/7").unlink()
    (tmp_path / "tree/0/deep").rmdir()
    changed = trees.manifest(tmp_path / "tree")
    assert sorted(reads) == ["5", "new"]
    assert changed == Trees(StatIndex(tmp_path / "other")).manifest(tmp_path / "tree")


def test_names_of_any_bytes_are_known_again(trees, root, later, reads):
    for raw in (b"caf\xe9", b"line\nbreak"):
        (root / os.fsdecode(raw)).touch()
    later()
    first = trees.identify(root)
    trees.flush()
    assert trees.identify(root) == first
    assert len(reads) == 4


def test_the_executable_bit_counts_where_the_rules_say_so(trees, root, later):
    later()
    rules = TreeRules(executable=True, index_key="\0other")
    plain, counted = trees.identify(root).digest, trees.identify(root, rules).digest
    (root / "a").chmod(0o755)
    assert trees.identify(root).digest == plain
    assert trees.identify(root, rules).digest != counted


def test_nothing_there_is_named(trees, tmp_path):
    with pytest.raises(DataNotFoundError, match=f"There is nothing at '{tmp_path}/gone'"):
        trees.identify(tmp_path / "gone")


def test_a_path_below_a_file_cannot_be_read(trees, root):
    with pytest.raises(DataError, match=r"Cannot read '.*/a/b': Not a directory\."):
        trees.identify(root / "a/b")


def test_a_fifo_by_itself_is_refused(trees, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe' is neither a file nor a folder; only files and folders can be stored"):
        trees.identify(tmp_path / "pipe")


def test_an_unreadable_file_is_named(trees, unprivileged):
    with unprivileged() as folder:
        (folder / "secret").touch(mode=0)
        with pytest.raises(DataError, match=r"Cannot read '.*/secret': Permission denied\."):
            trees.identify(folder)


def test_a_file_that_never_stands_still_is_refused(trees, root, monkeypatch):
    real = os.fstat

    def fstat(descriptor):
        with open(root / "a", "a") as file:
            file.write(".")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(DataError, match="a' changes while it is being read; wait until its writer has finished"):
        trees.identify(root)


def test_a_file_that_is_replaced_while_it_is_read_counts_as_it_is_then(trees, root, later, monkeypatch):
    later()
    real = os.open

    def open_other(path, *arguments):
        if os.fspath(path).endswith("/a") and (root / "b").exists():
            os.replace(root / "b", root / "a")
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", open_other)
    entries = {entry.path: entry.digest for entry in trees.manifest(root / "a").entries}
    monkeypatch.undo()
    assert entries == {"": digest_bytes(b"two")}
    assert trees.identify(root / "a") == Trees(StatIndex(root.parent / "other")).identify(root / "a")


def test_a_refused_listing_is_never_read(trees, root, reads):
    def admit(files, size):
        raise DataError(f"{files} files of {size} bytes")

    with pytest.raises(DataError, match="2 files of 6 bytes"):
        trees.identify(root, TreeRules(admit=admit))
    assert reads == []


def test_a_link_to_data_is_its_data(trees, root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert trees.identify(tmp_path / "link").digest == trees.identify(root).digest


def test_an_output_that_links_outside_is_refused(trees, root, tmp_path):
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="outside of"):
        trees.identify(root, OUTPUT)


def test_an_empty_folder_is_not_nothing(trees, tmp_path):
    (tmp_path / "empty").mkdir()
    assert trees.identify(tmp_path / "empty").digest == Manifest(TreeKind.DIRECTORY, ()).digest
