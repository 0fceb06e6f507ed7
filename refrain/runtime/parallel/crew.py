"""Crew: the worker processes: who is there, what each has to do, and for how long it has been at it."""

from __future__ import annotations

import time
from collections import deque
from enum import Enum
from functools import partial

from refrain.runtime.parallel.switchboard import Switchboard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Dict, Iterable, Iterator

    from refrain.runtime.parallel.frames import Fields, Frame
    from refrain.runtime.parallel.logs import Logs
    from refrain.runtime.parallel.mini_batch import MiniBatch
    from refrain.runtime.parallel.nodes.node import Node
    from refrain.runtime.parallel.places import Place, Places, WorkerPeer
    from refrain.runtime.parallel.stream import Stream


class State(Enum):
    """What a worker process is doing."""

    STARTING = "starting"  # it loads the script, or is in init()
    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"  # it is in shutdown()
    LEAVING = "leaving"  # shutdown() has returned; only what the script has started can keep it


class Member:
    """One worker process. ``tasks`` are the mini-batches that it has; it runs the first of them."""

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self.place = place
        self.node = place.name
        self.peer: WorkerPeer = place.start(name)
        self.state = State.STARTING
        self.since = time.monotonic()
        self.tasks: Deque[MiniBatch] = deque()
        self.verdict = ""
        """Why it is being ended."""
        self.convicted: MiniBatch | None = None
        """The mini-batch for which it is being ended."""

    def give(self, task: MiniBatch, attempt: int) -> None:
        """Let the worker run a mini-batch after those that it has."""
        if self.state is State.IDLE:
            self.enter(State.RUNNING)
        self.tasks.append(task)
        fields = {"do": "run", "batch": task.index, "try": attempt, "items": task.items, **task.fields}
        self.peer.put(fields, task.content)

    def take(self, batch: int) -> MiniBatch:
        """Take back the mini-batch that it has run; it goes on with the next at once.

        :raises RuntimeError: for another one than it is at: its results must not count for that one.
        """
        if not self.tasks or self.tasks[0].index != batch:
            raise RuntimeError(f"{self.name} answers for mini-batch {batch}, which it is not at.")
        task = self.tasks.popleft()
        self.enter(State.RUNNING if self.tasks else State.IDLE)
        return task

    @property
    def culprit(self) -> MiniBatch | None:
        """The mini-batch that is to blame if it is gone now; none when its machine is gone."""
        running = self.tasks[0] if self.state is State.RUNNING else None
        if self.convicted is not None:
            return running if running is self.convicted else None
        return None if self.peer.is_lost else running

    def enter(self, state: State) -> None:
        """Note that something begins now."""
        self.state, self.since = state, time.monotonic()


class Event:
    """What a worker said, or that it is gone.

    :param died: how it ended, in words; empty as long as it lives.
    :param blamed: the mini-batch that ended it.
    """

    __slots__ = ("blamed", "content", "died", "fields", "member")

    def __init__(
        self, member: Member, fields: Fields, content: bytes = b"", died: str = "", blamed: MiniBatch | None = None
    ) -> None:
        self.member = member
        self.fields = fields
        self.content = content
        self.died = died
        self.blamed = blamed


class Crew:
    """All workers.

    :param start: what each is told first, but for its own name.
    :param places: where they are.
    :param timeout: how many seconds one call of run() may take.
    """

    def __init__(self, start: Fields, places: Places, timeout: float, logs: Logs) -> None:
        self._start = {**start, "logs": logs.folder}
        self._places = places
        self.timeout = timeout
        self._logs = logs
        self._switchboard = Switchboard()
        self._number = 0
        self._members: Dict[str, Member] = {}

    @property
    def members(self) -> list[Member]:
        """Who is there."""
        return list(self._members.values())

    @property
    def nodes(self) -> list[Place]:
        """The nodes that are there."""
        return list(self._places.now)

    @property
    def size(self) -> int:
        """How many workers there may be now."""
        return sum(place.size for place in self._places.now)

    @property
    def has_room(self) -> bool:
        """Say whether there may be more workers than there are."""
        return any(place.taken < place.size for place in self._places.now)

    @property
    def awaits(self) -> bool:
        """Whether another node may come."""
        return self._places.awaits

    def gather(self) -> None:
        """See that there are nodes."""
        self._places.open(self)

    def look(self) -> str:
        """Take in which nodes have come and gone; return why there are none and will be none, or an empty text."""
        return self._places.look()

    def watch(self, stream: Stream) -> None:
        """Wake :meth:`events` when somebody who is no worker says something."""
        self._switchboard.add(stream, _nothing)

    def forget(self, stream: Stream) -> None:
        """Take :meth:`watch` or :meth:`join` back."""
        self._switchboard.remove(stream)

    def join(self, node: Node) -> None:
        """Hear what the workers of a node say."""
        self._switchboard.add(node.stream, partial(self._relayed, node))

    def hire(self) -> None:
        """Start a worker process where most room is; it is given a name that none has had."""
        place = max(self._places.now, key=lambda place: place.size - place.taken)
        member = Member(f"process{self._number:03}", place)
        self._number += 1
        place.taken += 1
        member.peer.send({"do": "start", "name": member.name, "node": member.node, **self._start})
        if member.peer.own_stream is not None:
            self._switchboard.add(member.peer.own_stream, partial(self._received, member))
        self._members[member.name] = member
        self._logs.note(f"{member.name} started")

    def events(self, seconds: float) -> Iterator[Event]:
        """Wait at most so long, and yield what workers said in the meantime."""
        for hear in self._switchboard.heard(seconds):
            yield from hear()

    def deaths(self) -> Iterator[Event]:
        """End who has taken too long, and yield the events of those who are gone, with what they said last."""
        now = time.monotonic()
        for member in self.members:
            self._logs.bound(member.node, member.name)
            if member.state is State.RUNNING and now - member.since > self.timeout and not member.verdict:
                member.verdict = f"run() had not returned after {self.timeout:g} seconds"
                member.convicted = member.tasks[0]
                member.peer.kill()
            if member.peer.is_gone:
                yield from self._buried(member)

    def dismiss(self, member: Member) -> None:
        """Let a worker that has nothing to do call shutdown() and end."""
        member.enter(State.STOPPING)
        member.peer.send({"do": "stop"})

    def end(self, member: Member) -> list[Frame]:
        """End a process at once; return what it had said."""
        if member.peer.own_stream is not None:
            self._switchboard.remove(member.peer.own_stream)
        del self._members[member.name]
        member.place.taken -= 1
        return member.peer.end()

    def end_all(self) -> None:
        """End all processes at once, and give up their nodes."""
        for member in self.members:
            self.end(member)
        self._places.close()

    def _relayed(self, node: Node) -> Iterator[Event]:
        """Yield what the workers of another machine have said."""
        for name in node.receive():
            member = self._members.get(name)  # it may have been ended, and have spoken before it knew
            if member is not None:
                yield from self._received(member)

    def _received(self, member: Member) -> Iterator[Event]:
        for fields, content in member.peer.receive():
            yield Event(member, fields, content)
        if not member.peer.is_open:
            yield from self._buried(member)

    def _buried(self, member: Member) -> Iterator[Event]:
        """Yield the events of a worker that has ended; what it said last may have been the result."""
        for fields, content in self.end(member):
            yield Event(member, fields, content)
        how = member.verdict or member.peer.ending or "its process closed its connection"
        yield Event(member, {"is": "gone"}, died=how, blamed=member.culprit)


def _nothing() -> Iterable[Event]:
    return ()
