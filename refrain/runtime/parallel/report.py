"""Report: how far a parallel run is, every two seconds: in the step's log, in the run's events, and in the logs."""

from __future__ import annotations

import os
import time
from collections import deque

from refrain.runtime import events
from refrain.runtime.errors import RunException
from refrain.runtime.parallel.crew import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Sequence, Tuple

    from refrain.runtime.events import Event
    from refrain.runtime.parallel.accounts import Accounts
    from refrain.runtime.parallel.crew import Crew, Member
    from refrain.runtime.parallel.logs import Logs

_EVERY_SECONDS = 2.0
_RATE_OVER = 16  # reports
_CELLS = 20
_LONG_SECONDS = 10.0
_MOST_WORKERS = 16


class Report:
    """Tells of progress.

    :param folder: the run's folder, whose events a page shows; None outside of a run.
    """

    def __init__(self, logs: Logs, folder: str | None) -> None:
        self._logs = logs
        self._events = os.path.join(folder, "events.jsonl") if folder else None
        self._told = time.monotonic()
        self._seen: Deque[Tuple[float, int]] = deque([(self._told, 0)], maxlen=_RATE_OVER)

    def tell(self, accounts: Accounts, total: int | None, crew: Crew, *, is_last: bool = False) -> None:
        """Tell how far the work is, unless that was told just now."""
        now = time.monotonic()
        if now - self._told < _EVERY_SECONDS and not is_last:
            return
        self._told, members = now, crew.members
        self._seen.append((now, accounts.done - accounts.kept))
        rate, total = self._rate(), accounts.total or (total and max(total, accounts.done))  # of a table it is a guess
        nodes = [[node.name, node.title, node.taken] for node in crew.nodes]
        line = _line(accounts, total, rate, members, now) + (f", on {len(nodes)} nodes" if len(nodes) > 1 else "")
        self._logs.say(line)
        self._logs.overview(line)
        self._note({**_event(accounts, total, rate, members, now), "nodes": nodes})

    def _rate(self) -> float:
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - begin) if end > begin else 0.0

    def _note(self, event: Event) -> None:
        if self._events is not None:
            try:
                events.append(self._events, events.OWN, [event])
            except (OSError, RunException):  # nothing is lost for want of it
                self._logs.note("the progress could not be written to the run's events")


def _line(accounts: Accounts, total: int | None, rate: float, members: Sequence[Member], now: float) -> str:
    states = [member.state for member in members]
    parts = [_bar(accounts.done, total), f"{accounts.failed_now} failed, {accounts.retried} retried"]
    parts += [f"{rate:,.1f}/s"] if rate else []
    parts += [f"{_duration((total - accounts.done) / rate)} left"] if rate and total and accounts.done < total else []
    for state in (State.STARTING, State.RUNNING, State.IDLE):
        parts += [f"{states.count(state)} {state.value}"] if state in states else []
    long = [m for m in members if m.state is not State.IDLE and now - m.since > _LONG_SECONDS]
    parts += [f"{m.name} {_doing(m)} for {_duration(now - m.since)}" for m in long[:3]]
    return ", ".join(parts)


def _bar(done: int, total: int | None) -> str:
    if not total:
        return f"{done:,} mini-batches done"
    full = _CELLS * done // total
    return f"[{'#' * full}{'.' * (_CELLS - full)}] {done:,} of {total:,} mini-batches"


def _doing(member: Member) -> str:
    is_running = member.state is State.RUNNING and member.tasks
    return f"has been at {member.tasks[0]}" if is_running else f"has been {member.state.value}"


def _event(accounts: Accounts, total: int | None, rate: float, members: Sequence[Member], now: float) -> Event:
    return {
        "kind": "progress",
        "done": accounts.done,
        "all": total,
        "kept": accounts.kept,
        "failed": accounts.failed_now,
        "retried": accounts.retried,
        "queued": None if total is None else total - accounts.done - sum(1 for m in members if m.tasks),
        "rate": round(rate, 3),
        "eta": round((total - accounts.done) / rate, 1) if rate and total else None,
        "workers": [[m.name, m.state.value, round(now - m.since, 1)] for m in _longest(members)],
    }


def _longest(members: Sequence[Member]) -> list[Member]:
    """Return those that have been at one thing for the longest time, as many as an event should hold."""
    return sorted(members, key=lambda member: member.since)[:_MOST_WORKERS]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
