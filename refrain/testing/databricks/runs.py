"""Runs: submitted runs of one task, each a process of this machine."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refrain.testing.databricks.clusters import Clusters
from refrain.testing.databricks.files import Files
from refrain.testing.databricks.refusal import Refusal, invalid
from refrain.testing.databricks.task import Task, TaskEnd, prepared

_Json = dict[str, Any]
_OVER = ("TERMINATED", "INTERNAL_ERROR")


@dataclass
class SubmittedRun:
    """One run. Its state is written by the thread that runs it, and by whoever cancels it, under the lock of all."""

    run_id: int
    task_run_id: int
    request: _Json
    cluster_id: str
    folder: Path
    phase: str = "PENDING"
    end: TaskEnd | None = None
    task: Task | None = None
    started: float = field(default_factory=time.time)
    wanted_end: TaskEnd | None = None

    @property
    def only_task(self) -> _Json:
        """The task of the request."""
        task: _Json = self.request["tasks"][0]
        return task


class Runs:
    """The runs of the workspace."""

    def __init__(self, folder: Path, files: Files, clusters: Clusters, scoped: Mapping[str, Mapping[str, str]]) -> None:
        """Run tasks below *folder*.

        :param scoped: the secrets, by scope and name.
        """
        self._folder, self._files, self._clusters, self._scoped = folder, files, clusters, scoped
        self._runs: dict[int, SubmittedRun] = {}
        self._tokens: dict[str, int] = {}
        # Large and not in a row, as ids of Databricks are.
        self._numbers = itertools.count(100_000 + secrets.randbelow(100_000) * 10, 7)
        self._lock = threading.RLock()
        self._next_end: TaskEnd | None = None
        self.page = ""
        clusters.on_terminated = self._lose

    def all(self) -> list[SubmittedRun]:
        """Return every run, in the order of submission."""
        with self._lock:
            return list(self._runs.values())

    def going_on(self) -> list[SubmittedRun]:
        """Return the runs that are not over."""
        return [run for run in self.all() if run.end is None]

    def end_next(self, end: TaskEnd) -> None:
        """Let the next run that is submitted end in this way, whatever its task does."""
        self._next_end = end

    def submit(self, request: _Json) -> _Json:
        """``runs/submit``: a token that is known leads to its run, whatever is asked for."""
        with self._lock:
            token = request.get("idempotency_token")
            if token in self._tokens:
                known = self._tokens[token]
                if known not in self._runs:
                    raise invalid(f"The run of the idempotency token {token} has been deleted.")
                return {"run_id": known}
            if token is not None and len(token) > 64:
                raise invalid("The idempotency token must have at most 64 characters.")
            run = self._new(request)
            if token is not None:
                self._tokens[token] = run.run_id
        threading.Thread(target=self._carry_out, args=(run,), daemon=True).start()
        return {"run_id": run.run_id}

    def get(self, request: _Json) -> _Json:
        """``runs/get``."""
        run = self._found(request)
        state = self._state(run)
        page = f"{self.page}/?o=1#job/{run.run_id}/run/{run.run_id}"
        task = {"run_id": run.task_run_id, "task_key": run.only_task["task_key"], "attempt_number": 0, **state}
        common = {"run_name": run.request.get("run_name", "Untitled"), "run_page_url": page, **state}
        where = {"cluster_instance": {"cluster_id": run.cluster_id}, "start_time": int(run.started * 1000)}
        return {"run_id": run.run_id, "tasks": [{**run.only_task, **task, **where}], **common, **where}

    def output(self, request: _Json) -> _Json:
        """``runs/get-output``, which wants the id of the task's run."""
        wanted = int(request["run_id"])
        run = next((run for run in self.all() if run.task_run_id == wanted), None)
        if run is None:
            self._found(request)
            raise invalid("Retrieving the output of runs with multiple tasks is not supported. Use the task's run id.")
        found: _Json = {"metadata": {"run_id": run.task_run_id, **self._state(run)}}
        if run.end is not None:
            found |= run.end.output
        return found

    def list(self, request: _Json) -> _Json:  # noqa: ARG002  # all handlers take one
        """``runs/list``."""
        return {"runs": [self.get({"run_id": run.run_id}) for run in reversed(self.all())], "has_more": False}

    def cancel(self, request: _Json) -> _Json:
        """``runs/cancel``: the run ends soon after."""
        self._end_by(self._found(request), TaskEnd("TERMINATED", "CANCELED", "USER_CANCELED", "Run cancelled."))
        return {}

    def delete(self, request: _Json) -> _Json:
        """``runs/delete``."""
        run = self._found(request)
        if run.end is None:
            raise Refusal(400, "INVALID_STATE", f"Run {run.run_id} is active; cancel it first.")
        with self._lock:
            del self._runs[run.run_id]
        return {}

    def stop(self) -> None:
        """End whatever goes on."""
        for run in self.going_on():
            self._end_by(run, TaskEnd("TERMINATED", "CANCELED", "CANCELED", "The server stops."))
        for run in self.all():
            if run.task is not None:
                run.task.wait(5)

    def _new(self, request: _Json) -> SubmittedRun:
        tasks = request.get("tasks") or []
        if len(tasks) != 1 or not tasks[0].get("task_key"):
            raise invalid("This server runs exactly one task, with a task_key.")
        self._clusters.check(tasks[0])
        run_id, task_run_id = next(self._numbers), next(self._numbers)
        folder = self._folder / str(run_id)
        folder.mkdir(parents=True)
        run = SubmittedRun(run_id, task_run_id, request, self._clusters.for_task(tasks[0]), folder)
        run.wanted_end, self._next_end = self._next_end, None
        self._runs[run_id] = run
        return run

    def _carry_out(self, run: SubmittedRun) -> None:
        """Run the task to its end, which is what somebody wanted it to be or what became of it."""
        (run.folder / "secrets.json").write_text(json.dumps(self._scoped))
        cluster = self._clusters.get({"cluster_id": run.cluster_id})
        made = prepared(run.only_task, run.folder, self._files, cluster)
        if isinstance(made, Task):
            with self._lock:
                run.phase, run.task = "RUNNING", made
                if run.wanted_end is None:
                    made.start()
            end = made.end(run.request.get("timeout_seconds") or None)
        else:
            end = made
        with self._lock:
            run.end = run.wanted_end or end
            if run.wanted_end is not None:
                run.end.output.setdefault("logs", end.output.get("logs", ""))
            run.phase = run.end.phase
        texts = [text for scope in self._scoped.values() for text in scope.values()]
        run.end.output = _redacted(run.end.output, texts)
        if "new_cluster" in run.only_task:
            self._clusters.terminate({"cluster_id": run.cluster_id})

    def _end_by(self, run: SubmittedRun, end: TaskEnd) -> None:
        with self._lock:
            if run.end is not None:
                return
            run.wanted_end, run.phase = end, "TERMINATING"
            if run.task is not None:
                run.task.kill()

    def _lose(self, cluster_id: str) -> None:
        for run in self.going_on():
            if run.cluster_id == cluster_id:
                message = f"Cluster {cluster_id} was terminated during the run."
                self._end_by(run, TaskEnd("INTERNAL_ERROR", "FAILED", "CLUSTER_ERROR", message))

    def _state(self, run: SubmittedRun) -> _Json:
        state: _Json = {"life_cycle_state": run.phase, "state_message": ""}
        status: _Json = {"state": run.phase}
        if run.end is not None and run.phase in _OVER:
            state |= {"result_state": run.end.result, "state_message": run.end.message}
            details = {"code": run.end.code, "type": run.end.kind, "message": run.end.message}
            status = {"state": "TERMINATED", "termination_details": details}
        return {"state": state, "status": status}

    def _found(self, request: _Json) -> SubmittedRun:
        with self._lock:
            try:
                return self._runs[int(request["run_id"])]
            except (KeyError, ValueError):
                raise invalid(f"Run {request.get('run_id')} does not exist.") from None


def _redacted(value: Any, texts: list[str]) -> Any:
    """Take secrets out of what was printed, as Databricks does."""
    if isinstance(value, dict):
        return {name: _redacted(item, texts) for name, item in value.items()}
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, "[REDACTED]")
    return value
