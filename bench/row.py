"""Row: one measurement beside its peer, and the goal it is held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from refrain.execution.table import Column, render

COLUMNS = (
    Column("work"),
    Column("ours", is_number=True),
    Column("peer", is_number=True),
    Column("unit"),
    Column("peer is"),
    Column("figure", is_number=True),
    Column("goal"),
    Column("met"),
)


@dataclass(frozen=True)
class Row:
    """What was measured.

    :param ours: the median, in ``unit``.
    :param peer: the same of what it is compared with; 0.0 where the goal is absolute.
    :param figure: what the goal speaks of: a difference, a ratio, or ``ours`` itself.
    :param goal: the upper limit of ``figure``.
    """

    work: str
    ours: float
    peer: float
    unit: str
    peer_name: str
    figure: float
    goal: float

    @property
    def is_met(self) -> bool:
        """Say whether the goal is met."""
        return self.figure <= self.goal

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        ratio = self.ours / self.peer if self.peer else None
        return {**asdict(self), "ratio": ratio, "met": self.is_met}

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells under :data:`COLUMNS`."""
        peer = f"{self.peer:.3f}" if self.peer_name else ""
        return (
            self.work,
            f"{self.ours:.3f}",
            peer,
            self.unit,
            self.peer_name,
            f"{self.figure:.3f}",
            f"≤ {self.goal:g}",
            "yes" if self.is_met else "NO",
        )


def table(rows: list[Row]) -> list[str]:
    """Return the rows as the lines of a table."""
    return render(COLUMNS, [row.cells() for row in rows])
