"""Dispatcher: hands mini-batches to workers until all are done, or too many have failed."""

from __future__ import annotations

import time
from collections import deque

from refrain.runtime.parallel.crew import State
from refrain.runtime.parallel.journal import RowsFile
from refrain.runtime.parallel.lifeline import noted_sigterm
from refrain.runtime.parallel.starts import Starts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Deque

    from refrain.runtime.parallel.accounts import Accounts
    from refrain.runtime.parallel.crew import Crew, Event, Member
    from refrain.runtime.parallel.journal import Journal
    from refrain.runtime.parallel.logs import Logs
    from refrain.runtime.parallel.mini_batch import MiniBatch, Source
    from refrain.runtime.parallel.report import Report


_TICK_SECONDS = 0.2
_AHEAD_SECONDS = 0.1  # of work that a worker has beside the mini-batch that it runs; none if one alone takes longer
_MOST_AHEAD = 64
_FORGETS = 0.95
_LEAST_SECONDS = 0.00005  # that a worker needs for a mini-batch beside its run()
_REST = 0.5  # of the time for which the workers have enough to do; we take it from a core that one of them could use
_LONGEST_REST_SECONDS = 0.04
_LEAVING_SECONDS = 2.0  # for what is done at the exit of a process
_MOST_TOLD = 100  # failures, one by one


class Waits:
    """After how many seconds without a sign of life a parallel run gives up.

    :param init: in which no run() ends, while all workers are starting.
    :param data: in which no mini-batch is made, while nobody has one.
    """

    def __init__(self, init: float, data: float) -> None:
        self.init = init
        self.data = data


class Failure:
    """Why a parallel run failed, and what belongs at the end of its log."""

    def __init__(self, reason: str, details: list[str]) -> None:
        self.reason = reason
        self.details = details


class Dispatcher:
    """One parallel run.

    :param waits: when it gives up.
    """

    def __init__(  # noqa: PLR0913  # the parts of a parallel run, put together in one place
        self,
        source: Source,
        crew: Crew,
        accounts: Accounts,
        journal: Journal,
        logs: Logs,
        report: Report,
        waits: Waits,
    ) -> None:
        self._source = source
        self._crew = crew
        self._accounts = accounts
        self._journal = journal
        self._logs = logs
        self._report = report
        self._waits = waits
        self._again: Deque[MiniBatch] = deque()
        self._scheduled = 0
        self._starts = Starts()
        self._slowest = 0.1  # seconds of the slower ones among the latest calls of run()
        self._quickest = 0.1  # and of the quicker ones
        self._most = 1  # mini-batches that a worker may have: more than one only if they are over in no time
        self._moved = time.monotonic()
        self._ticked = 0.0
        self._fed = time.monotonic()
        self._failure: Failure | None = None
        self._no_start: Failure | None = None  # why the latest node got no further process
        self._told = 0
        self._answers: dict[str, Callable[[Event], None]] = {
            "ready": self._welcome,
            "broken": self._take_broken,
            "over": self._shut_down,
            "gone": self._mourn,
        }
        self._last: Callable[[], list[str]] = list

    def run(self) -> Failure | None:
        """Work to the end; return why it failed, or None when it did not."""
        with noted_sigterm() as ended:
            try:
                if self._needs_more():
                    self._crew.gather()
                    self._fill()
                while self._failure is None and not ended and not self._is_done():
                    self._turn()
                if self._failure is None and not ended:
                    self._part(ended)
            finally:
                self._crew.end_all()
                self._source.close()
                self._journal.flush()
        return self._failure

    def _turn(self) -> None:
        """Hear what workers say, and give them more."""
        self._rest()
        for event in self._crew.events(0 if self._source.is_busy else _TICK_SECONDS):
            self._hear(event)
        if time.monotonic() - self._ticked > _TICK_SECONDS:
            self._tick()
        self._look()
        self._journal.flush()  # before anybody goes on: who is killed now loses what is being run, and no more
        if self._failure is None:
            self._fill()
            self._failure = self._excess()
        self._report.tell(self._accounts, self._source.total, self._crew)

    def _is_done(self) -> bool:
        return self._source.is_over and not self._has_work()

    def _has_work(self) -> bool:
        return bool(self._again) or any(member.tasks for member in self._crew.members)

    # ---- handing out

    def _fill(self) -> None:
        """Give each worker that is ready as much as it should have, and see that there are enough of them."""
        for member in self._crew.members:
            if member.state in (State.IDLE, State.RUNNING) and not member.verdict:
                self._give(member)
        if not self._has_work():
            self._needs_more()  # all that is left may be what an earlier try has done: nobody need be ready for that
        while self._crew.has_room and self._needs_more():
            if not self._crew.members:
                self._moved = time.monotonic()  # the first node may come late
            self._crew.hire()

    def _rest(self) -> None:
        """Wait until there is more to hear at once, for as long as no worker notices it."""
        least = min((len(member.tasks) for member in self._crew.members), default=0)
        if least > 1:
            time.sleep(min(_REST * (least - 1) * self._quickest, _LONGEST_REST_SECONDS))

    def _needs_more(self) -> bool:
        """Say whether there is work for another process, beside what those will take that are starting."""
        starting = sum(1 for member in self._crew.members if member.state is State.STARTING)
        if len(self._again) <= starting:
            task = self._fresh()
            if task is not None:
                self._again.append(task)
        return len(self._again) > starting or not self._source.is_over

    def _give(self, member: Member) -> None:
        most = min(self._most, self._fair_share)
        while len(member.tasks) < most:
            task = self._next()
            if task is None:
                break
            member.give(task, self._accounts.attempt(task.index))
        member.peer.flush()

    @property
    def _fair_share(self) -> int:
        """How many a worker may have so that none is left with many when the others have none any more."""
        left = -1 if self._source.total is None else self._source.total - self._scheduled
        return _MOST_AHEAD if left < 0 else 1 + left // (2 * max(self._crew.size, 1))  # of a table it is a guess

    def _next(self) -> MiniBatch | None:
        """Return the next mini-batch: one that is tried again first, since it may take long once more."""
        return self._again.popleft() if self._again else self._fresh()

    def _fresh(self) -> MiniBatch | None:
        """Return the next mini-batch that no try has done; None when there is none, or none yet."""
        while True:
            task = self._source.next()
            if task is None:
                return None
            self._scheduled += 1
            self._fed = time.monotonic()
            results = self._journal.done(task.index, task.items)
            if results is None:
                return task
            self._accounts.keep(task.items, results)
            task.release()

    # ---- hearing

    def _hear(self, event: Event) -> None:
        """Take in what a worker said, in the words of :mod:`refrain.runtime.parallel.frames`."""
        if "batch" in event.fields:
            self._take(event.member.take(event.fields["batch"]), event)
        elif self._failure is None:
            self._answers[event.fields["is"]](event)
        self._failure = self._failure or self._excess()

    def _take(self, task: MiniBatch, event: Event) -> None:
        """Take in what came of a mini-batch; when everything has failed already, results are of use to the next try."""
        is_done = event.fields["is"] == "done"
        if self._failure is None:
            self._count(event.fields["seconds"])
            (self._take_results if is_done else self._take_error)(task, event)
        elif is_done:
            self._note_results(task, event)

    def _note_results(self, task: MiniBatch, event: Event) -> None:
        fields = event.fields
        rows = RowsFile(fields["rows"], fields["crc"]) if "rows" in fields else event.content
        self._journal.add(task.index, task.items, fields["results"], rows)

    def _take_results(self, task: MiniBatch, event: Event) -> None:
        fields, member = event.fields, event.member
        missing = self._accounts.succeed(task.index, task.items, fields["results"])
        self._note_results(task, event)
        if missing:
            got = f"a {fields['type']}" if "type" in fields else f"{fields['results']} results"
            what = f"run() returned {got} for {task.items} items"
            self._logs.raised(member.node, member.name, f"{task}: {what}", "")
            self._note_failure(task, member, what, f"{missing} items of {task} failed: {what}.")
        task.release()

    def _take_error(self, task: MiniBatch, event: Event) -> None:
        error = event.fields["error"]
        self._attempt_failed(task, event.member, error["text"], error["trace"])

    def _welcome(self, event: Event) -> None:
        self._starts.succeed(event.member.place)
        self._moved = time.monotonic()
        event.member.enter(State.IDLE)

    def _take_broken(self, event: Event) -> None:
        self._init_failed(event.member, event.fields["error"])

    def _count(self, seconds: float) -> None:
        self._moved = time.monotonic()
        self._slowest = max(self._slowest * _FORGETS, seconds, _LEAST_SECONDS)
        self._quickest = max(min(self._quickest / _FORGETS, seconds), _LEAST_SECONDS)
        self._most = min(1 + int(_AHEAD_SECONDS / self._slowest), _MOST_AHEAD)

    def _attempt_failed(self, task: MiniBatch, member: Member, text: str, trace: str) -> None:
        attempt = self._accounts.attempt(task.index)
        is_again = self._accounts.fail(task.index, task.items)
        fate = "it is tried again" if is_again else "it is given up"
        self._logs.raised(member.node, member.name, f"{task}, attempt {attempt}: {text}", trace)
        self._note_failure(task, member, text, f"{task}, attempt {attempt} in {member.name}: {text}; {fate}", trace)
        if is_again:
            self._again.append(task)
        else:
            self._journal.give_up(task.index, task.items)
            task.release()

    def _mourn(self, event: Event) -> None:
        """Do what is to be done when a worker process is gone."""
        member, blamed = event.member, event.blamed
        if member.state is State.STOPPING and not member.verdict:
            self._logs.died(member.node, member.name, event.died)
            self._logs.say(f"{member.name}: shutdown() did not return: {event.died}; the results stand")
        if member.state in (State.STOPPING, State.LEAVING):
            return
        self._moved = time.monotonic()
        unstarted = [task for task in member.tasks if task is not blamed]
        member.tasks.clear()
        self._again.extendleft(reversed(unstarted))
        self._logs.died(member.node, member.name, event.died)
        if blamed is not None:
            self._attempt_failed(blamed, member, event.died, "")
        elif member.state is State.STARTING and not member.peer.is_lost:
            self._init_failed(member, {"text": event.died, "trace": ""})

    def _init_failed(self, member: Member, error: dict[str, str]) -> None:
        """Note that a worker has not come to its first mini-batch."""
        member.enter(State.LEAVING)  # it ends by itself, or is ended soon, and is not mourned a second time
        self._moved = time.monotonic()
        self._logs.raised(member.node, member.name, f"before the first mini-batch: {error['text']}", error["trace"])
        broken, most = self._starts.fail(member.place)
        self._logs.say(f"{member.name} failed to start ({broken} of {most}): {error['text']}")
        if broken != most:
            return
        reason = f"the entry script could not be started, {most} times in a row: {error['text']}"
        tail = self._logs.tail(member.node, member.name)
        self._no_start = Failure(reason, [*_indented(error["trace"]), *tail])
        if self._crew.size:
            self._logs.say(f"Node {member.node} ({member.place.title}) gets no further process; other nodes go on.")

    def _shut_down(self, event: Event) -> None:
        member, error = event.member, event.fields.get("error")
        if error is not None:
            self._logs.raised(member.node, member.name, f"shutdown(): {error['text']}", error["trace"])
            self._logs.say(f"{member.name}: shutdown() raised {error['text']}; the results stand")
        member.enter(State.LEAVING)

    # ---- failing

    def _note_failure(self, task: MiniBatch, member: Member, text: str, line: str, trace: str = "") -> None:
        self._told += 1
        if self._told <= _MOST_TOLD:
            self._logs.say(line)
        if self._told == _MOST_TOLD:
            self._logs.say("Further failures are in logs/user/error.txt alone.")

        def details() -> list[str]:
            first = f"The last failure was {task}, in {member.name}: {text}"
            return [first, *_indented(trace), *self._logs.tail(member.node, member.name)]

        self._last = details

    def _give_up(self, reason: str, details: list[str]) -> None:
        """Fail, unless that was decided before."""
        self._failure = self._failure or Failure(reason, details)

    def _excess(self) -> Failure | None:
        if self._source.is_over and self._accounts.total is None:
            self._accounts.schedule(self._scheduled)
        reason = self._accounts.excess
        return Failure(reason, self._last()) if reason else None

    # ---- time

    def _tick(self) -> None:
        self._ticked = now = time.monotonic()
        for event in self._crew.deaths():
            self._hear(event)
        self._see_off()
        if not self._crew.members or self._source.is_busy or self._source.is_over or self._has_work():
            self._fed = now
        elif now - self._fed > self._waits.data:
            self._give_up(f"no mini-batch could be made of the data for {self._waits.data:g} seconds", [])
        starting = all(member.state is State.STARTING for member in self._crew.members)
        if starting and self._crew.members and now - self._moved > self._waits.init:
            names = ", ".join(member.name for member in self._crew.members)
            tails = [line for member in self._crew.members for line in self._logs.tail(member.node, member.name)]
            self._give_up(f"init() has not returned in {names} for {self._waits.init:g} seconds", tails)

    def _look(self) -> None:
        """Take in what the source has made, and which nodes there are."""
        trouble = self._source.look() or self._crew.look()
        if trouble:
            self._give_up(trouble, [])
        is_ready = any(member.state in (State.IDLE, State.RUNNING) for member in self._crew.members)
        is_awaited = self._starts.is_proven and self._crew.awaits
        if self._no_start is not None and not is_ready and not self._crew.size and not is_awaited:
            self._failure = self._failure or self._no_start

    def _part(self, ended: list[int]) -> None:
        """Let the workers call shutdown(), which may take as long as run()."""
        for member in [member for member in self._crew.members if member.state is State.STARTING]:
            self._crew.end(member)  # it was not needed any more
        for member in self._crew.members:
            if member.state is State.IDLE:
                self._crew.dismiss(member)
        ends = time.monotonic() + self._crew.timeout
        while not ended and any(m.state is State.LEAVING or time.monotonic() < ends for m in self._crew.members):
            self._crew.look()
            self._see_off()
            for event in self._crew.events(_TICK_SECONDS):
                self._hear(event)
            for event in self._crew.deaths():
                self._hear(event)
        for member in [] if ended else self._crew.members:
            self._logs.say(
                f"{member.name}: shutdown() had not returned after {self._crew.timeout:g} seconds; it was ended"
            )

    def _see_off(self) -> None:
        """End who is kept by threads of the script, which Python waits for; the results are here."""
        latest = time.monotonic() - _LEAVING_SECONDS
        for member in [m for m in self._crew.members if m.state is State.LEAVING and m.since < latest]:
            self._crew.end(member)
            self._logs.say(f"{member.name}: a thread of the entry script kept its process from ending; it was ended")


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
