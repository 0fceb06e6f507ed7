from __future__ import annotations

import pytest

from refrain.runtime.parallel.accounts import Accounts, Limits


def accounts(**limits: object) -> Accounts:
    return Accounts(Limits(**{"tries": 3, **limits}))


def test_items_without_a_result_have_failed() -> None:
    books = accounts(error_threshold=5)
    assert (books.succeed(0, 10, 7), books.failed_items, books.failed, books.excess) == (3, 3, 1, "")


def test_more_results_than_items_are_no_failure() -> None:
    books = accounts()
    assert (books.succeed(0, 2, 5), books.failed, books.results, books.excess) == (0, 0, 5, "")


def test_a_failed_attempt_is_repeated_until_the_tries_are_used_up() -> None:
    books = accounts(tries=3)
    assert [books.fail(0, 4) for _ in range(3)] == [True, True, False]
    assert (books.failed_items, books.retried, books.done) == (4, 2, 1)


def test_the_items_of_an_attempt_count_only_when_it_is_given_up() -> None:
    books = accounts(tries=2, error_threshold=0)
    books.fail(0, 4)
    assert books.excess == ""
    books.fail(0, 4)
    assert books.excess == "4 items failed; error_threshold allows 0"


def test_any_number_of_items_may_fail_at_minus_one() -> None:
    books = accounts(tries=1, error_threshold=-1)
    books.fail(0, 1000)
    assert books.excess == ""


def test_as_many_items_as_the_threshold_may_fail() -> None:
    books = accounts(tries=1, error_threshold=4)
    books.fail(0, 4)
    assert books.excess == ""
    books.succeed(1, 2, 1)
    assert books.excess == "5 items failed; error_threshold allows 4"


def test_a_mini_batch_that_waits_for_its_next_try_counts_as_failed_until_it_succeeds() -> None:
    books = accounts(error_threshold=-1, failed_count=0)
    books.fail(0, 1)
    assert books.excess == "1 mini-batch failed; allowed_failed_count allows 0"
    books.succeed(0, 1, 1)
    assert (books.excess, books.failed_now) == ("", 0)


@pytest.mark.parametrize("count", [None, -1])
def test_any_number_of_mini_batches_may_fail(count: int | None) -> None:
    books = accounts(tries=1, error_threshold=-1, failed_count=count)
    for batch in range(50):
        books.fail(batch, 1)
    assert books.excess == ""


def test_the_share_of_failed_mini_batches_counts_once_all_are_handed_out() -> None:
    books = accounts(tries=1, error_threshold=-1, failed_percent=10)
    books.fail(0, 1)
    assert books.excess == ""
    books.schedule(9)
    assert books.excess == "11.1 % of 9 mini-batches failed; allowed_failed_percent allows 10"


def test_exactly_the_allowed_share_may_fail() -> None:
    books = accounts(tries=1, error_threshold=-1, failed_percent=10)
    books.fail(0, 1)
    books.schedule(10)
    assert books.excess == ""


def test_all_mini_batches_may_fail_at_100_percent() -> None:
    books = accounts(tries=1, error_threshold=-1, failed_percent=100)
    books.fail(0, 1)
    books.schedule(1)
    assert books.excess == ""


def test_a_mini_batch_without_data_that_is_given_up_counts_as_one_item() -> None:
    books = accounts(tries=1)
    books.fail(0, 0)
    assert books.excess == "1 item failed; error_threshold allows 0"


def test_what_an_earlier_try_had_done_is_counted_as_done() -> None:
    books = accounts()
    books.keep(3, 3)
    assert (books.done, books.kept, books.items, books.results, books.failed_now) == (1, 1, 3, 3, 0)
