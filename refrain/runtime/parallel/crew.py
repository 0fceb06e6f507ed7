"""Crew: the worker processes: who is there, what each has to do, and for how long it has been at it."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from enum import Enum

from refrain.runtime.parallel.peer import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Iterator, List

    from refrain.runtime.parallel.frames import Fields
    from refrain.runtime.parallel.logs import Logs
    from refrain.runtime.parallel.mini_batch import MiniBatch

_WORKER = "refrain.runtime.parallel.worker"


class State(Enum):
    """What a worker process is doing."""

    STARTING = "starting"  # it loads the script, or is in init()
    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"  # it is in shutdown()
    LEAVING = "leaving"  # shutdown() has returned; only what the script has started can keep it


class Member:
    """One worker process. ``tasks`` are the mini-batches that it has; it runs the first of them."""

    def __init__(self, number: int, node: str, peer: Peer) -> None:
        self.name = f"process{number:03}"
        self.node = node
        self.peer = peer
        self.state = State.STARTING
        self.since = time.monotonic()
        self.tasks: Deque[MiniBatch] = deque()
        self.is_watched_for_room = False

    def give(self, task: MiniBatch, attempt: int) -> None:
        """Let the worker run a mini-batch after those that it has."""
        if self.state is State.IDLE:
            self.enter(State.RUNNING)
        self.tasks.append(task)
        self.peer.put({"do": "run", "batch": task.index, "try": attempt, "items": task.items, **task.fields})

    def take(self) -> MiniBatch:
        """Take back the mini-batch that it has run; it goes on with the next at once."""
        task = self.tasks.popleft()
        self.enter(State.RUNNING if self.tasks else State.IDLE)
        return task

    def enter(self, state: State) -> None:
        """Note that something begins now."""
        self.state, self.since = state, time.monotonic()


class Event:
    """What a worker said, or that it is gone.

    :param died: how it ended, in words; empty as long as it lives.
    :param blamed: the mini-batch that it was running then.
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
    :param timeout: how many seconds one call of run() may take.
    """

    def __init__(self, start: Fields, nodes: int, timeout: float, logs: Logs) -> None:
        self._start = {**start, "dispatcher": os.getpid(), "logs": logs.folder}
        self._nodes = nodes
        self.timeout = timeout
        self._logs = logs
        self._selector = selectors.DefaultSelector()
        self._number = 0
        self.members: List[Member] = []

    def watch(self, peer: Peer) -> None:
        """Wake :meth:`events` when another process says something."""
        self._selector.register(peer, selectors.EVENT_READ, None)

    def forget(self, peer: Peer) -> None:
        """Take :meth:`watch` back."""
        self._selector.unregister(peer)

    def hire(self) -> Member:
        """Start a worker process; it is given a name that none has had."""
        number, node = self._number, f"{self._number % self._nodes:03}"
        self._number += 1
        name = f"process{number:03}"
        stdout, stderr = self._logs.streams(node, name)
        with stdout, stderr:
            member = Member(number, node, Peer(_WORKER, name, stdout, stderr))
        member.peer.send({"do": "start", "name": name, "node": node, **self._start})
        self._selector.register(member.peer, selectors.EVENT_READ, member)
        self.members.append(member)
        self._logs.note(f"{name} started")
        return member

    def events(self, seconds: float) -> Iterator[Event]:
        """Wait at most so long, and yield what workers said in the meantime."""
        for key, mask in self._selector.select(seconds):
            member = key.data
            if member is None:
                continue
            if mask & selectors.EVENT_WRITE:
                member.peer.flush()
            if mask & selectors.EVENT_READ:
                yield from self._received(member)

    def deaths(self) -> Iterator[Event]:
        """End who has taken too long, and yield the events of those who are gone, with what they said last."""
        now = time.monotonic()
        for member in list(self.members):
            self._logs.bound(member.node, member.name)
            if member.state is State.RUNNING and now - member.since > self.timeout:
                yield from self._ended_late(member)
            elif not member.peer.is_open or member.peer.ending is not None:
                yield from self._buried(member)

    def look_after(self) -> None:
        """Wait for room to write where something could not be sent at once."""
        for member in self.members:
            if member.peer.has_unsent != member.is_watched_for_room and member.peer.is_open:
                member.is_watched_for_room = member.peer.has_unsent
                room = selectors.EVENT_WRITE if member.is_watched_for_room else 0
                self._selector.modify(member.peer, selectors.EVENT_READ | room, member)

    def dismiss(self, member: Member) -> None:
        """Let a worker that has nothing to do call shutdown() and end."""
        member.enter(State.STOPPING)
        member.peer.send({"do": "stop"})

    def end(self, member: Member) -> list[tuple[Fields, bytes]]:
        """End a process at once; return what it had said."""
        self._selector.unregister(member.peer)
        self.members.remove(member)
        return member.peer.end()

    def end_all(self) -> None:
        """End all processes at once."""
        for member in list(self.members):
            self.end(member)

    def _received(self, member: Member) -> Iterator[Event]:
        for fields, content in member.peer.receive():
            yield Event(member, fields, content)
        if not member.peer.is_open:
            yield from self._buried(member)

    def _buried(self, member: Member) -> Iterator[Event]:
        """Yield the events of a worker that ended by itself."""
        for fields, content in self.end(member):
            yield Event(member, fields, content)
        blamed = member.tasks[0] if member.state is State.RUNNING else None
        yield Event(
            member, {"is": "gone"}, died=member.peer.ending or "its process closed its connection", blamed=blamed
        )

    def _ended_late(self, member: Member) -> Iterator[Event]:
        """End a worker whose run() takes too long; what it said last may have been the result."""
        blamed = member.tasks[0]
        for fields, content in self.end(member):
            yield Event(member, fields, content)
        is_blamed = bool(member.tasks) and member.tasks[0] is blamed
        how = f"run() had not returned after {self.timeout:g} seconds"
        yield Event(member, {"is": "gone"}, died=how, blamed=blamed if is_blamed else None)
