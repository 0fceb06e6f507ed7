"""Airflow's REST API for programs: trigger a DAG, follow its run, read logs and XComs; standard library only.

From the trigger to the end:

    client = AirflowClient("http://127.0.0.1:8080", username="admin", password=password)
    client.wait_for_dag("retrain")
    client.unpause("retrain")
    run = client.trigger("retrain", conf={"alpha": 0.5})
    client.wait_for_run("retrain", run["dag_run_id"])["state"]
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from refrain.errors import AirflowRequestError, DagImportError
from refrain_operators.http_channel import HttpChannel

_API = "/api/v2"
_PAGE = 100
_PAUSE = 0.25
_SOURCES, _END_OF_GROUP = "::group::Log message source details", "::endgroup::"
_FINAL = frozenset({"success", "failed"})

Json = dict[str, Any]


class AirflowClient:
    """A client of one Airflow; the user's rights are those of the given name or token.

    Every method raises `AirflowRequestError` with the method, the path, the status and the server's words if Airflow
    refuses, and `AirflowUnreachableError` if nobody answers. Objects are returned as the API describes them.

    :param base_url: such as ``http://127.0.0.1:8080``.
    :param token: instead of a name and a password; is not renewed when it expires.
    :param timeout: seconds for one request.
    """

    def __init__(
        self,
        base_url: str,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._channel = HttpChannel(base_url, username=username, password=password, token=token, timeout=timeout)

    def __repr__(self) -> str:
        return f"AirflowClient({self._channel.base_url!r}, {self._channel.username!r})"

    def health(self) -> Json:
        """What Airflow says of its database and components; needs no sign-in."""
        return self._json("GET", "/monitor/health", is_public=True)

    # ---- DAGs

    def dags(self) -> list[Json]:
        """Every DAG that the user may see, by name."""
        return list(self._pages("/dags", "dags", order_by="dag_id"))

    def dag(self, dag_id: str) -> Json:
        """One DAG."""
        return self._json("GET", f"/dags/{_part(dag_id)}")

    def unpause(self, dag_id: str) -> Json:
        """Let the runs of a DAG proceed; new DAGs are paused."""
        return self._json("PATCH", f"/dags/{_part(dag_id)}", {"is_paused": False})

    def import_errors(self) -> list[Json]:
        """The DAG files that Airflow cannot import, with their tracebacks."""
        return list(self._pages("/importErrors", "import_errors", order_by="import_error_id"))

    def reparse(self, dag_id: str) -> None:
        """Ask Airflow to read a DAG's file again soon; does not wait for it."""
        token = self.dag(dag_id)["file_token"]
        self._json("PUT", f"/parseDagFile/{_part(token)}")

    def wait_for_dag(self, dag_id: str, timeout: float = 60.0, filename: str | None = None) -> Json:
        """Wait until Airflow has read the DAG from its file as the file is now.

        A DAG that Airflow knows already is read once more, so a change of its file counts when this returns.

        :param filename: its file, relative to the DAG folder; ``None`` takes the file of which Airflow knows it, or one
            named like the DAG.
        :raises DagImportError: if that file cannot be imported, or time is up; with the traceback.
        """
        deadline = time.monotonic() + timeout
        before = self._find_dag(dag_id)
        if before:
            self.reparse(dag_id)
        while time.monotonic() < deadline:
            found = self._find_dag(dag_id)
            is_new = not before or (found and found["last_parsed_time"] != before["last_parsed_time"])
            self._raise_import_error(dag_id, filename or (before or {}).get("relative_fileloc"))
            if found and is_new:
                return found
            time.sleep(_PAUSE)
        errors = "\n".join(_described(error) for error in self.import_errors()) or "No DAG file has an import error."
        raise DagImportError(
            f"Airflow has not read the DAG '{dag_id}' within {timeout:g} s. Is its file in the DAG folder? {errors}"
        )

    def _find_dag(self, dag_id: str) -> Json | None:
        try:
            found = self.dag(dag_id)
        except AirflowRequestError as error:
            if error.status == 404:
                return None
            raise
        return None if found["is_stale"] else found

    def _raise_import_error(self, dag_id: str, filename: str | None) -> None:
        for error in self.import_errors():
            path = PurePosixPath(error["filename"])
            if (filename and str(path).endswith(filename)) or (not filename and path.stem == dag_id):
                raise DagImportError(f"Airflow cannot import the file of the DAG '{dag_id}'. {_described(error)}")

    # ---- runs of a DAG

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        logical_date: datetime | None = None,
    ) -> Json:
        """Start a run of a DAG; returns it, its id under ``dag_run_id``.

        :param logical_date: with a time zone; ``None`` gives the run no place on the calendar.
        """
        body = {
            "conf": dict(conf or {}),
            "dag_run_id": run_id,
            "logical_date": logical_date.isoformat() if logical_date else None,
        }
        return self._json("POST", f"/dags/{_part(dag_id)}/dagRuns", body)

    def dag_runs(self, dag_id: str) -> list[Json]:
        """Every run of a DAG, newest first."""
        return list(self._pages(f"/dags/{_part(dag_id)}/dagRuns", "dag_runs", order_by="-run_after"))

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """One run."""
        return self._json("GET", _run_path(dag_id, run_id))

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300.0) -> Json:
        """Wait until a run ended; returns it, whether it succeeded or not.

        :raises TimeoutError: with the state of each task, if time is up.
        """
        deadline = time.monotonic() + timeout
        while (run := self.dag_run(dag_id, run_id))["state"] not in _FINAL:
            if time.monotonic() > deadline:
                tasks = ", ".join(f"{task['task_id']} {task['state']}" for task in self.task_instances(dag_id, run_id))
                raise TimeoutError(
                    f"Run '{run_id}' of the DAG '{dag_id}' is still {run['state']} after {timeout:g} s ({tasks}). "
                    "Is the DAG paused? Read the log of the task that hangs, or wait longer with timeout=."
                )
            time.sleep(_PAUSE)
        return run

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> Json:
        """Mark a run.

        :param state: ``success``, ``failed`` or ``queued``; the first two also end its tasks.
        """
        return self._json("PATCH", _run_path(dag_id, run_id), {"state": state})

    def cancel(self, dag_id: str, run_id: str) -> Json:
        """Stop a run: it is marked as failed and its tasks are ended."""
        return self.set_run_state(dag_id, run_id, "failed")

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete what Airflow remembers of a run that has ended."""
        self._json("DELETE", _run_path(dag_id, run_id))

    # ---- tasks of a run

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Every task of a run; a mapped task once for each index."""
        return list(self._pages(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances", order_by="id"))

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Json:
        """One task of a run."""
        return self._json("GET", _task_path(dag_id, run_id, task_id) + (f"/{map_index}" if map_index >= 0 else ""))

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int | None = None, map_index: int = -1
    ) -> list[str]:
        """The lines of a task's log, tracebacks included; without the list of the places where Airflow looked for it.

        :param try_number: the first is 1; ``None`` means the latest.
        """
        number = try_number or self.task_instance(dag_id, run_id, task_id, map_index)["try_number"]
        path = f"{_task_path(dag_id, run_id, task_id)}/logs/{number}"
        page = self._json("GET", path, query={"map_index": map_index, "full_content": "true"})
        return _without_sources([line for entry in page["content"] for line in _log_lines(entry)])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value that a task left under a key, as JSON holds it."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{_part(key)}"
        return self._json("GET", path, query={"map_index": map_index, "deserialize": "true"})["value"]

    def clear_task_instances(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str | tuple[str, int]] | None = None,
        *,
        is_downstream_included: bool = False,
        is_failed_only: bool = False,
    ) -> list[Json]:
        """Let tasks of a run run again, and the run with them; returns the tasks.

        :param task_ids: names, or pairs of a name and a map index; ``None`` means all.
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": None if task_ids is None else list(task_ids),
            "include_downstream": is_downstream_included,
            "only_failed": is_failed_only,
        }
        found: list[Json] = self._json("POST", f"/dags/{_part(dag_id)}/clearTaskInstances", body)["task_instances"]
        return found

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> list[Json]:
        """Mark a task; returns the tasks that changed.

        :param state: ``success``, ``failed`` or ``skipped``.
        """
        path = _task_path(dag_id, run_id, task_id) + (f"/{map_index}" if map_index >= 0 else "")
        found: list[Json] = self._json("PATCH", path, {"new_state": state})["task_instances"]
        return found

    # ---- requests

    def _json(
        self, method: str, path: str, body: Json | None = None, query: Json | None = None, *, is_public: bool = False
    ) -> Json:
        answer = self._channel.request(method, _API + path, body=body, query=query, is_public=is_public)
        return answer if isinstance(answer, dict) else {}

    def _pages(self, path: str, key: str, order_by: str) -> Iterator[Json]:
        """Every entry of a list; ordered, so that no page repeats or leaves out one."""
        offset = 0
        while True:
            page = self._json("GET", path, query={"limit": _PAGE, "offset": offset, "order_by": order_by})
            yield from page[key]
            offset += len(page[key])
            if not page[key] or offset >= page["total_entries"]:
                return


def _part(name: str) -> str:
    return quote(name, safe="")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_part(dag_id)}/dagRuns/{_part(run_id)}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{_part(task_id)}"


def _described(error: Json) -> str:
    return f"{error['filename']}:\n{error['stack_trace'].rstrip()}"


def _without_sources(lines: list[str]) -> list[str]:
    if lines and lines[0].startswith(_SOURCES) and _END_OF_GROUP in lines:
        return lines[lines.index(_END_OF_GROUP) + 1 :]
    return lines


def _log_lines(entry: Json | str) -> Iterator[str]:
    """One entry of a log as text: its message, then each exception it carries with where it was raised."""
    if isinstance(entry, str):
        yield from entry.splitlines()
        return
    yield from str(entry.get("event", "")).splitlines() or [""]
    for error in entry.get("error_detail") or ():
        for frame in error.get("frames") or ():
            yield f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}'
        yield f"{error.get('exc_type')}: {error.get('exc_value')}"
