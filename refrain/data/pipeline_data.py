"""PipelineData: intermediate data, written by one step and read by others."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from refrain.data.names import port_name
from refrain.data.ports import OUTPUT_NAME, RUN_ID, InputMode
from refrain.data.reference import NamedDatastore, store_name
from refrain.errors import UserError
from refrain.values import dataclass

if TYPE_CHECKING:
    from refrain.data.pipeline_output import PipelineOutputFileDataset

INTERMEDIATE_PATH = f"azureml/{RUN_ID}/{OUTPUT_NAME}"
_MODES = ("mount", "upload")


class Origin:
    """What all copies of one output have in common.

    ``producer`` is the step that declared it last: a notebook's cell may be run again. ``name`` is what that step
    calls an output that has no name of its own; ``is_promoted`` says whether it declared it as a dataset.
    """

    def __init__(self) -> None:
        self.producer: Any = None
        self.name: str | None = None
        self.is_promoted = False


@dataclass(frozen=True, eq=False)
class PipelineData:
    """Data that one step produces. The same object in another step's ``inputs`` makes the edge.

    The script makes the leaf itself: only its parent exists beforehand, because the leaf may be a file. With
    ``is_directory=True`` it is a directory that exists.

    :param datastore: None means the pipeline's default datastore.
    :param output_name: the name on the producing step, ``name`` by default.
    :param output_path_on_compute: in upload mode, where the script writes, relative to its working directory.
    :param pipeline_output_name: a name for ``PipelineRun.get_pipeline_output``, unique in the pipeline.
    :param training_output: only for steps that tune models, which are not here.
    :raises UserError: for an invalid name or mode, a datastore that is none, or upload without a path.
    """

    name: str
    datastore: NamedDatastore | None = None
    output_name: str | None = None
    output_mode: str = "mount"
    output_path_on_compute: str | None = None
    output_overwrite: bool | None = None
    data_type: str | None = None
    is_directory: bool | None = None
    pipeline_output_name: str | None = None
    training_output: None = None
    origin: Origin = field(default_factory=Origin, init=False, repr=False)

    def __post_init__(self) -> None:
        port_name(self.name, "PipelineData")
        if self.output_name is None:
            object.__setattr__(self, "output_name", self.name)
        port_name(self.output_name, f"the output of PipelineData {self.name!r}")
        if self.datastore is not None:
            store_name(self.datastore, f"PipelineData {self.name!r}")
        if self.training_output is not None:
            raise UserError(
                f"PipelineData {self.name!r}: training_output belongs to steps that tune models; remove it."
            )
        if self.output_mode not in _MODES:
            raise UserError(
                f"PipelineData {self.name!r}: output_mode {self.output_mode!r} is not one of {', '.join(_MODES)}."
            )
        if self.output_mode == "upload" and not self.output_path_on_compute:
            raise UserError(f"PipelineData {self.name!r}: output_mode 'upload' needs output_path_on_compute.")

    def as_mount(self, input_name: str | None = None) -> InputPortBinding:
        """Return an input that reads the data in place, under another name if one is given."""
        return self.create_input_binding(input_name, "mount")

    def as_download(
        self, input_name: str | None = None, path_on_compute: str | None = None, overwrite: bool | None = None
    ) -> InputPortBinding:
        """Return an input of which the step gets its own copy."""
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def as_input(self, input_name: str) -> InputPortBinding:
        """Return an input under another name."""
        return self.create_input_binding(input_name)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> InputPortBinding:
        """Return an input with all its settings."""
        return InputPortBinding(input_name or self.name, self, mode or "mount", path_on_compute, overwrite)

    def as_dataset(self) -> PipelineOutputFileDataset:
        """Return the data as a dataset, for the producing step's ``outputs`` and for those that read it."""
        from refrain.data.pipeline_output import PipelineOutputFileDataset

        return PipelineOutputFileDataset(self)

    def get_env_variable_name(self) -> str:
        """Return the environment variable that holds the path in a step's process."""
        return f"$AZUREML_DATAREFERENCE_{self.name}"


@dataclass(frozen=True, eq=False)
class InputPortBinding:
    """Pipeline data as the input of one step.

    :raises UserError: for an invalid name or mode, or an object that is no pipeline data.
    """

    name: str
    bind_object: PipelineData
    bind_mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool | None = None

    def __post_init__(self) -> None:
        port_name(self.name, "an input")
        if not isinstance(self.bind_object, PipelineData):
            raise UserError(
                f"InputPortBinding {self.name!r} binds a {type(self.bind_object).__name__}; PipelineData is needed."
            )
        modes = [mode.value for mode in InputMode]
        if self.bind_mode not in modes:
            raise UserError(f"Input {self.name!r}: mode {self.bind_mode!r} is not one of {', '.join(modes)}.")
