"""The stat index: a cache that may be lost, shared or broken, and never answers wrongly."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from refrain.storage import statindex
from refrain.storage.scan import ROW, Folder, Stat
from refrain.storage.statindex import AT_REST_NS, UNKNOWN, IndexedTree, StatIndex, encoded, is_at_rest

STAT = Stat(1, 10, 20, 3, 4, 0o644)
FOLDER = Folder("", "/x", ("a",), ROW.pack(*STAT))
TREE = IndexedTree(encoded([FOLDER]), b"d" * 32, "e" * 64, 1, 1)


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
    names = tuple(os.fsdecode(raw) for raw in (b" ", b",", b"caf\xe9", b"line\nbreak"))
    folders = [Folder(prefix, "", names, ROW.pack(1, 2, 3, 4, 5, 6) * 4) for prefix in ("", "caf\udce9/", "é\n/")]
    empty = Folder("empty/", "", (), b"")
    digests = bytes(number for number in range(12) for _ in range(32))
    index.save("/x", IndexedTree(encoded([*folders, empty]), digests, "", 12, 12))
    index.flush()
    known = index.load("/x").folders()
    assert [folder for folder, _ in known.values()] == [*folders, empty]
    assert [known[""][1][:64], known["é\n/"][1][-64:], known["empty/"][1]] == ["00" * 32, "0b" * 32, ""]


def test_an_empty_folder_and_a_file_that_is_a_tree_are_not_alike():
    assert encoded([Folder("", "", (), b"")]) != encoded([Folder("", "", ("",), b"")])


@pytest.mark.parametrize(
    "tree",
    [
        IndexedTree(TREE.stats, b"d" * 64, "", 1, 1),
        IndexedTree(b"garbage", b"d" * 32, "", 1, 1),
        IndexedTree(TREE.stats[:-1], b"d" * 32, "", 1, 1),
        IndexedTree(TREE.stats + b"x", b"d" * 32, "", 1, 1),
    ],
    ids=["a digest too many", "garbage", "cut short", "too long"],
)
def test_rows_and_digests_that_do_not_fit_together_are_worth_nothing(tree):
    assert tree.folders() == {}


@pytest.mark.parametrize("field", Stat._fields)
def test_every_part_of_a_stat_counts(field):
    changed = STAT._replace(**{field: getattr(STAT, field) + 1})
    assert encoded([Folder("", "/x", ("a",), ROW.pack(*changed))]) != TREE.stats
    assert encoded([Folder("", "/x", ("b",), FOLDER.rows)]) != TREE.stats
    assert encoded([Folder("a/", "/x", ("a",), FOLDER.rows)]) != TREE.stats


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns"])
def test_a_file_is_at_rest_two_seconds_after_its_last_change(field):
    found = STAT._replace(mtime_ns=0, ctime_ns=0)._replace(**{field: 1000})
    assert not is_at_rest(found.newest_ns, 1000 + AT_REST_NS)
    assert is_at_rest(found.newest_ns, 1000 + AT_REST_NS + 1)


def test_a_file_of_the_future_is_never_at_rest():
    assert not is_at_rest(STAT._replace(mtime_ns=10**18).newest_ns, 10**17)


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


def test_a_tree_of_which_one_byte_has_changed_is_worth_nothing():
    content = TREE.content
    assert IndexedTree.from_content(content) == TREE
    for at in range(len(content)):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert IndexedTree.from_content(changed) == UNKNOWN
        assert IndexedTree.from_content(content[:at]) == UNKNOWN


@pytest.mark.parametrize("value", ["7", "'text'", "x'00'"])
def test_a_value_of_another_type_is_worth_nothing(index, value):
    index.save("/x", TREE)
    index.flush()
    with sqlite3.connect(index._path) as connection:
        connection.execute(f"UPDATE trees SET tree = {value}")
    connection.close()
    assert index.load("/x") == UNKNOWN


@pytest.fixture
def today(monkeypatch):
    """Moves the calendar."""
    clock = [20_000]
    monkeypatch.setattr(statindex, "_today", lambda: clock[0])

    def move(days: int) -> None:
        clock[0] += days

    return move


def test_a_tree_that_nobody_asks_for_is_forgotten_and_its_room_given_back(index, today):
    large = IndexedTree(encoded([FOLDER] * 20_000), b"d" * 32 * 20_000, "e" * 64, 1, 1)
    for name in ("/asked-for", "/gone"):
        index.save(name, large)
    index.close()
    size = file_of(index).stat().st_size
    today(60)
    assert index.load("/asked-for") == large
    index.flush()
    today(60)
    index.save("/new", TREE)
    index.close()
    assert file_of(index).stat().st_size < 0.7 * size
    fresh = StatIndex(index._path.parent)
    assert [fresh.load(name) for name in ("/asked-for", "/new", "/gone")] == [large, TREE, UNKNOWN]


def test_beyond_the_limit_in_bytes_the_oldest_are_forgotten(index, today, monkeypatch):
    monkeypatch.setattr(statindex, "KEPT_BYTES", 2 * len(TREE.content))
    for name in ("/1", "/2", "/3"):
        index.save(name, TREE)
        today(1)
        index.flush()
    assert [index.load(name) for name in ("/1", "/2", "/3")] == [UNKNOWN, TREE, TREE]


def test_what_is_forgotten_is_looked_for_once_a_day(index, today, monkeypatch):
    for name in ("/1", "/2"):
        index.save(name, TREE)
        index.flush()
    monkeypatch.setattr(statindex, "KEPT_BYTES", 0)
    index.save("/3", TREE)
    index.flush()
    assert index.load("/1") == TREE
    today(1)
    index.save("/4", TREE)
    index.flush()
    assert index.load("/1") == UNKNOWN


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
    index.save(f"/{sys.argv[2]}/{number}", IndexedTree(b"", b"", sys.argv[2] * 64, number, 0))
    index.flush()
assert index._is_usable
"""
    folder = tmp_path / "cache"
    started = [subprocess.Popen([sys.executable, "-c", code, folder, name]) for name in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    found = [index.load(f"/{name}/{number}") for name in "ab" for number in range(40)]
    assert [tree.files for tree in found] == [*range(40), *range(40)]


def test_what_lies_beside_a_tree_comes_with_it(index):
    names = [f"/run/{number:03}" for number in range(100)]
    for name in names:
        index.save(name, TREE)
    index.close()
    fresh = StatIndex(index._path.parent)
    assert fresh.load(names[0]) == TREE
    with sqlite3.connect(file_of(index)) as connection:
        connection.execute("DELETE FROM trees")
    connection.close()
    known = [fresh.load(name) == TREE for name in names]
    assert known[:30] == [True] * 30
    assert known[-1] is False


def test_a_large_tree_does_not_come_with_its_neighbour(index):
    large = IndexedTree(encoded([FOLDER] * 1000), b"d" * 32 * 1000, "e" * 64, 1, 1)
    index.save("/a", TREE)
    index.save("/b", large)
    index.close()
    fresh = StatIndex(index._path.parent)
    assert fresh.load("/a") == TREE
    assert os.fsencode("/b") not in fresh._ahead
    assert fresh.load("/b") == large


def test_what_came_with_another_tree_gives_way_to_what_is_saved(index):
    changed = IndexedTree(TREE.stats, b"f" * 32, "f" * 64, 1, 1)
    for name in ("/a", "/b"):
        index.save(name, TREE)
    index.close()
    fresh = StatIndex(index._path.parent)
    fresh.load("/a")
    fresh.save("/b", changed)
    fresh.flush()
    assert fresh.load("/b") == changed
