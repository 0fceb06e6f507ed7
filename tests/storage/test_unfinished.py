from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from refrain.storage.remote import RemoteStore
from refrain.storage.state import stores_without_workspace
from refrain.storage.store import Place
from refrain.storage.unfinished import UnfinishedWork, unfinished

KEY = "ab" * 32


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where copies go: in use by two machines."""
    return stores_without_workspace().named(f"memory://{tmp_path.name}/unfinished")


def machine(tmp_path: Path, name: str, place: Place) -> UnfinishedWork:
    return UnfinishedWork(tmp_path / name / "unfinished" / KEY[:2] / KEY, place)


def write(work: UnfinishedWork, journal: str) -> None:
    folder = work.folder
    (folder / "rows").mkdir(exist_ok=True)
    (folder / "rows" / "1").write_text("rows")
    (folder / "journal").write_text(journal)


def read(work: UnfinishedWork) -> tuple[str, list[str]]:
    folder = work.folder
    return (folder / "journal").read_text(), sorted(os.listdir(folder / "rows"))


def test_another_machine_gets_what_was_brought(tmp_path: Path, place: Place) -> None:
    first = machine(tmp_path, "a", place)
    write(first, "one\n")
    first.bring()
    assert read(machine(tmp_path, "b", place)) == ("one\n", ["1"])


def test_the_machine_that_has_done_more_keeps_its_own(tmp_path: Path, place: Place) -> None:
    first, second = machine(tmp_path, "a", place), machine(tmp_path, "b", place)
    write(first, "one\n")
    first.bring()
    write(second, "one\ntwo\n")
    assert read(second)[0] == "one\ntwo\n"
    second.bring()
    assert read(machine(tmp_path, "a", place))[0] == "one\ntwo\n"


def test_what_has_grown_is_brought_again(tmp_path: Path, place: Place) -> None:
    first = machine(tmp_path, "a", place)
    for text in ("one\n", "one\ntwo\n"):
        write(first, text)
        first.bring()
    assert read(machine(tmp_path, "b", place))[0] == "one\ntwo\n"


def test_it_is_brought_when_the_work_fails(tmp_path: Path, place: Place) -> None:
    first = machine(tmp_path, "a", place)
    write(first, "one\n")
    with pytest.raises(ZeroDivisionError), first.followed():
        _ = 1 / 0
    assert read(machine(tmp_path, "b", place))[0] == "one\n"


def test_nothing_is_left_anywhere_when_it_is_removed(tmp_path: Path, place: Place) -> None:
    first = machine(tmp_path, "a", place)
    write(first, "one\n")
    first.bring()
    first.remove()
    assert not place.exists()
    assert list(unfinished(tmp_path / "a")) == []


def test_the_folders_of_a_machine_are_found_with_their_times(tmp_path: Path) -> None:
    work = UnfinishedWork(tmp_path / "unfinished" / KEY[:2] / KEY)
    write(work, "one\n")
    for path in (work.folder, *work.folder.iterdir()):
        os.utime(path, (7, 7))
    os.utime(work.folder / "journal", (9, 9))
    assert list(unfinished(tmp_path)) == [(work.folder, 9.0)]


def test_what_was_taken_over_by_half_is_not_taken_for_all(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machine(tmp_path, "a", place), machine(tmp_path, "b", place)
    write(first, "one\n")
    first.bring()
    get = type(place.store).get

    def get_one(store: RemoteStore, pairs: Iterable[tuple[str, Path]]) -> None:
        get(store, [pair for pair in pairs if pair[1].name == "journal"])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(place.store), "get", get_one)
    with pytest.raises(KeyboardInterrupt):
        _ = second.folder
    monkeypatch.setattr(type(place.store), "get", get)
    assert read(machine(tmp_path, "b", place)) == ("one\n", ["1"])


def test_what_a_process_has_locked_is_neither_replaced_nor_removed(tmp_path: Path, place: Place) -> None:
    first, second = machine(tmp_path, "a", place), machine(tmp_path, "b", place)
    write(second, "one\n")
    write(first, "one\ntwo\n")
    first.bring()
    with (second.path / "journal").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert read(second) == ("one\n", ["1"])
        second.remove()
        assert read(second) == ("one\n", ["1"])
        assert os.listdir(second.path.parent) == [KEY]
    assert read(second) == ("one\ntwo\n", ["1"])
