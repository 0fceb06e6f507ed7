"""RunStop: a sign in the workspace that a step of a run has failed for good, at which the run's other steps stop.

Airflow's own ``fail_fast`` would not do: it marks what has not run as skipped, and a run whose last task is skipped
counts as a success.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from refrain.errors import RefrainError, StepCanceledError
from refrain.execution.engine import Engine
from refrain.storage.state import WorkspaceState
from refrain.tracking.run_id import run_folder

_LOOK_EVERY_SECONDS = 1.0


class RunStop:
    """The sign of one DAG run; it counts until tasks of the run are cleared, or the run is triggered anew.

    :param root_id: the pipeline run's id.
    :param round_: see :func:`round_of`.
    :param task_id: who is asking.
    """

    def __init__(self, state: WorkspaceState, root_id: str, round_: str, task_id: str) -> None:
        self._objects = state.objects
        self._key = f"{run_folder(root_id)}/stopped.json"
        self._root_id = root_id
        self._round = round_
        self._task_id = task_id

    def raise_sign(self) -> None:
        """Tell the other steps that this one has failed for good."""
        sign = {"schema": 1, "task": self._task_id, "round": self._round}
        self._objects.put(self._key, json.dumps(sign).encode(), durable=False)

    @property
    def arguments(self) -> dict[str, Any] | None:
        """What a trigger makes the sign of anew, beside the workspace; None when there never will be one."""
        return {"root_id": self._root_id, "round_": self._round, "task_id": self._task_id}

    def failed_task(self) -> str | None:
        """Return the task that has failed, or None as long as the run goes on."""
        content = self._objects.get(self._key)
        try:
            sign: dict[str, Any] = json.loads(content) if content else {}
        except ValueError:  # it is being written, on a store that shows what is half there
            sign = {}
        return str(sign["task"]) if sign.get("round") == self._round else None

    @contextmanager
    def obeyed_by(self, engine: Engine, *, has_begun: bool = False) -> Iterator[None]:
        """Cancel what the engine runs inside the block as soon as another step has failed, or Airflow's worker is gone.

        A task outlives its killed worker; when Airflow misses its heartbeats and tries again, two would run.

        :param has_begun: whether the step goes on after it was deferred, for the message.
        :raises AirflowFailException: when another step has failed, so that Airflow does not try again.
        """
        self._require_none("was stopped" if has_begun else "was not started")
        is_over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(engine, is_over, os.getppid()), daemon=True)
        watcher.start()
        try:
            yield
        except StepCanceledError:
            self._require_none("was stopped")
            raise
        finally:
            is_over.set()
            watcher.join()

    def _watch(self, engine: Engine, is_over: threading.Event, worker: int) -> None:
        while not is_over.wait(_LOOK_EVERY_SECONDS):
            with suppress(RefrainError):  # the step itself will meet what is wrong with the workspace
                if os.getppid() != worker or self.failed_task() is not None:
                    engine.cancel()
                    return

    def _require_none(self, what: str) -> None:
        failed = self.failed_task()
        if failed is not None:
            raise AirflowFailException(
                f"Task {self._task_id!r} {what}, because {failed!r} has failed. Clear both to run them again; with "
                "continue_on_step_failure=True, steps that do not depend on a failed one go on."
            )


def round_of(dag_run: Any) -> str:
    """Return what tells a DAG run from itself after tasks were cleared, or it was deleted and has its old id again."""
    return f"{dag_run.clear_number or 0} {dag_run.start_date}"


def stop_of(state: WorkspaceState, arguments: Mapping[str, Any] | None) -> RunStop:
    """Return the sign that :attr:`RunStop.arguments` describes."""
    return RunStop(state, **arguments) if arguments else NoStop()


class NoStop(RunStop):
    """For runs that go on: never a sign."""

    def __init__(self) -> None:
        pass

    @property
    def arguments(self) -> dict[str, Any] | None:
        """See :attr:`RunStop.arguments`."""
        return None

    def raise_sign(self) -> None:
        """Tell nobody."""

    def failed_task(self) -> str | None:
        """Return None: whatever fails, the others go on."""
        return None
