"""How many mini-batches a worker is given, with workers that answer at once and say how long it took them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from refrain.runtime.parallel import dispatcher
from refrain.runtime.parallel.accounts import Accounts, Limits
from refrain.runtime.parallel.crew import Event, Member, State
from refrain.runtime.parallel.dispatcher import Dispatcher, Failure, Waits
from refrain.runtime.parallel.files import EmptySource
from refrain.runtime.parallel.journal import Journal
from refrain.runtime.parallel.lifeline import unwind_on_sigterm
from refrain.runtime.parallel.mini_batch import MiniBatch


class _Crew:
    """So many workers that are there from the start; each does all that it has before it is heard."""

    timeout = 60.0
    has_room = False

    def __init__(self, size: int, seconds: float) -> None:
        place = SimpleNamespace(name="000", start=lambda _name: SimpleNamespace(put=_ignored, flush=_nothing))
        self.size, self._seconds = size, seconds
        self.members = [Member(f"process{number:03}", place) for number in range(size)]
        for member in self.members:
            member.enter(State.IDLE)
        self.had: list[list[int]] = []
        """How many each had, whenever they were heard."""

    def events(self, _seconds: float) -> Iterator[Event]:
        self.had.append([len(member.tasks) for member in self.members])
        for member in self.members:
            for task in list(member.tasks):
                yield Event(member, {"is": "done", "batch": task.index, "results": 0, "seconds": self._seconds})

    def deaths(self) -> list[Event]:
        return []

    def look(self) -> str:
        return ""

    def gather(self) -> None:
        pass

    def end_all(self) -> None:
        pass

    def dismiss(self, member: Member) -> None:
        self.members = [other for other in self.members if other is not member]


def _ignored(_fields: object, _content: bytes) -> None:
    pass


def _nothing() -> None:
    pass


class _OfUnknownSize(EmptySource):
    """Has so many mini-batches, and says that it has *told*."""

    def __init__(self, count: int, told: int | None = None) -> None:
        super().__init__(count)
        self._count, self._told = count, told
        self.total = told

    def next(self) -> MiniBatch | None:
        self.total = self._count  # for the one who counts
        task = super().next()
        self.total = self._told
        return task


@pytest.fixture(autouse=True)
def never_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_LONGEST_REST_SECONDS", 0)


class _LateEnd(EmptySource):
    """Finds out that there is nothing more only when it is looked at, as a table does whose last rows are left out."""

    def next(self) -> MiniBatch | None:
        if self._given == self.total:
            return None
        task = super().next()
        self.is_over = False
        return task

    def look(self) -> str:
        self.is_over = self._given == self.total
        return ""


class _FailingCrew(_Crew):
    """Its workers die of what they are given, and their successors are not ready in time."""

    def events(self, _seconds: float) -> Iterator[Event]:
        for member in self.members:
            if member.tasks:
                error = {"text": "it was too much", "trace": ""}
                failed = {"is": "failed", "batch": member.tasks[0].index, "error": error, "seconds": 0.1}
                yield Event(member, failed)
                member.enter(State.STARTING)


def _had(folder: Path, source: EmptySource, size: int, seconds: float) -> list[list[int]]:
    crew = _Crew(size, seconds)
    assert _run(folder, source, crew) is None
    return crew.had


def _run(folder: Path, source: EmptySource, crew: _Crew) -> Failure | None:
    logs, report = SimpleNamespace(say=print), SimpleNamespace(tell=lambda *_: None)
    with contextlib.closing(Journal(str(folder / "journal"))) as journal:
        return Dispatcher(source, crew, Accounts(Limits()), journal, logs, report, Waits(60, 60)).run()


@pytest.mark.parametrize(
    ("seconds", "most"),
    [(0.5, 1), (0.11, 1), (0.09, 2), (0.02, 6), (0.000001, 64)],
    ids=["long", "a little too long", "short", "shorter", "in no time"],
)
def test_a_worker_has_a_tenth_of_a_second_of_work_ahead(tmp_path: Path, seconds: float, most: int) -> None:
    had = _had(tmp_path, _OfUnknownSize(600), 2, seconds)
    assert max(map(max, had)) == most
    assert had[0] == [1, 1]  # as long as nobody knows how long one takes


def test_no_worker_is_left_with_many_when_the_others_have_none_any_more(tmp_path: Path) -> None:
    total, size = 500, 4
    had = _had(tmp_path, EmptySource(total), size, 0.000001)
    assert max(map(max, had)) > 20
    done = 0
    for counts in had:
        left = total - done - sum(counts)
        assert max(counts) <= 1 + (left + sum(counts)) // (2 * size)
        done += sum(counts)
    assert done == total


@pytest.mark.parametrize("told", [1, 50, 199, 10_000])
def test_a_wrong_guess_of_how_many_there_are_keeps_nobody_waiting(tmp_path: Path, told: int) -> None:
    had = _had(tmp_path, _OfUnknownSize(200, told), 2, 0.000001)
    assert sum(map(sum, had)) == 200


def test_the_percentage_counts_although_the_last_is_known_to_be_the_last_only_afterwards(tmp_path: Path) -> None:
    logs = SimpleNamespace(say=print, raised=print, tail=lambda *_: [])
    report = SimpleNamespace(tell=lambda *_: None)
    accounts = Accounts(Limits(tries=1, error_threshold=-1, failed_percent=10))
    journal = Journal(str(tmp_path / "journal"))
    failure = Dispatcher(_LateEnd(1), _FailingCrew(1, 0.1), accounts, journal, logs, report, Waits(60, 60)).run()
    journal.close()
    assert failure is not None
    assert failure.reason == "100 % of 1 mini-batch failed; allowed_failed_percent allows 10"


_ERROR = {"is": "failed", "error": {"text": "ValueError", "trace": ""}}


class _LateFailures(_Crew):
    """Do the first mini-batch; of what comes next the first two fail, and the others are done."""

    def events(self, seconds: float) -> Iterator[Event]:
        for number, event in enumerate(list(super().events(seconds))):
            is_late = len(self.had) > 1 and number < 2
            yield Event(event.member, {**event.fields, **_ERROR}) if is_late else event


def test_what_is_done_after_the_run_has_failed_is_noted_of_no_other_mini_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_FORGETS", 1e-6)  # so that one that was quick lets many be given at once
    logs = SimpleNamespace(say=print, raised=print, tail=lambda *_: [])
    report = SimpleNamespace(tell=lambda *_: None)
    journal, crew = Journal(str(tmp_path / "journal")), _LateFailures(1, 0.000001)
    accounts = Accounts(Limits(tries=1))
    failure = Dispatcher(EmptySource(20), crew, accounts, journal, logs, report, Waits(60, 60)).run()
    noted = [batch for batch in range(20) if journal.done(batch, 0) is not None]
    journal.close()
    assert failure is not None
    assert noted == [0, *range(3, 1 + crew.had[1][0])]
    assert len(noted) > 1


class _ForeignAnswers(_Crew):
    """Its workers answer for a mini-batch that they do not have."""

    def events(self, seconds: float) -> Iterator[Event]:
        for event in super().events(seconds):
            yield Event(event.member, {**event.fields, "batch": event.fields["batch"] + 1})


def test_an_answer_for_another_mini_batch_than_the_worker_is_at_counts_for_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="process000 answers for mini-batch 1, which it is not at"):
        _run(tmp_path, EmptySource(9), _ForeignAnswers(1, 0.1))


class _SignalledCrew(_Crew):
    """Is sent SIGTERM in the middle of a method, and notes what it comes to after that."""

    def __init__(self, where: str) -> None:
        super().__init__(1, 0.1)
        self._where = where
        self.came_to: list[str] = []

    def events(self, seconds: float) -> Iterator[Event]:
        self._come_to("events")
        yield from super().events(seconds)

    def end_all(self) -> None:
        self._come_to("end_all")

    def _come_to(self, method: str) -> None:
        if method == self._where:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)  # another thread would need a moment to take it
        self.came_to.append(method)


@pytest.mark.parametrize(("where", "came_to"), [("events", ["events", "end_all"]), ("end_all", ["events", "end_all"])])
def test_a_signal_is_heeded_where_nothing_is_left_in_the_middle(tmp_path: Path, where: str, came_to: list[str]) -> None:
    crew, source, closed, over = _SignalledCrew(where), EmptySource(1), [], threading.Event()
    source.close = lambda: closed.append(source)
    before = signal.getsignal(signal.SIGTERM)
    other = threading.Thread(target=over.wait)  # as there are where nodes call; any of them may be given the signal
    other.start()
    unwind_on_sigterm()
    try:
        with pytest.raises(SystemExit):
            _run(tmp_path, source, crew)
    finally:
        signal.signal(signal.SIGTERM, before)
        over.set()
        other.join()
    assert crew.came_to == came_to
    assert closed == [source]
