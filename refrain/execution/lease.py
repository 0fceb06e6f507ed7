"""Lease: the right to make the result with a fingerprint, held by one step run at a time, on whichever machine.

::

    <root>/leases/<ab>/<fingerprint>/<number>    who holds it, a count of heartbeats, whether it was given back

Whoever creates the next number holds the lease: creation is refused to all but one, and the number is the fencing
token, which only grows. The holder writes its own object anew every few seconds. Who waits takes over when the object
has not changed for as long as its holder promised, by the clock of the one who waits: no two machines' clocks are ever
compared, and no clock that can be set is read. On one machine a dead process is noticed at once.

The lease saves work and does not guard truth: equal fingerprints have results that may stand for each other, so that
two holders at once, as after a long pause of one, waste time and nothing else. The one whose number has been passed
finds that out before it stores its result, and does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from refrain.compute.processes import is_alive, machine, start_mark
from refrain.errors import UserError, WorkspaceError
from refrain.storage.objects import ObjectStore
from refrain.storage.state import WorkspaceState
from refrain.values import dataclass

SCHEMA = 1
VARIABLE = "REFRAIN_LEASE_SECONDS"
DEFAULT_SECONDS = 30.0
_BEATS_PER_LEASE = 6
_ROOT = "leases"

Clock = Callable[[], float]

_watches: dict[tuple[str, str], Watch] = {}
_watches_lock = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Whoever holds a lease, as its object tells.

    :param number: the fencing token, which no later holder shares.
    :param nonce: a random word that tells this holder from all others.
    :param machine: the host and the process name space that *process* counts in.
    :param seconds: after how long without a heartbeat the lease may be taken over.
    """

    number: int
    nonce: str = ""
    run_id: str = ""
    machine: str = ""
    process: int = 0
    started: str = ""
    beat: int = 0
    seconds: float = DEFAULT_SECONDS
    is_released: bool = False

    @property
    def is_dead(self) -> bool:
        """Say whether this machine knows that the holder's process is gone."""
        return self.machine == machine() and not is_alive(self.process, self.started)

    @property
    def sign(self) -> str:
        """The holder and its latest sign of life, as text that no other holder and no later sign shares."""
        return f"{self.number}.{self.nonce}.{self.beat}"

    def to_bytes(self) -> bytes:
        """Return what is stored; the number is in the object's name."""
        document = {name: value for name, value in vars(self).items() if name != "number"}
        return json.dumps({"schema": SCHEMA, **document}).encode()


class Leases:
    """The ``leases/`` part of a workspace."""

    def __init__(self, objects: ObjectStore, seconds: float | None = None) -> None:
        """Keep everything in *objects*.

        :param seconds: after how long without a sign of life a lease may be taken over; None means
            ``REFRAIN_LEASE_SECONDS``, or 30.
        :raises UserError: when the variable is no number above 0.
        """
        self._objects = objects
        self._seconds = lease_seconds() if seconds is None else seconds

    @property
    def is_exclusive(self) -> bool:
        """Say whether the store can keep two holders apart; without it nobody waits, and both work."""
        return self._objects.is_conditional

    def holder(self, fingerprint: str) -> Holder | None:
        """Return the latest holder, even one that has given the lease back; None when there never was one."""
        numbers = [int(name) for name in self._objects.names(_folder(fingerprint)) if name.isdigit()]
        if not numbers:
            return None
        number = max(numbers)
        content = self._objects.get(f"{_folder(fingerprint)}/{number}")
        return _parse(content or b"", number)

    def watch(self, fingerprint: str, clock: Clock = time.monotonic, *, expired: str = "") -> Watch:
        """Return what tells when the present holder has ended, in whatever way.

        :param expired: what another watch has seen, see :attr:`Watch.expired`.
        """
        return Watch(self, fingerprint, clock, expired)

    def try_acquire(self, fingerprint: str, run_id: str, watch: Watch | None = None) -> Lease | None:
        """Return the lease if nobody holds it, None if somebody does; never waits.

        :param run_id: of the step run that will make the result.
        :param watch: has looked at the holder for a while, and may know that it has died.
        """
        last = self.holder(fingerprint)
        if last is not None and not (watch or self.watch(fingerprint)).is_free(last):
            return None
        own = Holder(
            number=last.number + 1 if last is not None else 1,
            nonce=os.urandom(16).hex(),
            run_id=run_id,
            machine=machine(),
            process=os.getpid(),
            started=start_mark(os.getpid()),
            seconds=self._seconds,
        )
        key = f"{_folder(fingerprint)}/{own.number}"
        if not self._objects.create(key, own.to_bytes(), durable=False):  # no process outlives a loss of power
            return None
        return Lease(self._objects, fingerprint, own)


class Watch:
    """Looks at a lease now and then; a look is one listing and one small read.

    :ivar expired: the latest sign of the holder that was seen to give no other for too long, for whoever looks on in
        another process; empty as long as there is none.
    """

    def __init__(self, leases: Leases, fingerprint: str, clock: Clock = time.monotonic, expired: str = "") -> None:
        """Count time by *clock* from the first look on."""
        self.expired = expired
        self._leases = leases
        self._fingerprint = fingerprint
        self._clock = clock
        self._seen: Holder | None = None
        self._since = 0.0

    def look(self) -> Holder | None:
        """Return who holds the lease now; None when it is free."""
        holder = self._leases.holder(self._fingerprint)
        return None if holder is None or self.is_free(holder) else holder

    def is_free(self, holder: Holder) -> bool:
        """Say whether a lease may be taken from its latest holder."""
        if holder.is_released or holder.is_dead or holder.sign == self.expired:
            return True
        now = self._clock()
        if holder != self._seen:
            self._seen, self._since = holder, now
        if now - self._since < holder.seconds:
            return False
        self.expired = holder.sign
        return True


class Lease:
    """A lease that is held."""

    def __init__(self, objects: ObjectStore, fingerprint: str, holder: Holder) -> None:
        """Hold the lease that *holder* has just created."""
        self._objects = objects
        self._folder = _folder(fingerprint)
        self._holder = holder
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    @property
    def number(self) -> int:
        """The fencing token."""
        return self._holder.number

    def is_held(self) -> bool:
        """Say whether nobody has taken the lease over."""
        numbers = [int(name) for name in self._objects.names(self._folder) if name.isdigit()]
        if max(numbers, default=0) != self.number:
            return False
        stored = _parse(self._objects.get(self._key) or b"", self.number)
        return stored.nonce == self._holder.nonce and not stored.is_released

    def heartbeat(self) -> bool:
        """Give a sign of life; False when the lease has been taken over."""
        with self._lock:
            if self._is_over.is_set() or not self.is_held():
                return False
            self._holder = replace(self._holder, beat=self._holder.beat + 1)
            self._objects.put(self._key, self._holder.to_bytes(), durable=False)
            return True

    def release(self) -> None:
        """Give the lease back, so that whoever waits need not wait longer; one that was lost is left alone."""
        with self._lock:
            self._is_over.set()
            if not self.is_held():
                return
            self._holder = replace(self._holder, is_released=True)
            self._objects.put(self._key, self._holder.to_bytes(), durable=False)
            for name in self._objects.names(self._folder):
                if name.isdigit() and int(name) < self.number:  # the highest stays, so that numbers only grow
                    self._objects.delete(f"{self._folder}/{name}")

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Give signs of life while the block runs, and give the lease back at its end, however that comes."""
        beating = threading.Thread(target=self._beat, name="lease", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._is_over.set()
            beating.join()
            with contextlib.suppress(WorkspaceError):  # it then ends by itself
                self.release()

    @property
    def _key(self) -> str:
        return f"{self._folder}/{self.number}"

    def _beat(self) -> None:
        while not self._is_over.wait(self._holder.seconds / _BEATS_PER_LEASE):
            with contextlib.suppress(WorkspaceError):  # a store that cannot be reached for a moment
                if not self.heartbeat():
                    return


def is_being_made(state: WorkspaceState, fingerprint: str) -> bool:
    """Say whether some step run is making the result with a fingerprint right now; meant to be asked again and again.

    A holder on another machine that has died is found out by asking for longer than its lease, in one process.
    """
    key = str(state.address), fingerprint
    with _watches_lock:
        watch = _watches.setdefault(key, Leases(state.objects).watch(fingerprint))
    is_held = watch.look() is not None
    if not is_held:
        with _watches_lock:
            _watches.pop(key, None)
    return is_held


def lease_seconds() -> float:
    """Return after how long without a sign of life a lease of this process may be taken over.

    :raises UserError: when ``REFRAIN_LEASE_SECONDS`` is no number above 0.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return DEFAULT_SECONDS
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise UserError(f"{VARIABLE}={text!r} is no number of seconds above 0; write one such as {DEFAULT_SECONDS:.0f}.")


def _folder(fingerprint: str) -> str:
    return f"{_ROOT}/{fingerprint[:2]}/{fingerprint}"


def _parse(content: bytes, number: int) -> Holder:
    """Read a holder; one that cannot be read holds the lease as long as its object changes."""
    try:
        document: dict[str, Any] = json.loads(content)
        if document.pop("schema") > SCHEMA:
            return Holder(number, nonce=content.hex())
        return Holder(number, **{**document, "seconds": float(document["seconds"])})
    except (AttributeError, ValueError, KeyError, TypeError):
        return Holder(number, nonce=content.hex())
