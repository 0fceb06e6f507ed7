"""Wiring: turns the data objects that a user gave to a step into ports and command tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.dataset import FileDataset
from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import INTERMEDIATE_PATH, InputPortBinding, PipelineData
from refrain.data.ports import FromDatastore, FromStep, InputMode, InputPort, OutputKind, OutputMode, OutputPort, Source
from refrain.data.reference import DataReference
from refrain.errors import PipelineError
from refrain.steps.command import InputPath, Literal, OutputPath, ParameterValue, Token

_COLLISION_PREFIX = "INPUT_"


class Build(Protocol):
    """What a step needs to know of the pipeline it is built into."""

    @property
    def default_datastore(self) -> str:
        """The name of the datastore for outputs that name none."""

    @property
    def default_source_directory(self) -> str | None:
        """The source directory of steps that name none."""

    def key_of(self, step: Any) -> str:
        """Return a step's key."""

    def producer_of(self, output: object) -> FromStep | None:
        """Return which step's output an object stands for, or None when no step produces it."""


def origin(item: object) -> object:
    """Return the object by which an output is known: all copies of a configuration share one."""
    return item.origin if isinstance(item, (PipelineData, OutputFileDatasetConfig)) else item


def consumed(item: object) -> object | None:
    """Return the output that an input reads, or None when it reads data from outside of the pipeline."""
    if isinstance(item, InputPortBinding):
        return item.bind_object.origin
    if isinstance(item, DatasetConsumptionConfig):
        return consumed(item.dataset)
    return origin(item) if isinstance(item, (PipelineData, OutputFileDatasetConfig)) else None


@dataclass
class Wiring:
    """One step's ports while it is being built. Items are known by identity, never by equality."""

    step_name: str
    build: Build
    inputs: dict[int, InputPort] = field(default_factory=dict)
    outputs: dict[int, OutputPort] = field(default_factory=dict)
    parameters: dict[str, Token] = field(default_factory=dict)

    def add_output(self, item: Any) -> None:
        """Declare an output.

        :raises PipelineError: for an object that cannot be one, or a name used twice.
        """
        port = self._output_port(item)
        self._require_new(port.name, "output", self.outputs.values())
        self.outputs[id(origin(item))] = port

    def add_input(self, item: Any) -> None:
        """Declare an input.

        :raises PipelineError: for an object that cannot be one, has no producer, or has a name used twice.
        """
        port = self._input_port(item)
        self._require_new(port.name, "input", self.inputs.values())
        self.inputs[id(item)] = port
        source = consumed(item)
        if source is not None:
            self.inputs.setdefault(id(source), port)

    def rename_colliding_inputs(self) -> None:
        """Give an input that is called like an output the name ``INPUT_<name>`` (Azure ML's rule)."""
        taken = {port.name for port in self.outputs.values()}
        for item, port in self.inputs.items():
            if port.name in taken:
                self.inputs[item] = replace(port, name=_COLLISION_PREFIX + port.name)

    def ports(self) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
        """Return the inputs and outputs, each once."""
        return tuple(dict.fromkeys(self.inputs.values())), tuple(self.outputs.values())

    def token(self, item: Any) -> Token:
        """Return what an argument becomes on the command line.

        :raises PipelineError: for data that is neither an input nor an output of the step.
        """
        if isinstance(item, PipelineParameter):
            self.parameters.setdefault(item.name, ParameterValue(item.name))
            return ParameterValue(item.name)
        for known, path in ((self.inputs, InputPath), (self.outputs, OutputPath)):
            port = known.get(id(item)) or known.get(id(origin(item)))
            if port is not None:
                return path(port.name)
        if isinstance(item, (PipelineData, InputPortBinding, DataReference)):
            raise PipelineError(
                f"Step {self.step_name!r}: the argument {getattr(item, 'name', item)!r} is data, but neither among the "
                "step's inputs nor its outputs. Add it to inputs=[…] or outputs=[…]."
            )
        return self._text(item)

    def _text(self, item: Any) -> Token:
        if isinstance(item, FileDataset):
            raise PipelineError(
                f"Step {self.step_name!r}: a dataset cannot be an argument by itself; pass "
                "dataset.as_named_input('name').as_mount()."
            )
        text = str(item)
        prefix, _, name = text.partition("parameter:")
        return self.parameters[name] if not prefix and name in self.parameters else Literal(text)

    def _output_port(self, item: Any) -> OutputPort:
        if isinstance(item, PipelineData):
            return OutputPort(
                name=str(item.output_name),
                datastore=item.datastore.name if item.datastore else self.build.default_datastore,
                path=INTERMEDIATE_PATH,
                kind=OutputKind.DIRECTORY if item.is_directory else OutputKind.ANY,
                mode=OutputMode(item.output_mode),
                path_on_compute=item.output_path_on_compute,
                overwrite=bool(item.output_overwrite),
            )
        if isinstance(item, OutputFileDatasetConfig):
            datastore, path = item.location()
            is_upload = item.mode == "upload"
            return OutputPort(
                name=str(item.name),
                datastore=datastore,
                path=path,
                kind=OutputKind.DIRECTORY,
                mode=OutputMode(item.mode),
                path_on_compute=(item.source or str(item.name)) if is_upload else None,
                overwrite=item.overwrite or not is_upload,
                globs=item.source_globs,
                registration=item.registration,
                is_dataset=True,
            )
        if isinstance(item, DataReference) and item.mode == "upload":
            return self._uploaded(item)
        raise PipelineError(
            f"Step {self.step_name!r}: {item!r} cannot be an output. Use PipelineData, OutputFileDatasetConfig or "
            "DataReference.as_upload()."
        )

    def _uploaded(self, item: DataReference) -> OutputPort:
        if not item.path_on_compute:
            raise PipelineError(
                f"Step {self.step_name!r}: the output {item.name!r} is uploaded and needs path_on_compute: "
                "reference.as_upload(path_on_compute='…')."
            )
        return OutputPort(
            name=item.name,
            datastore=item.datastore.name,
            path=str(item.path_on_datastore),
            mode=OutputMode.UPLOAD,
            path_on_compute=item.path_on_compute,
            overwrite=item.overwrite,
        )

    def _input_port(self, item: Any) -> InputPort:
        if isinstance(item, PipelineData):
            return InputPort(item.name, self._produced(item, item.name))
        if isinstance(item, InputPortBinding):
            source = self._produced(item.bind_object, item.name)
            return InputPort(item.name, source, InputMode(item.bind_mode), item.path_on_compute)
        if isinstance(item, OutputFileDatasetConfig):
            return InputPort(str(item.name), self._produced(item, str(item.name)), is_dataset=True)
        if isinstance(item, DataReference) and item.mode != "upload":
            source = FromDatastore(item.datastore.name, str(item.path_on_datastore))
            return InputPort(item.name, source, InputMode(item.mode), item.path_on_compute)
        if isinstance(item, DatasetConsumptionConfig):
            source = self._dataset(item)
            return InputPort(item.name, source, InputMode(item.mode), item.path_on_compute, is_dataset=True)
        raise PipelineError(f"Step {self.step_name!r}: {_why_no_input(item)}")

    def _dataset(self, item: DatasetConsumptionConfig) -> Source:
        if isinstance(item.dataset, FileDataset):
            return item.dataset.source
        if isinstance(item.dataset, OutputFileDatasetConfig):
            return self._produced(item.dataset, item.name)
        raise PipelineError(f"Step {self.step_name!r}: input {item.name!r} has {item.dataset!r}, which is no dataset.")

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


def wire(
    step_name: str, build: Build, inputs: Sequence[Any], outputs: Sequence[Any], arguments: Sequence[Any]
) -> Wiring:
    """Declare a step's inputs and outputs, those that stand in its arguments alone included (Azure ML's rule).

    :raises PipelineError: as :class:`Wiring`'s methods.
    """
    wiring = Wiring(step_name, build)
    declared = [*inputs, *outputs]
    read = {id(origin(item)) for item in inputs}
    for item in outputs:
        wiring.add_output(item)
    for item in arguments:
        is_new = isinstance(item, OutputFileDatasetConfig) and id(origin(item)) not in {id(origin(d)) for d in declared}
        if is_new and id(origin(item)) not in read:
            wiring.add_output(item)
            declared.append(item)
    for item in [*inputs, *(a for a in arguments if isinstance(a, DatasetConsumptionConfig))]:
        if id(item) not in wiring.inputs:
            wiring.add_input(item)
    wiring.rename_colliding_inputs()
    return wiring


def _why_no_input(item: Any) -> str:
    if isinstance(item, FileDataset):
        return "a dataset cannot be an input by itself; pass dataset.as_named_input('name').as_mount()."
    if isinstance(item, DataReference):
        return f"DataReference {item.name!r} is in upload mode, so it belongs in outputs=[…], not in inputs=[…]."
    return (
        f"{item!r} cannot be an input. Use PipelineData, a named dataset input, OutputFileDatasetConfig.as_input() or "
        "a DataReference."
    )
