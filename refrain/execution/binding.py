"""Binding: what inputs turn out to be in a run: the data of parameters, and the datasets that scripts linked."""

from __future__ import annotations

from dataclasses import replace

from refrain.data.data_value import DataValue
from refrain.data.ports import FromParameter, InputPort
from refrain.execution.request import StepRequest
from refrain.storage.state import WorkspaceState


def bound(request: StepRequest, state: WorkspaceState) -> StepRequest:
    """Return the request with data in the place of what only names it, so that the engine knows one kind of input.

    :raises InputChangedError: when what an earlier step linked was changed since.
    """
    inputs = tuple(_bound(port, request, state) for port in request.step.inputs)
    if inputs == request.step.inputs:
        return request
    return replace(request, step=replace(request.step, inputs=inputs))


def _bound(port: InputPort, request: StepRequest, state: WorkspaceState) -> InputPort:
    if isinstance(port.source, FromParameter):
        value = request.parameters[port.source.name]
        if not isinstance(value, DataValue):
            raise TypeError(f"the parameter {port.source.name!r} names no data")
        return value.put_in(port)
    handle = request.handles.get(port.name)
    if port.is_link and handle is not None and not isinstance(handle, tuple):
        from refrain.execution.links import linked_data

        return linked_data(handle, port, state, request.step.name).put_in(port)
    return port
