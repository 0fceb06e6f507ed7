"""Turn: of several steps that would make the same result at once, one makes it, and the others wait and reuse it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from refrain.errors import BeingMadeError, StepCanceledError
from refrain.execution.lease import Lease, Leases, Watch
from refrain.execution.listener import Listener
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.record import record_key
from refrain.storage.state import WorkspaceState
from refrain.values import dataclass

LOOK_SECONDS = 0.5
REMOTE_LOOK_SECONDS = 2.0

Decide = Callable[[], Decision]


@dataclass(frozen=True)
class Turn:
    """What a step may do now: reuse a result, or make one.

    :param lease: None where nobody else is kept from making the same.
    """

    decision: Decision
    lease: Lease | None = None

    @property
    def is_lost(self) -> bool:
        """Say whether another step run has taken over, so that its result is the one to be kept."""
        return self.lease is not None and not self.lease.is_held()


class Turns:
    """Gives step runs their turns.

    :param is_canceled: ends all waiting.
    :param waits: whether to wait for others in here; else :class:`BeingMadeError` says for whom to wait.
    """

    def __init__(
        self,
        state: WorkspaceState,
        is_canceled: threading.Event,
        listener: Listener,
        *,
        waits: bool = True,
        leases: Leases | None = None,
    ) -> None:
        self._objects = state.objects
        self._leases = leases or Leases(state.objects)
        self._is_canceled = is_canceled
        self._listener = listener
        self._waits = waits
        self._pause = LOOK_SECONDS if state.is_local else REMOTE_LOOK_SECONDS

    @contextlib.contextmanager
    def taken(self, key: str, run_id: str, decision: Decision, decide: Decide, *, expired: str = "") -> Iterator[Turn]:
        """Yield a step's turn, waiting for it if need be; what has to be given back is, at the end of the block.

        A forced step never waits, but others wait for it. One that may not be reused keeps nobody waiting.

        :param decision: what was decided just now.
        :param decide: decides again, after each wait.
        :param expired: who was waited for elsewhere and has died, see :attr:`refrain.execution.lease.Watch.expired`.
        :raises StepCanceledError: when the run was canceled while it waited.
        :raises BeingMadeError: when it would have to wait, and may not do so in here.
        """
        if decision.is_reused or decision.verdict is Verdict.NOT_ALLOWED or not self._leases.is_exclusive:
            yield Turn(decision)
            return
        watch = self._leases.watch(decision.fingerprint, expired=expired)
        lease = self._leases.try_acquire(decision.fingerprint, run_id, watch)
        if lease is None and decision.verdict is not Verdict.FORCED:
            decision, lease = self._awaited(key, run_id, decision.fingerprint, decide, watch)
        if lease is None:
            yield Turn(decision)
            return
        with lease.kept():
            if decision.verdict is not Verdict.FORCED and self._objects.exists(record_key(decision.fingerprint)):
                decision = decide()  # it may have come between the look and the lease
            yield Turn(decision, lease)

    def _awaited(
        self, key: str, run_id: str, fingerprint: str, decide: Decide, watch: Watch
    ) -> tuple[Decision, Lease | None]:
        """Wait until there is a result to reuse, or nobody left who makes it; then it is this step's turn."""
        waiting_for = ""
        while True:
            holder = watch.look()
            if holder is None:
                decision = decide()
                lease = None if decision.is_reused else self._leases.try_acquire(fingerprint, run_id, watch)
                if decision.is_reused or lease is not None:
                    return decision, lease
            elif not self._waits:
                raise BeingMadeError(key, fingerprint, holder.run_id)
            elif holder.run_id != waiting_for:
                waiting_for = holder.run_id
                self._listener.waits(key, waiting_for)
            if self._is_canceled.wait(self._pause):
                raise StepCanceledError(f"Step {key!r} was canceled while it waited for run {waiting_for}.")
