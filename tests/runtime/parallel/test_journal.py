from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from refrain.runtime.parallel.journal import Journal, JournalInUse, JournalWithoutLock, RowsFile


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "journal")


def written(journal: Journal) -> bytes:
    path = os.path.join(journal.folder, "result.txt")
    journal.write_rows(path)
    return Path(path).read_bytes()


def rows_file(journal: Journal, rows: bytes) -> RowsFile:
    Path(journal.rows, "1-1-77").write_bytes(rows)
    return RowsFile("1-1-77", zlib.crc32(rows))


def refusing(code: int) -> Callable[[int, int], None]:
    """What flock does on a file system that answers with an error."""

    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    return flock


def filled(folder: str, batches: int = 5) -> None:
    journal = Journal(folder)
    for batch in range(batches):
        journal.add(batch, 2, 2, f"row {batch}\n\nblank above {batch}\n".encode())
    journal.flush()
    journal.close()


def test_rows_come_out_in_the_order_of_the_mini_batches(folder: str) -> None:
    journal = Journal(folder)
    for batch in (3, 0, 2, 1):
        journal.add(batch, 1, 1, b"%d\n" % batch)
    journal.flush()
    assert written(journal) == b"0\n1\n2\n3\n"


def test_records_of_all_sizes_come_out_whole(folder: str) -> None:
    chance, journal = random.Random(1), Journal(folder)
    rows = [os.urandom(chance.choice([0, 1, 100, 262_100, 262_144, 300_000])) for _ in range(40)]
    order = list(range(40))
    chance.shuffle(order)
    for batch in order:
        journal.add(batch, 1, 1, rows[batch])
    journal.flush()
    assert written(journal) == b"".join(rows)


def test_rows_in_a_file_of_their_own_stand_in_their_place(folder: str) -> None:
    journal = Journal(folder)
    journal.add(0, 1, 1, b"first\n")
    journal.add(1, 1, 1, rows_file(journal, b"large\n" * 500_000))
    journal.add(2, 1, 1, b"last\n")
    journal.flush()
    assert written(journal) == b"first\n" + b"large\n" * 500_000 + b"last\n"


@pytest.mark.parametrize("left", [b"large\n", b"large\nlarg", b"large\n\0\0\0\0\0\0", None])
def test_a_mini_batch_whose_file_of_rows_is_not_whole_is_run_again(folder: str, left: bytes | None) -> None:
    journal = Journal(folder)
    rows = rows_file(journal, b"large\nlarge\n")
    journal.add(0, 1, 1, rows)
    journal.add(1, 1, 1, b"small\n")
    journal.flush()
    journal.close()
    path = Path(journal.rows, rows.name)
    path.unlink() if left is None else path.write_bytes(left)
    again = Journal(folder)
    assert [again.done(batch, 1) for batch in range(2)] == [None, 1]


def test_what_was_noted_is_known_to_the_next_process(folder: str) -> None:
    filled(folder)
    journal = Journal(folder)
    assert [journal.done(batch, 2) for batch in range(6)] == [2, 2, 2, 2, 2, None]


def test_a_mini_batch_of_another_size_is_another_one(folder: str) -> None:
    filled(folder)
    assert Journal(folder).done(0, 3) is None


def test_a_journal_of_data_that_was_cut_in_another_way_is_begun_anew(folder: str) -> None:
    journal = Journal(folder, {"size": 4})
    journal.add(1, 4, 4, b"items 4 to 7\n")
    Path(journal.output, "of-mini-batch-1").touch()
    journal.flush()
    journal.close()
    other = Journal(folder, {"size": 6})
    assert other.done(1, 4) is None
    assert (os.listdir(other.output), written(other)) == ([], b"")


def test_a_mini_batch_with_failed_items_is_run_again_by_the_next_try(folder: str) -> None:
    journal = Journal(folder)
    journal.add(0, 3, 2, b"some\n")
    journal.add(1, 3, 3, b"all\n")
    assert (journal.done(0, 3), journal.done(1, 3)) == (None, 3)
    assert journal.done_items() == array("q", [-1, 3]).tobytes()


def test_the_latest_result_of_a_mini_batch_counts(folder: str) -> None:
    journal = Journal(folder)
    journal.add(0, 2, 1, b"half\n")
    journal.add(0, 2, 2, b"whole\n")
    journal.flush()
    assert written(journal) == b"whole\n"


@pytest.mark.parametrize("items", [2, 0])
def test_what_is_given_up_has_no_rows_and_is_not_done_now_or_later(folder: str, items: int) -> None:
    journal = Journal(folder)
    journal.add(0, items, items, b"of an earlier try\n")
    journal.add(1, 1, 1, rows_file(journal, b"large\n"))
    journal.give_up(0, items)
    journal.give_up(1, 1)
    journal.give_up(2, 1)  # of which nothing was noted
    journal.flush()
    journal.close()
    for known in (journal, Journal(folder)):
        assert [known.done(batch, number) for batch, number in enumerate((items, 1, 1))] == [None, None, None]
        assert known.done_items() == array("q", [-1, -1]).tobytes()
    assert written(known) == b""


def test_what_was_given_up_may_succeed_in_a_later_try(folder: str) -> None:
    journal = Journal(folder)
    journal.add(0, 2, 1, b"half\n")
    journal.give_up(0, 2)
    journal.add(0, 2, 2, b"whole\n")
    journal.flush()
    assert (journal.done(0, 2), written(journal)) == (2, b"whole\n")


def test_a_journal_that_ends_anywhere_loses_no_whole_record_and_takes_no_torn_one(folder: str) -> None:
    filled(folder, 4)
    whole = Path(folder, "journal").read_bytes()
    records = [index for index in range(len(whole)) if whole.startswith(b'{"b":', index)]
    for size in range(len(whole) + 1):
        Path(folder, "journal").write_bytes(whole[:size])
        journal = Journal(folder)
        kept = sum(1 for start in [*records[1:], len(whole)] if start <= size)
        assert [journal.done(batch, 2) is not None for batch in range(4)] == [n < kept for n in range(4)], size
        for batch in range(kept, 4):
            journal.add(batch, 2, 2, f"row {batch}\n\nblank above {batch}\n".encode())
        journal.flush()
        assert Path(folder, "journal").read_bytes() == whole
        journal.close()


def test_a_record_whose_bytes_were_changed_ends_the_journal(folder: str) -> None:
    filled(folder, 3)
    path = Path(folder, "journal")
    path.write_bytes(path.read_bytes().replace(b"row 1", b"row 7"))
    journal = Journal(folder)
    assert [journal.done(batch, 2) for batch in range(3)] == [2, None, None]


@pytest.mark.parametrize("content", [b"", b"no journal", b'{"journal":"refrain parallel run","schema":3}\n'])
def test_what_is_no_journal_of_ours_is_begun_anew(folder: str, content: bytes) -> None:
    os.makedirs(folder)
    Path(folder, "journal").write_bytes(content)
    journal = Journal(folder)
    journal.add(0, 1, 1, b"row\n")
    journal.flush()
    journal.close()
    assert Journal(folder).done(0, 1) == 1


def test_two_processes_never_hold_one_journal(folder: str) -> None:
    journal = Journal(folder)
    with pytest.raises(JournalInUse):
        Journal(folder)
    journal.close()
    Journal(folder).close()


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EACCES])
def test_a_journal_whose_lock_another_one_has_is_in_use(
    folder: str, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    with pytest.raises(JournalInUse):
        Journal(folder)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_where_there_are_no_locks_only_a_journal_of_this_process_alone_is_held(
    folder: str, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    with pytest.raises(JournalWithoutLock, match=f"'{folder}' cannot be locked: {os.strerror(code)}"):
        Journal(folder)
    Journal(folder, is_shared=False).close()


def test_a_journal_that_is_removed_before_it_is_locked_is_not_held(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(folder).close()
    lock = fcntl.flock

    def removed(descriptor: int, operation: int) -> None:
        shutil.rmtree(folder)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed)
    with pytest.raises(JournalInUse, match="has ended the same work"):
        Journal(folder)


def test_the_output_of_the_script_is_put_into_the_target_and_stays_for_another_try(folder: str, tmp_path: Path) -> None:
    journal, target = Journal(folder), tmp_path / "target"
    Path(journal.output, "a", "b").mkdir(parents=True)
    Path(journal.output, "a", "b", "scores.csv").write_text("1")
    target.mkdir()
    assert journal.copy_output(str(target)) == 1
    assert (target / "a" / "b" / "scores.csv").read_text() == "1"
    shutil.rmtree(target)
    assert Path(journal.output, "a", "b", "scores.csv").read_text() == "1"


def test_links_of_the_script_stay_links(folder: str, tmp_path: Path) -> None:
    journal, target = Journal(folder), tmp_path / "target"
    Path(journal.output, "v1").mkdir()
    Path(journal.output, "v1", "model").write_text("weights")
    Path(journal.output, "current").symlink_to("v1")
    Path(journal.output, "v1", "latest").symlink_to("model")
    Path(journal.output, "v1", "best").symlink_to(Path(journal.output, "current", "model"))
    Path(journal.output, "nowhere").symlink_to("nothing")  # the commit refuses it, as it does after any other step
    assert journal.copy_output(str(target)) == 5
    links = {str(path.relative_to(target)): os.readlink(path) for path in target.rglob("*") if path.is_symlink()}
    assert links == {"current": "v1", "v1/latest": "model", "v1/best": "model", "nowhere": "nothing"}
    assert (target / "current" / "latest").read_text() == "weights"


def test_the_rows_take_the_place_of_a_file_of_the_script_which_another_try_finds_as_it_was(
    folder: str, tmp_path: Path
) -> None:
    journal, target = Journal(folder), tmp_path / "target"
    Path(journal.output, "rows.txt").write_text("of the script\n")
    journal.add(0, 1, 1, b"row\n")
    journal.flush()
    journal.copy_output(str(target))
    journal.write_rows(str(target / "rows.txt"))
    assert (target / "rows.txt").read_text() == "row\n"
    assert Path(journal.output, "rows.txt").read_text() == "of the script\n"
