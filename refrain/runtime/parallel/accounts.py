"""Accounts: what has come of the mini-batches, and when that is too bad to go on. No process, no clock, no file."""

from __future__ import annotations

UNLIMITED = -1


class Limits:
    """How much may fail.

    :param tries: how often a mini-batch is run in all before it is given up.
    :param error_threshold: failed items; -1 for any number.
    :param failed_count: failed mini-batches; None and -1 for any number.
    :param failed_percent: failed mini-batches in percent of all, looked at once all have been handed out; None and 100
        for any number.
    """

    def __init__(
        self,
        tries: int = 3,
        error_threshold: int = 0,
        failed_count: int | None = None,
        failed_percent: float | None = None,
    ) -> None:
        self.tries = tries
        self.error_threshold = error_threshold
        self.failed_count = failed_count
        self.failed_percent = failed_percent


class Accounts:
    """The books of one parallel run.

    An *item* is a file or a row. A mini-batch has failed when it was given up, or gave fewer results than it has items;
    one that failed and is going to be tried again counts as failed until it succeeds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._attempts: dict[int, int] = {}
        self._pending = 0
        self.total: int | None = None
        """How many mini-batches there are, once all have been handed out."""
        self.done = 0
        """Mini-batches for which nothing is left to do, failed ones included."""
        self.kept = 0
        """Those of them that an earlier try had done."""
        self.failed = 0
        """Mini-batches that have failed for good."""
        self.failed_items = 0
        self.items = 0
        self.results = 0
        self.retried = 0
        """How often a mini-batch was run again."""

    def attempt(self, batch: int) -> int:
        """Return the number of a mini-batch's next attempt, from 1."""
        return self._attempts.get(batch, 0) + 1

    def succeed(self, batch: int, items: int, results: int) -> int:
        """Book a run that returned; return how many of its items have failed."""
        if self._attempts.pop(batch, 0):
            self._pending -= 1
        missing = max(0, items - results)
        self._close(items, results, missing, is_failed=missing > 0)
        return missing

    def keep(self, items: int, results: int) -> None:
        """Book what an earlier try had done."""
        self.kept += 1
        self._close(items, results, 0, is_failed=False)

    def fail(self, batch: int, items: int) -> bool:
        """Book a run that raised, took too long or ended its process; say whether it is to be tried again.

        A mini-batch without data that is given up counts as one failed item.
        """
        attempts = self._attempts[batch] = self.attempt(batch)
        if attempts == 1:
            self._pending += 1
        if attempts < self._limits.tries:
            self.retried += 1
            return True
        del self._attempts[batch]
        self._pending -= 1
        self._close(items, 0, max(items, 1), is_failed=True)
        return False

    def schedule(self, total: int) -> None:
        """Take note that all mini-batches have been handed out, and how many they are."""
        self.total = total

    @property
    def failed_now(self) -> int:
        """Mini-batches that count as failed at this moment."""
        return self.failed + self._pending

    @property
    def excess(self) -> str:
        """Which limit is exceeded, in words; empty as long as none is."""
        limits, failed = self._limits, self.failed_now
        if limits.error_threshold != UNLIMITED and self.failed_items > limits.error_threshold:
            return f"{_count(self.failed_items, 'item')} failed; error_threshold allows {limits.error_threshold}"
        if limits.failed_count not in (None, UNLIMITED) and failed > (limits.failed_count or 0):
            return f"{_count(failed, 'mini-batch')} failed; allowed_failed_count allows {limits.failed_count}"
        if limits.failed_percent is None or not self.total or failed * 100 <= limits.failed_percent * self.total:
            return ""
        share = f"{failed * 100 / self.total:.3g} % of {_count(self.total, 'mini-batch')} failed"
        return f"{share}; allowed_failed_percent allows {limits.failed_percent:g}"

    def _close(self, items: int, results: int, missing: int, *, is_failed: bool) -> None:
        self.done += 1
        self.failed += is_failed
        self.items += items
        self.results += results
        self.failed_items += missing


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
