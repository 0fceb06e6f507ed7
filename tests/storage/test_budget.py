"""Memory of copies: never more than there is, given to those who asked first, and never to nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from refrain.storage.budget import Budget, Turn


class _Hand(threading.Thread):
    """Takes bytes by a turn, and holds them until it is let go."""

    def __init__(self, turn: Turn, size: int) -> None:
        super().__init__(daemon=True)
        self._turn, self._size = turn, size
        self.has_it, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self._turn.taken(self._size):
            self.has_it.set()
            self.may_go.wait(30)

    def let_go(self) -> None:
        self.may_go.set()
        self.join(30)


@pytest.fixture
def turn() -> Iterator[Callable[[], Turn]]:
    """Places in the line for ten bytes."""
    with Budget(10).turns() as turn:
        yield turn


def test_only_what_is_there_is_given_at_once(turn):
    one, two = _Hand(turn(), 6), _Hand(turn(), 4)
    assert one.has_it.wait(30)
    assert two.has_it.wait(30)
    three = _Hand(turn(), 5)
    one_more = not three.has_it.wait(0.1)
    one.let_go()
    assert (one_more, three.has_it.wait(30)) == (True, True)
    two.let_go()
    three.let_go()


def test_who_asked_first_is_served_first_however_late_he_comes(turn):
    first, second = turn(), turn()
    hasty = _Hand(second, 1)
    assert not hasty.has_it.wait(0.1)
    late = _Hand(first, 10)
    assert late.has_it.wait(30)
    assert not hasty.has_it.is_set()
    late.let_go()
    assert hasty.has_it.wait(30)
    hasty.let_go()


def test_who_leaves_lets_the_next_go_on(turn):
    first, second = turn(), turn()
    waiting = _Hand(second, 1)
    assert not waiting.has_it.wait(0.1)
    first.leave()
    first.leave()  # twice is as good as once
    assert waiting.has_it.wait(30)
    waiting.let_go()


def test_more_than_there_is_means_all_of_it(turn):
    with turn().taken(1000):
        pass
    with turn().taken(10):
        pass


def test_a_turn_can_be_taken_again_behind_those_who_wait(turn):
    mine = turn()
    with mine.taken(10):
        other = _Hand(turn(), 10)
    assert other.has_it.wait(30)
    other.let_go()
    with mine.taken(10):
        pass


def test_what_fails_gives_back_what_it_has(turn):
    with pytest.raises(ZeroDivisionError), turn().taken(10):
        1 / 0  # noqa: B018
    with turn().taken(10):
        pass


def test_a_job_that_fails_before_its_turn_does_not_keep_the_others_waiting(turn):
    first, second = turn(), turn()
    waiting = _Hand(second, 1)
    with pytest.raises(ZeroDivisionError):
        first.run(lambda _turn: 1 / 0)
    assert waiting.has_it.wait(30)
    waiting.let_go()


def test_places_that_were_given_and_never_used_are_not_kept():
    budget = Budget(10)
    with budget.turns() as turn:
        turn()
    with budget.turns() as turn, turn().taken(10):
        pass
