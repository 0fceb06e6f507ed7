"""Backends: where a submitted pipeline runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from refrain.errors import UnknownNameError, known
from refrain.execution.runner import RunOptions
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.record import RunRecord, RunStatus

AIRFLOW_URL_VARIABLE = "REFRAIN_AIRFLOW_URL"

BACKENDS: dict[str, tuple[str, str]] = {
    "airflow": ("refrain_operators.backend:AirflowBackend", "pip install 'refrain[airflow]'"),
    "local": ("refrain.pipelines.local_backend:LocalBackend", ""),
}
"""Name → where the class is, imported on use, and how to install what it needs."""


class Backend(Protocol):
    """What submits, watches and cancels runs somewhere."""

    def submit(
        self,
        workspace: Workspace,
        definition: PipelineDefinition,
        parameters: Mapping[str, Any],
        experiment: str,
        options: RunOptions,
    ) -> str:
        """Start a run and return its id in the workspace.

        :raises ParameterError: for an unknown parameter or a wrong type.
        """

    def status(self, record: RunRecord) -> RunStatus:
        """Return a run's status now."""

    def cancel(self, record: RunRecord) -> None:
        """Stop a run; nothing happens when it has ended."""


def backend(name: str) -> Backend:
    """Return the backend of this name.

    :raises UnknownNameError: when there is none, or what it needs is not installed.
    """
    if name not in BACKENDS:
        raise UnknownNameError(f"Unknown backend {name!r}. Known: {known(BACKENDS)}.")
    target, hint = BACKENDS[name]
    module, _, attribute = target.partition(":")
    try:
        found: Backend = getattr(import_module(module), attribute)()
    except ImportError as error:
        raise UnknownNameError(f"The backend {name!r} needs what is not installed ({error}): {hint}.") from error
    return found


def default_backend() -> str:
    """Return ``airflow`` when ``REFRAIN_AIRFLOW_URL`` names a server, else ``local``."""
    return "airflow" if os.environ.get(AIRFLOW_URL_VARIABLE) else "local"
