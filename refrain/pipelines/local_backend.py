"""LocalBackend: submitted runs as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from refrain.compute.processes import is_alive
from refrain.execution.runner import RunOptions
from refrain.pipelines.local import submit_detached
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.record import RunRecord, RunStatus


class LocalBackend:
    """See :class:`refrain.pipelines.backends.Backend`."""

    def submit(
        self,
        workspace: Workspace,
        definition: PipelineDefinition,
        parameters: Mapping[str, Any],
        experiment: str,
        options: RunOptions,
    ) -> str:
        """Start the run in a process of its own."""
        return submit_detached(workspace, definition, parameters, experiment, options)

    def status(self, record: RunRecord) -> RunStatus:
        """Return the recorded status; a run whose process is gone without having ended has failed."""
        if record.status.is_final or not self._is_here(record):
            return record.status
        return record.status if self._is_running(record) else RunStatus.FAILED

    def cancel(self, record: RunRecord) -> None:
        """Interrupt the run's process, which stops its steps."""
        if self._is_here(record) and self._is_running(record):
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.origin["process"], signal.SIGTERM)

    def _is_here(self, record: RunRecord) -> bool:
        return record.origin.get("host") == os.uname().nodename

    def _is_running(self, record: RunRecord) -> bool:
        return is_alive(record.origin.get("process", 0), record.origin.get("started", ""))
