"""The stat index: a cache that may be lost, shared or broken, and never answers wrongly."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from refrain.storage.scan import Found
from refrain.storage.statindex import AT_REST_NS, UNKNOWN, IndexedTree, StatIndex, is_at_rest, stat_row

FOUND = Found("a", "/x/a", 1, 10, 20, 3, 4, False)
ROW = stat_row(FOUND) + b"\0"
TREE = IndexedTree(ROW, ("d" * 64,), "t" * 64, 1, 1)


def file_of(index):
    return next(iter(index._path.parent.glob("*.sqlite")))


def test_what_was_saved_is_known_before_and_after_it_is_written(index, tmp_path):
    index.save("/x", TREE)
    assert index.load("/x") == TREE
    index.close()
    assert StatIndex(tmp_path / "cache").load("/x") == TREE


def test_nothing_is_opened_before_the_first_use(tmp_path):
    StatIndex(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_an_unknown_tree_is_unknown(index):
    assert index.load("/nowhere") == UNKNOWN


@pytest.mark.parametrize("raw", [b"/caf\xe9", b"/line\nbreak", b"/nul\0snapshot", "/täglich".encode()])
def test_any_path_can_be_a_key(index, raw):
    root = os.fsdecode(raw)
    index.save(root, TREE)
    index.flush()
    assert index.load(root) == TREE


def test_a_byte_and_its_escape_are_two_paths(index):
    index.save(os.fsdecode(b"/\xe9"), TREE)
    index.flush()
    assert index.load(r"/\xe9") == UNKNOWN


def test_rows_are_found_by_path_whatever_it_is_called(index):
    names = [os.fsdecode(raw) for raw in (b"line\nbreak", b"caf\xe9", b" ", b",")]
    rows = [stat_row(Found(name, "", 1, 2, 3, 4, 5, True)) for name in names]
    tree = IndexedTree(b"".join(row + b"\0" for row in rows), ("a" * 64, "", "b" * 64, ""), "", 4, 4)
    index.save("/x", tree)
    index.flush()
    assert index.load("/x").by_path() == dict(zip(names, zip(rows, tree.digests, strict=True), strict=True))


def test_rows_and_digests_that_do_not_fit_together_are_worth_nothing():
    assert IndexedTree(ROW, ("d" * 64, "e" * 64), "", 1, 1).by_path() == {}
    assert IndexedTree(b"garbage", ("d" * 64,), "", 1, 1).by_path() == {}


@pytest.mark.parametrize("field", ["path", "size", "mtime_ns", "ctime_ns", "inode", "device", "executable"])
def test_every_part_of_a_stat_counts(field):
    changed = {name: getattr(FOUND, name) for name in FOUND.__slots__}
    changed[field] = "b" if field == "path" else changed[field] + 1
    assert stat_row(Found(**changed)) != stat_row(FOUND)


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns"])
def test_a_file_is_at_rest_two_seconds_after_its_last_change(field):
    times = {"mtime_ns": 0, "ctime_ns": 0, field: 1000}
    found = Found("a", "", 1, times["mtime_ns"], times["ctime_ns"], 1, 1, False)
    assert not is_at_rest(found, 1000 + AT_REST_NS)
    assert is_at_rest(found, 1000 + AT_REST_NS + 1)


def test_a_file_of_the_future_is_never_at_rest():
    assert not is_at_rest(Found("a", "", 1, 10**18, 0, 1, 1, False), 10**17)


def test_a_file_that_is_no_database_is_replaced_by_the_next_process(index, tmp_path):
    (tmp_path / "cache").mkdir()
    index._path.write_bytes(b"this is no database" * 100)
    index.save("/x", TREE)
    index.flush()
    assert index.load("/x") == UNKNOWN
    fresh = StatIndex(tmp_path / "cache")
    fresh.save("/x", TREE)
    fresh.close()
    assert StatIndex(tmp_path / "cache").load("/x") == TREE


def test_a_database_with_damaged_pages_is_worth_nothing(index, tmp_path):
    index.save("/x", TREE)
    index.close()
    path = file_of(index)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    damaged = StatIndex(tmp_path / "cache")
    assert damaged.load("/x") == UNKNOWN
    damaged.save("/y", TREE)
    damaged.close()


def test_a_table_of_another_shape_is_worth_nothing(tmp_path, index):
    (tmp_path / "cache").mkdir()
    with sqlite3.connect(index._path) as connection:
        connection.execute("CREATE TABLE trees (root BLOB)")
    connection.close()
    index.save("/x", TREE)
    index.flush()
    assert index.load("/x") == UNKNOWN


def test_a_cache_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").touch()
    index = StatIndex(tmp_path / "file" / "cache")
    index.save("/x", TREE)
    index.flush()
    assert index.load("/x") == UNKNOWN


def test_a_read_only_cache_folder_costs_nothing_but_time(unprivileged):
    with unprivileged() as folder:
        folder.chmod(0o500)
        index = StatIndex(folder)
        index.save("/x", TREE)
        index.flush()
        assert index.load("/x") == UNKNOWN
        assert list(folder.iterdir()) == []


def test_many_saves_are_written_without_a_flush(index):
    for number in range(50):
        index.save(f"/{number}", TREE)
    assert StatIndex(index._path.parent).load("/49") == TREE


def test_threads_share_one_index(index):
    def work(name):
        for number in range(60):
            index.save(f"/{name}/{number}", TREE)
            assert index.load(f"/{name}/{number}") == TREE

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index.flush()
    assert StatIndex(index._path.parent).load("/3/59") == TREE


def test_two_processes_share_one_index(tmp_path, index):
    code = """
import sys
from pathlib import Path
from refrain.storage.statindex import IndexedTree, StatIndex
index = StatIndex(Path(sys.argv[1]))
for number in range(40):
    index.save(f"/{sys.argv[2]}/{number}", IndexedTree(b"", (), sys.argv[2] * 64, number, 0))
    index.flush()
assert index._is_usable
"""
    folder = tmp_path / "cache"
    started = [subprocess.Popen([sys.executable, "-c", code, folder, name]) for name in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    found = [index.load(f"/{name}/{number}") for name in "ab" for number in range(40)]
    assert [tree.files for tree in found] == [*range(40), *range(40)]
