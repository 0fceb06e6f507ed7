"""Launching: a command that runs as several processes, by the launcher in :mod:`refrain.runtime.launch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.environments.distribution import MpiConfiguration, PyTorchConfiguration
from refrain.environments.run_configuration import RunConfiguration
from refrain.errors import UserError, known
from refrain.steps.command import Interpreter, Literal, ParameterValue, Token
from refrain.values import dataclass

LAUNCHER = (Interpreter(), Literal("-m"), Literal("refrain.runtime.launch"))
_NODES = "NodeCount"
_COUNTS = {
    "mpi": ("MpiProcessCountPerNode", ""),
    "pytorch": ("", ""),
    "tensorflow": ("TensorflowWorkerCount", "TensorflowParameterServerCount"),
}
"""For each kind, what a pipeline parameter may set: the number of processes, and of servers."""

Count = int | PipelineParameter


@dataclass(frozen=True)
class Launch:
    """Several processes of one command; counts may be given by pipeline parameters."""

    kind: str
    processes: Count
    servers: Count
    nodes: Count

    def around(self, command: Sequence[Token]) -> tuple[Token, ...]:
        """Return the command line of the launcher."""
        counts = (_token(count) for count in (self.processes, self.servers, self.nodes))
        return (*LAUNCHER, Literal(self.kind), *counts, *command)

    def parameters(self) -> list[PipelineParameter]:
        """Return the pipeline parameters among the counts."""
        return [c for c in (self.processes, self.servers, self.nodes) if isinstance(c, PipelineParameter)]


def is_launched(command: Sequence[Token]) -> bool:
    """Say whether a step's command is that of the launcher."""
    return tuple(command[: len(LAUNCHER)]) == LAUNCHER


def launch(step_name: str, config: RunConfiguration, given: Mapping[str, Any]) -> Launch | None:
    """Return how a step's command is started several times; None means that it is started once.

    :param given: counts that pipeline parameters set, by Azure ML's names for them.
    :raises UserError: for an unknown name, for what is no parameter, for a count below 1, or several nodes.
    """
    try:
        job = config.distributed_job()
    except UserError as error:
        raise UserError(f"Step {step_name!r}: {error}") from error
    if job is None:
        _check_given(step_name, given, ())
        _require_one_node(step_name, config.node_count)
        return None
    if isinstance(job, MpiConfiguration):
        kind, processes, servers = "mpi", job.process_count_per_node, 0
    elif isinstance(job, PyTorchConfiguration):
        kind, processes, servers = "pytorch", 1 if job.process_count is None else job.process_count, 0
    else:
        kind, processes, servers = "tensorflow", job.worker_count, job.parameter_server_count
    by_process, by_server = _COUNTS[kind]
    _check_given(step_name, given, (_NODES, by_process, by_server))
    _require_one_node(step_name, config.node_count)
    return Launch(
        kind,
        given.get(by_process) or _count(step_name, "processes", processes, 1),
        given.get(by_server) or _count(step_name, "parameter servers", servers, 0),
        given.get(_NODES) or 1,
    )


def _check_given(step_name: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    allowed = [name for name in names if name]
    for name, value in given.items():
        if name not in allowed:
            way = "" if allowed else " One process has no counts: let the runconfig ask for several."
            raise UserError(
                f"Step {step_name!r}: runconfig_pipeline_params has {name!r}. Known here: {known(allowed)}.{way}"
            )
        if not isinstance(value, PipelineParameter):
            raise UserError(
                f"Step {step_name!r}: runconfig_pipeline_params {name!r} must be a PipelineParameter, not {value!r}."
            )


def _require_one_node(step_name: str, nodes: int) -> None:
    if nodes != 1:
        raise UserError(
            f"Step {step_name!r}: node_count is {nodes!r}, but a step runs on one machine. Set it to 1, and raise the "
            "number of processes; for several machines use a Spark step or one step for each part of the data."
        )


def _count(step_name: str, what: str, count: object, least: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise UserError(f"Step {step_name!r}: the number of {what} must be {least} or more, not {count!r}.")
    return count


def _token(count: Count) -> Token:
    return ParameterValue(count.name) if isinstance(count, PipelineParameter) else Literal(str(count))
