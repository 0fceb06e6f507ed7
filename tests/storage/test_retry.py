"""Faults that may pass are tried again; others are not."""

import pytest

from refrain.storage.retry import TRIES, TransientError, in_parallel, retried


class Failing:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize("error", [OSError("dead"), TimeoutError(), ConnectionError(), TransientError("cut short")])
def test_a_fault_that_may_pass_is_tried_again_after_longer_and_longer_pauses(error):
    pauses = []
    call = Failing(error, error, error)
    assert retried(call, pauses.append) == "done"
    assert call.calls == 4
    assert 0.05 <= pauses[0] <= 0.1 <= pauses[1] <= 0.2 <= pauses[2] <= 0.4


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), TypeError(), OSError(22, "invalid")])
def test_what_will_not_pass_is_raised_at_once(error):
    call = Failing(error)
    with pytest.raises(type(error)):
        retried(call, lambda _: None)
    assert call.calls == 1


def test_at_last_the_error_is_raised():
    call = Failing(*[OSError("dead")] * 99)
    with pytest.raises(OSError, match="dead"):
        retried(call, lambda _: None)
    assert call.calls == TRIES


def test_many_are_done_at_once_in_order():
    assert in_parallel(lambda number: number * 2, range(100)) == list(range(0, 200, 2))


def test_after_a_failure_nothing_more_is_begun():
    begun = []

    def act(number):
        begun.append(number)
        raise OSError("dead")

    with pytest.raises(OSError, match="dead"):
        in_parallel(act, range(10_000))
    assert len(begun) < 10_000
