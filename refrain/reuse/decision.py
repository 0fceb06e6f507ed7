"""Decision: whether a step is reused, and why or why not."""

from __future__ import annotations

from enum import Enum
from typing import Any

from refrain.reuse.preimage import Preimage
from refrain.reuse.record import ReuseRecord
from refrain.values import dataclass


class Verdict(str, Enum):
    """What was decided, each with its reason."""

    REUSED = "reused"  # an earlier result has the same fingerprint and its outputs are unchanged
    FIRST = "first run"  # no earlier result of this step is known
    CHANGED = "changed"  # something in the preimage is another than in every known result
    OUTPUT_MISSING = "output missing"  # the earlier result's output is gone
    OUTPUT_CHANGED = "output changed"  # the earlier result's output is no longer what it was
    MODEL_CHANGED = "model changed"  # what the earlier result's script was told of registered models is no longer true
    OUTPUT_UNREADABLE = "output unreadable"  # nobody can say now whether the earlier result's output is what it was
    FORGOTTEN = "forgotten"  # the earlier result is not to be used again
    RECORD_CORRUPT = "record corrupt"  # the earlier result's record cannot be trusted
    FORCED = "forced"  # the run was told not to look
    NOT_ALLOWED = "reuse not allowed"  # the step has allow_reuse=False
    UNDECIDED = "waits for its inputs"  # a step before it has yet to run


class Check(str, Enum):
    """How the outputs of a reused result were compared with what its step wrote."""

    STAT = "stat"  # they are there, with the sizes, times and tags that they had
    CONTENT = "content"  # their bytes were read, too


@dataclass(frozen=True)
class Change:
    """One difference from the nearest earlier result: ``parameter alpha: 0.1 → 0.2``."""

    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


@dataclass(frozen=True)
class Decision:
    """The verdict on one step.

    :param record: the record to reuse; given with :attr:`Verdict.REUSED` only.
    :param changes: what differs from the nearest earlier result.
    :param detail: the output or record that could not be trusted, in words.
    :param preimage: what the step's fingerprint is made of now.
    :param nearest: the earlier result that *changes* start from, if any, or the one that could not be reused.
    :param expected: of a step that cannot be decided yet, the verdict if what it reads is the same as before.
    :param note: a remark on what was counted.
    :param is_lost: whether *nearest* was found wanting just now, so that nobody needs to look at it again.
    """

    verdict: Verdict
    fingerprint: str = ""
    record: ReuseRecord | None = None
    changes: tuple[Change, ...] = ()
    detail: str = ""
    preimage: Preimage | None = None
    nearest: ReuseRecord | None = None
    is_lost: bool = False
    check: Check = Check.STAT
    expected: Verdict | None = None
    note: str = ""

    @property
    def is_reused(self) -> bool:
        """Say whether the step's earlier result stands."""
        return self.verdict is Verdict.REUSED

    def sentence(self) -> str:
        """Say it in one line, for a log."""
        if self.record is not None:
            read = "; its bytes were read again" if self.check is Check.CONTENT else ""
            return f"reused from {self.record.run_id} (took {self.record.seconds:.1f} s then{read})"
        if self.verdict is Verdict.UNDECIDED:
            return self.detail
        parts = [self.verdict.value, self.detail, "; ".join(map(str, self.changes))]
        return "runs: " + ": ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON values: what the run record keeps, and what every command shows.

        Records stand in it by their run ids. Of a reused step, the preimage is in the reuse record.
        """
        return {
            "verdict": self.verdict.value,
            "fingerprint": self.fingerprint,
            "reused_from": self.record.run_id if self.record else None,
            "seconds_saved": self.record.seconds if self.record else 0.0,
            "check": self.check.value if self.record else None,
            "compared_with": self.nearest.run_id if self.nearest else None,
            "changes": [{"what": change.what, "detail": change.detail} for change in self.changes],
            "detail": self.detail,
            "expected": self.expected.value if self.expected else None,
            "note": self.note,
            "sentence": self.sentence(),
            "preimage": None if self.record else self.preimage,
        }
