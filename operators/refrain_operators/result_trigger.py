"""ResultTrigger: waits, in Airflow's triggerer and without a worker's slot, while another run makes a result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from refrain.errors import RefrainError
from refrain.execution.lease import Leases, Watch
from refrain_operators.connections import workspace_state
from refrain_operators.run_stop import stop_of

_LOOK_EVERY_SECONDS = 2.0
_UNREACHABLE_SECONDS = 30.0

log = logging.getLogger(__name__)


class ResultTrigger(BaseTrigger):
    """Fires when nobody makes the result any more: it is there, or whoever made it has failed.

    It also fires when another step stops the run of the task that waits.

    Its event is the holder that has died on another machine, which only who has looked for a while can know; see
    :attr:`refrain.execution.lease.Watch.expired`. It is empty when the wait has ended in another way.

    Where the triggerer cannot read the workspace, it fires after half a minute, and the task looks for itself.

    :param workspace: the workspace's root.
    :param fingerprint: of the result.
    :param stop: what :attr:`RunStop.arguments` gives; None when nobody stops the run.
    """

    def __init__(self, workspace: str, fingerprint: str, stop: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.workspace = workspace
        self.fingerprint = fingerprint
        self.stop = stop
        self._watch: Watch | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the trigger is made of anew, in another process."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"workspace": self.workspace, "fingerprint": self.fingerprint, "stop": self.stop}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event."""
        try:
            while await asyncio.to_thread(self._goes_on):  # noqa: ASYNC110  # another process ends it
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        except RefrainError as error:
            log.warning("The workspace %s cannot be read here: %s", self.workspace, error)
            await asyncio.sleep(_UNREACHABLE_SECONDS)
        yield TriggerEvent(self._watch.expired if self._watch else "")

    def _goes_on(self) -> bool:
        state = workspace_state(self.workspace)
        if self._watch is None:
            self._watch = Leases(state.objects).watch(self.fingerprint)
        return self._watch.look() is not None and stop_of(state, self.stop).failed_task() is None
