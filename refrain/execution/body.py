"""Body: what a step does when it runs. The engine takes every step through the same life, whatever its body is.

The body of most steps is a process (:mod:`refrain.execution.process_body`). Each kind of step is named here, with the
class that does its work; those of other packages come by the entry point ``refrain.steps``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from refrain.compute.computes import Computes
from refrain.data.handle import DataHandle
from refrain.errors import UnknownNameError
from refrain.execution.inputs import ResolvedInput
from refrain.execution.listener import Listener
from refrain.execution.request import StepRequest
from refrain.execution.sources import Sources
from refrain.execution.used_models import UsedModels
from refrain.extensions import STEPS, load, load_object
from refrain.steps.definition import StepDefinition
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord
from refrain.tracking.run_files import RunFiles
from refrain.values import dataclass

_PROCESS = "refrain.execution.process_body:ProcessBody"
_BODIES = {
    "command": _PROCESS,
    "data_transfer": "refrain.execution.transfer_body:TransferBody",
    "databricks": "refrain.execution.databricks.body:DatabricksBody",
    "parallel_run": _PROCESS,
    "python_script": _PROCESS,
    "spark": _PROCESS,
}


@dataclass(frozen=True)
class Work:
    """One step run, as its body sees it.

    :param computes: where jobs run; a body of another package may also start them elsewhere.
    :param models: what it has to do with registered models, as far as that is known.
    """

    request: StepRequest
    record: RunRecord
    files: RunFiles
    inputs: Mapping[str, ResolvedInput]
    state: WorkspaceState
    sources: Sources
    computes: Computes
    listener: Listener
    models: UsedModels

    @property
    def folder(self) -> str:
        """The run folder on this machine."""
        return str(self.files.folder)

    @property
    def step(self) -> StepDefinition:
        """The step's definition."""
        return self.request.step


class Body(Protocol):
    """What one run of a step does; made anew for each. Used by one thread, but for :meth:`cancel`."""

    def prepare(self) -> None:
        """Make what the work needs."""

    def perform(self) -> None:
        """Do the work, to its end.

        :raises StepFailedError: when it failed by itself.
        :raises StepCanceledError: when it was canceled.
        :raises SuspendedError: when the request allows it, and the work goes on elsewhere.
        """

    def cancel(self) -> None:
        """Let :meth:`perform` end soon, from another thread; it may not have begun yet."""

    def publish(self) -> dict[str, DataHandle]:
        """Let the outputs appear, and return references to them.

        :raises DataError: when they cannot be stored.
        """

    def take_back(self) -> None:
        """Remove what :meth:`publish` has let appear: no record can be made of it."""

    def close(self) -> None:
        """Remove what is left of the work but its outputs; called in any case."""


class _MakesBody(Protocol):
    def __call__(self, work: Work) -> Body: ...


def body_for(work: Work) -> Body:
    """Return the body of a step run.

    :raises UnknownNameError: when no package that is installed here has this kind of step.
    """
    kind = work.step.kind
    made = load_object(_BODIES[kind]) if kind in _BODIES else load(STEPS, kind)
    if made is None:
        raise UnknownNameError(
            f"Step {work.step.name!r} is of the kind {kind!r}, which nothing installed here can run. Install the "
            "package that it comes from wherever its steps run."
        )
    return cast(_MakesBody, made)(work)
