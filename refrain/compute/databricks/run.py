"""DatabricksRun: how far a run in Databricks is, and how it ended, as the Jobs API tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_OVER = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_PROVIDERS_FAULTS = ("CLOUD_FAILURE", "INTERNAL_ERROR")
_HINTS = {
    "DRIVER_ERROR": "The driver stopped answering, most often for want of memory: take a larger node_type, or collect "
    "less data on the driver.",
    "CLUSTER_ERROR": "The cluster ended while the run was going on; its event log says why.",
    "INVALID_CLUSTER_REQUEST": "Databricks cannot make the cluster that was asked for: look at spark_version, "
    "node_type and init_scripts.",
    "LIBRARY_INSTALLATION_ERROR": "A library could not be installed: look at its name, its version and its repository.",
    "RESOURCE_NOT_FOUND": "What the run needs is not there: look at the path of the notebook, script or JAR.",
    "STORAGE_ACCESS_ERROR": "The cluster may not read or write its storage.",
    "WORKSPACE_RUN_LIMIT_EXCEEDED": "The workspace has as many runs as it may have: let some end, then run again.",
}
_OUT_OF_MEMORY = ("out of memory", "outofmemory", "java heap space", "gc overhead")


class Ending(Enum):
    """How a run ended, by whose doing."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed out"
    LOST = "lost"  # by a fault of Databricks or of the cloud below it


@dataclass(frozen=True)
class DatabricksRun:
    """A run at one moment.

    :param state: its phase, in Databricks' words, and its result when it is over.
    :param task_run_id: of its only task, by which its output is asked for.
    :param page: the address of its page.
    :param ending: None while it goes on.
    :param code: Databricks' word for why it ended.
    """

    run_id: int
    task_run_id: int
    state: str
    message: str
    page: str
    ending: Ending | None
    code: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> DatabricksRun:
        """Read what the Jobs API answers."""
        state = document.get("state") or {}
        details = (document.get("status") or {}).get("termination_details") or {}
        phase, result = str(state.get("life_cycle_state", "")), str(state.get("result_state", ""))
        tasks = document.get("tasks") or [document]
        task = max(tasks, key=lambda item: item.get("attempt_number", 0))
        return cls(
            int(document["run_id"]),
            int(task["run_id"]),
            f"{phase} {result}".strip(),
            str(state.get("state_message") or details.get("message") or ""),
            str(document.get("run_page_url", "")),
            _ending(phase, result, str(details.get("type", ""))) if phase in _OVER else None,
            str(details.get("code", "")),
        )

    def sentence(self, error: str = "") -> str:
        """Say how the run ended and what may help.

        :param error: what its output says.
        """
        said = ". ".join(part.rstrip(".") for part in dict.fromkeys((error, self.message)) if part)
        parts = [{
            Ending.CANCELED: "was canceled in Databricks, and not by Refrain",
            Ending.TIMED_OUT: "was ended by Databricks because it took longer than its timeout_seconds",
            Ending.LOST: "was lost by Databricks",
        }.get(self.ending or Ending.FAILED, "failed")]  # fmt: skip
        is_memory = any(word in said.lower() for word in _OUT_OF_MEMORY)
        hint = _HINTS["DRIVER_ERROR"] if is_memory else _HINTS.get(self.code, "")
        return "".join((*parts, f": {said}." if said else ".", f" {hint}" if hint else ""))


def _ending(phase: str, result: str, kind: str) -> Ending:
    if result in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
        return Ending.SUCCEEDED
    if result in ("CANCELED", "UPSTREAM_CANCELED"):
        return Ending.CANCELED
    if result == "TIMEDOUT":
        return Ending.TIMED_OUT
    if kind in _PROVIDERS_FAULTS or (phase == "INTERNAL_ERROR" and kind != "CLIENT_ERROR"):
        return Ending.LOST
    return Ending.FAILED
