"""Wiring: turns the data objects that a user gave to a step into ports and command tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from refrain.data.abstract import AbstractDataset
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.data_path import BoundPath, DataPath
from refrain.data.data_value import DataKind, DataValue, data_value
from refrain.data.models.reference import ModelReference
from refrain.data.names import numbered
from refrain.data.output_config import OutputDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import INTERMEDIATE_PATH, InputPortBinding, Origin, PipelineData
from refrain.data.pipeline_output import PipelineOutputAbstractDataset
from refrain.data.port_data import PortDataReference
from refrain.data.ports import (
    FromDatastore,
    FromFiles,
    FromParameter,
    FromStep,
    InputMode,
    InputPort,
    OutputKind,
    OutputMode,
    OutputPort,
    Source,
)
from refrain.data.reference import DataReference
from refrain.errors import PipelineError
from refrain.steps.command import InputPath, Literal, OutputPath, ParameterValue, Token

if TYPE_CHECKING:
    from refrain.data.tabular.dataset import TabularDataset
    from refrain.data.tabular.partition import PartitionFormat

_COLLISION_PREFIX = "INPUT_"
_DATA = (
    AbstractDataset,
    BoundPath,
    DataPath,
    DataReference,
    DatasetConsumptionConfig,
    InputPortBinding,
    ModelReference,
    OutputDatasetConfig,
    PipelineData,
    PipelineOutputAbstractDataset,
    PortDataReference,
)
_WAY_FOR_DATA = {
    DataKind.PATH: "Pass (parameter, DataPathComputeBinding()) among the inputs and the arguments.",
    DataKind.FILES: "Pass DatasetConsumptionConfig('name', parameter), with as_mount() or as_download().",
    DataKind.TABLE: "Pass DatasetConsumptionConfig('name', parameter).",
}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")
_NOT_IN_VARIABLES = re.compile(r"\W", re.ASCII)


class Build(Protocol):
    """What a step needs to know of the pipeline it is built into."""

    @property
    def default_datastore(self) -> str:
        """The name of the datastore for outputs that name none."""

    @property
    def default_source_directory(self) -> str | None:
        """The source directory of steps that name none."""

    located: dict[tuple[str, str], tuple[Any, str]]
    """Sources and scripts that were found already, by source directory and script name as the user gave them."""

    def key_of(self, step: Any) -> str:
        """Return a step's key."""

    def producer_of(self, output: object) -> FromStep | None:
        """Return which step's output an object stands for, or None when no step produces it."""


def origin(item: object) -> object:
    """Return the object by which an output is known: all copies of a configuration share one."""
    found = getattr(item, "origin", None)
    return found if isinstance(found, Origin) else item


def consumed(item: object) -> object | None:
    """Return the output that an input reads, or None when it reads data from outside of the pipeline."""
    if isinstance(item, InputPortBinding):
        return item.bind_object.origin
    if isinstance(item, DatasetConsumptionConfig):
        return consumed(item.dataset)
    found = origin(item)
    return None if found is item else found


def parameter_of(item: object) -> PipelineParameter | None:
    """Return the pipeline parameter that names an input's data, or None when it does not depend on one."""
    named = item.path if isinstance(item, BoundPath) else getattr(item, "dataset", None)
    return named if isinstance(named, PipelineParameter) else None


def input_name(item: object) -> str | None:
    """Return an input's own name, or None when the step is to give it one by position."""
    return getattr(item, "input_name", None) or getattr(item, "name", None)


def output_name(item: object) -> str | None:
    """Return an output's own name, or None when it has none yet."""
    return getattr(item, "output_name", None) or getattr(item, "name", None)


@dataclass
class Wiring:
    """One step's ports while it is being built. Items are known by identity, never by equality."""

    step_name: str
    build: Build
    inputs: dict[int, InputPort] = field(default_factory=dict)
    outputs: dict[int, OutputPort] = field(default_factory=dict)
    parameters: dict[str, Token] = field(default_factory=dict)

    def add_outputs(self, items: Sequence[Any]) -> None:
        """Declare the outputs.

        :raises PipelineError: for an object that cannot be one, or a name used twice.
        """
        for item, name in zip(items, numbered([output_name(item) for item in items], "output"), strict=True):
            port = self._output_port(item, name)
            self._require_new(port.name, "output", self.outputs.values())
            self.outputs[id(origin(item))] = port

    def add_inputs(self, items: Sequence[Any]) -> None:
        """Declare the inputs; one that is called like an output becomes ``INPUT_<name>`` (Azure ML's rule).

        :raises PipelineError: for an object that cannot be one, has no producer, or has a name used twice.
        """
        written = {port.name for port in self.outputs.values()}
        ports: list[InputPort] = []
        for item, name in zip(items, numbered([input_name(item) for item in items], "input"), strict=True):
            self._require_new(name, "input", ports)
            ports.append(self._input_port(item, name))
        renamed = [replace(p, name=_COLLISION_PREFIX + p.name) if p.name in written else p for p in ports]
        for index, (item, port) in enumerate(zip(items, renamed, strict=True)):
            self._require_new(port.name, "input", renamed[:index])
            self.inputs[id(item)] = port
            source = consumed(item)
            if source is not None:
                self.inputs.setdefault(id(source), port)

    def add_parameters(self, params: Mapping[str, Any], arguments: Sequence[Any]) -> None:
        """Declare what variables ``AML_PARAMETER_<name>`` hold: *params*, and the pipeline parameters in *arguments*.

        :raises PipelineError: when a pipeline parameter is called like something else in *params*.
        """
        self.parameters = {
            name: self._value(value) if isinstance(value, PipelineParameter) else self._literal(value)
            for name, value in params.items()
        }
        for name in (item.name for item in arguments if isinstance(item, PipelineParameter)):
            if self.parameters.setdefault(name, ParameterValue(name)) != ParameterValue(name):
                raise PipelineError(
                    f"Step {self.step_name!r}: params already has a {name!r}, and so is a pipeline parameter in its "
                    "arguments called. Rename one of them."
                )

    def ports(self) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
        """Return the inputs and outputs, each once."""
        return tuple(dict.fromkeys(self.inputs.values())), tuple(self.outputs.values())

    def variables(self) -> tuple[tuple[str, Token], ...]:
        """Return the parameters by name; what cannot be in a variable's name becomes ``_`` (Azure ML's rule).

        :raises PipelineError: when two of them are called alike then.
        """
        named: dict[str, Token] = {}
        for name, token in self.parameters.items():
            variable = _NOT_IN_VARIABLES.sub("_", name)
            if named.setdefault(variable, token) is not token:
                raise PipelineError(
                    f"Step {self.step_name!r}: two of its parameters become the variable 'AML_PARAMETER_{variable}'. "
                    "Rename one of them."
                )
        return tuple(sorted(named.items(), key=itemgetter(0)))

    def token(self, item: Any) -> Token:
        """Return what an argument becomes on the command line.

        :raises PipelineError: for data that is neither an input nor an output of the step.
        """
        if isinstance(item, PipelineParameter):
            return self._value(item)
        for known, path in ((self.inputs, InputPath), (self.outputs, OutputPath)):
            port = known.get(id(item)) or known.get(id(origin(item)))
            if port is not None:
                return path(port.name)
        if isinstance(item, str) and item.startswith("parameter:"):
            return self.parameters.get(item.removeprefix("parameter:")) or Literal(item)
        return self._literal(item)

    def _value(self, parameter: PipelineParameter) -> ParameterValue:
        if isinstance(parameter.default_value, DataValue):
            raise PipelineError(
                f"Step {self.step_name!r}: the parameter {parameter.name!r} names data, so it cannot be passed by "
                f"itself. {_WAY_FOR_DATA[parameter.default_value.kind]}"
            )
        return ParameterValue(parameter.name)

    def _literal(self, item: Any) -> Literal:
        inside = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple, set)) else ()
        for data in (item, *inside):
            if isinstance(data, AbstractDataset):
                raise PipelineError(
                    f"Step {self.step_name!r}: a dataset cannot be an argument by itself; pass {_as_input(data)}."
                )
            if isinstance(data, _DATA):
                raise PipelineError(
                    f"Step {self.step_name!r}: the argument {output_name(data) or data!r} is data, but neither among "
                    "the step's inputs nor its outputs. Add it to inputs=[…] or outputs=[…], and pass it by itself."
                )
        text = str(item)
        if not isinstance(item, str) and _ADDRESS.search(text):
            raise PipelineError(
                f"Step {self.step_name!r}: the argument {text} has no text form, only an address that is another one "
                "in each process; pass a text."
            )
        return Literal(text)

    def _output_port(self, item: Any, name: str) -> OutputPort:
        if isinstance(item, PipelineData):
            return OutputPort(
                name=name,
                datastore=item.datastore.name if item.datastore else self.build.default_datastore,
                path=INTERMEDIATE_PATH,
                kind=OutputKind.DIRECTORY if item.is_directory else OutputKind.ANY,
                mode=OutputMode(item.output_mode),
                path_on_compute=item.output_path_on_compute,
                overwrite=bool(item.output_overwrite),
            )
        if isinstance(item, PipelineOutputAbstractDataset):
            recipe = _recipe(item.plan) if item.plan else ""
            plain = self._output_port(item.pipeline_data, name)
            return replace(plain, registration=item.registration, is_dataset=True, recipe=recipe)
        if isinstance(item, OutputDatasetConfig):
            datastore, path = item.location()
            is_upload = item.mode is OutputMode.UPLOAD
            return OutputPort(
                name=name,
                datastore=datastore,
                path=path,
                kind=item.kind,
                mode=item.mode,
                path_on_compute=(item.source or name) if is_upload else None,
                overwrite=item.overwrite or not is_upload,
                globs=item.source_globs,
                registration=item.registration,
                is_dataset=True,
                recipe=_recipe(item.plan, item.partition) if item.plan or item.partition else "",
            )
        if isinstance(item, DataReference) and item.mode == "upload":
            return self._uploaded(item, name)
        raise PipelineError(
            f"Step {self.step_name!r}: {item!r} cannot be an output. Use PipelineData, OutputFileDatasetConfig or "
            "DataReference.as_upload()."
        )

    def _uploaded(self, item: DataReference, name: str) -> OutputPort:
        if not item.path_on_compute:
            raise PipelineError(
                f"Step {self.step_name!r}: the output {name!r} is uploaded and needs path_on_compute: "
                "reference.as_upload(path_on_compute='…')."
            )
        return OutputPort(
            name=name,
            datastore=item.datastore.name,
            path=str(item.path_on_datastore),
            mode=OutputMode.UPLOAD,
            path_on_compute=item.path_on_compute,
            overwrite=item.overwrite,
        )

    def _input_port(self, item: Any, name: str) -> InputPort:
        source: Source
        if consumed(item) is not None:
            return self._port_of_output(item, name)
        if isinstance(item, BoundPath):
            source = FromParameter(item.path.name) if isinstance(item.path, PipelineParameter) else item.path.source
            return InputPort(name, source, InputMode(item.binding.mode), item.binding.path_on_compute)
        if isinstance(item, PortDataReference):
            source = FromFiles(((item.datastore_name, item.path_on_datastore),))
            return InputPort(name, source, InputMode(item.mode), item.path_on_compute)
        if isinstance(item, DataReference) and item.mode != "upload":
            source = FromDatastore(item.datastore.name, str(item.path_on_datastore))
            return InputPort(name, source, InputMode(item.mode), item.path_on_compute)
        if isinstance(item, DatasetConsumptionConfig):
            return self._dataset(item, name)
        if isinstance(item, ModelReference):
            return item.as_input().port(name)
        raise PipelineError(f"Step {self.step_name!r}: {_why_no_input(item)}")

    def _port_of_output(self, item: Any, name: str) -> InputPort:
        """Return the port that reads another step's output."""
        if isinstance(item, OutputDatasetConfig):
            item = item.as_input(name)
        if isinstance(item, InputPortBinding):
            source = self._produced(item.bind_object, name)
            return InputPort(name, source, InputMode(item.bind_mode), item.path_on_compute)
        if isinstance(item, PipelineOutputAbstractDataset):
            source, mode = self._promoted(item, name), InputMode(item.input_mode)
            return InputPort(name, source, mode, item.path_on_compute, True, _recipe(item.plan, None, mode))
        if isinstance(item, DatasetConsumptionConfig):
            output, mode = item.dataset, InputMode(item.mode)
            recipe = "" if output.kind.linked else _recipe(output.plan, output.partition, mode)
            source = self._produced(output, name)
            return InputPort(name, source, mode, item.path_on_compute, True, recipe, bool(output.kind.linked))
        return InputPort(name, self._produced(item, name))

    def _dataset(self, item: DatasetConsumptionConfig, name: str) -> InputPort:
        port = InputPort(name, FromFiles(()), InputMode(item.mode), item.path_on_compute, is_dataset=True)
        parameter = parameter_of(item)
        value = data_value(item.dataset if parameter is None else parameter.default_value)
        if value is None or value.kind is DataKind.PATH:
            raise PipelineError(f"Step {self.step_name!r}: input {name!r} has {item.dataset!r}, which is no dataset.")
        return value.put_in(port) if parameter is None else replace(port, source=FromParameter(parameter.name))

    def _promoted(self, item: PipelineOutputAbstractDataset, name: str) -> FromStep:
        source = self._produced(item, name)
        if not item.origin.is_promoted:
            raise PipelineError(
                f"Step {self.step_name!r} reads {name!r} as a dataset, but {item.origin.producer.name!r} has the plain "
                f"PipelineData {item.pipeline_data.name!r} among its outputs. Give that step the dataset: "
                "outputs=[data.as_dataset()]."
            )
        return source

    def _produced(self, item: object, name: str) -> FromStep:
        producer = self.build.producer_of(origin(item))
        if producer is None:
            raise PipelineError(
                f"Step {self.step_name!r} reads {name!r}, but no step of the pipeline has it among its outputs. Add it "
                "to the producing step's outputs=[…], and that step to the pipeline."
            )
        return producer

    def _require_new(self, name: str, what: str, ports: Iterable[InputPort | OutputPort]) -> None:
        if any(port.name == name for port in ports):
            raise PipelineError(
                f"Step {self.step_name!r} has two {what}s called {name!r}; give one another name, for instance with "
                f"{'as_input(…)' if what == 'input' else 'output_name=…'}."
            )


def _recipe(
    planned: TabularDataset | None, partition: PartitionFormat | None = None, mode: InputMode = InputMode.DIRECT
) -> str:
    """Return the recipe of an output that is read in this mode: of a table, or of files; empty for files by their path.

    :param partition: columns in the paths of files.
    """
    if planned is not None:
        return planned.recipe
    if mode is not InputMode.DIRECT:
        return ""
    from refrain.data.files.dataset import FileDataset

    return FileDataset(FromFiles(()), partition=partition).recipe


def _as_input(dataset: AbstractDataset) -> str:
    return "dataset.as_named_input('name')" + (".as_mount()" if InputMode.MOUNT in dataset.input_modes else "")


def _why_no_input(item: Any) -> str:
    if isinstance(item, DataPath):
        return "a DataPath cannot be an input by itself; pass (path, DataPathComputeBinding())."
    if isinstance(item, AbstractDataset):
        return f"a dataset cannot be an input by itself; pass {_as_input(item)}."
    if isinstance(item, DataReference):
        return (
            f"DataReference {item.name or item.path_on_datastore!r} is in upload mode, so it belongs in outputs=[…], "
            "not in inputs=[…]."
        )
    return (
        f"{item!r} cannot be an input. Use PipelineData, a named dataset input, OutputFileDatasetConfig.as_input(), a "
        "DataReference or a model."
    )
