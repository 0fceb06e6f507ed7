"""Origin: the task that made a reused result, as a button on the pages of the task that reused it and in its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from airflow.sdk.bases.operatorlink import BaseOperatorLink

from refrain.errors import RefrainError
from refrain.tracking.record import RunStore


class ReusedFrom(BaseOperatorLink):
    """A button on the page of a reused task, leading to the task that made the result."""

    name = "Reused from"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow calls it so
        """Return the address of the original task, or an empty text."""
        return str(getattr(operator, "origin_address", ""))


@dataclass(frozen=True)
class Origin:
    """A task of a DAG run. ``map_index`` is -1 for a task that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, run_id: str | None, runs: RunStore) -> Origin | None:
        """Return the task that made a step run; None when it is unknown or no task did, but ``refrain run``."""
        try:
            origin = runs.get(run_id).origin if run_id else {}
        except RefrainError:
            return None
        if origin.get("kind") != "airflow":
            return None
        index = origin.get("map_index", -1)
        return cls(origin["dag_id"], origin["run_id"], origin["task_id"], -1 if index is None else index)

    def __str__(self) -> str:
        """Say which task it is, in words."""
        mapped = "" if self.map_index < 0 else f" ({self.map_index})"
        return f"task {self.task_id}{mapped} in run {self.run_id} of DAG {self.dag_id}"

    @property
    def path(self) -> str:
        """The task's page, from the root of Airflow's pages."""
        mapped = "" if self.map_index < 0 else f"/mapped/{self.map_index}"
        return f"/dags/{_part(self.dag_id)}/runs/{_part(self.run_id)}/tasks/{_part(self.task_id)}{mapped}"

    def address(self, base_url: str) -> str:
        """Return the address for a link on Airflow's own pages, by whatever host name the reader got there.

        :param base_url: Airflow's setting ``[api] base_url``; its path matters where a proxy serves Airflow below one.
        """
        return urlsplit(base_url).path.rstrip("/") + self.path


def _part(text: str) -> str:
    return quote(text, safe="")
