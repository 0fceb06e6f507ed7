"""Ports: a step's inputs and outputs as a definition records them, without any live object."""

from __future__ import annotations

from enum import Enum

from refrain.values import dataclass

RUN_ID = "{run-id}"
OUTPUT_NAME = "{output-name}"

DATASETS = "datasets"
"""The registry's kind of registered datasets."""

MODELS = "models"
"""That of registered models; also the folder of the datastore that keeps them."""

MODELS_FOLDER = "azureml-models"
"""Where models are put that a script asks for, below its working directory (Azure ML's name)."""


class InputMode(str, Enum):
    """How a step's process gets its input."""

    MOUNT = "mount"  # a path where the data can be read in place
    DOWNLOAD = "download"  # a path of the step's own copy
    DIRECT = "direct"  # a dataset object, for code that opens it itself; its id stands for it in texts
    HDFS = "hdfs"  # an address that Spark understands


TABLE_MODES: tuple[InputMode, ...] = (InputMode.DIRECT,)
"""The modes of a table, which has rows, not files."""


class OutputMode(str, Enum):
    """How a step's output reaches its datastore."""

    MOUNT = "mount"  # the process writes to a path that the engine provides
    UPLOAD = "upload"  # the process writes below its working directory; copied after success
    HDFS = "hdfs"  # the process, a Spark engine's, writes to the output's address


class OutputKind(str, Enum):
    """What a step promises to leave."""

    ANY = "any"  # a file or a directory, which the script makes
    DIRECTORY = "directory"  # a directory, there before the script starts
    FILE_LINK = "file link"  # no data, but the definition of the file dataset that the script linked
    TABULAR_LINK = "tabular link"  # likewise of a tabular dataset
    TABLE = "table"  # the rows of a table, which the output's path names

    @property
    def linked(self) -> str:
        """The kind of dataset that the script links: ``file`` or ``tabular``; empty for an output of data."""
        return self.value.removesuffix(" link") if self in (OutputKind.FILE_LINK, OutputKind.TABULAR_LINK) else ""


@dataclass(frozen=True)
class FromStep:
    """The output of another step of the same pipeline."""

    step: str
    output: str


@dataclass(frozen=True)
class FromDatastore:
    """A place on a datastore; it may be empty when the run starts (Azure ML's rule for data references)."""

    datastore: str
    path: str

    @property
    def text(self) -> str:
        """The place as people write it: ``datastore/path``."""
        return f"{self.datastore}/{self.path}"


@dataclass(frozen=True)
class FromFiles:
    """Files by path or glob, which must exist. A location is ``(datastore name or None for local, path)``."""

    locations: tuple[tuple[str | None, str], ...]


@dataclass(frozen=True)
class FromDatabase:
    """The rows that the port's recipe asks of a database."""

    datastore: str


@dataclass(frozen=True)
class FromReference:
    """Data whose reference arrives at run time, such as from a mapped Airflow task."""

    label: str


@dataclass(frozen=True)
class FromParameter:
    """The data that a pipeline parameter names in a run; the engine puts it in the place of this."""

    name: str


@dataclass(frozen=True)
class FromModel:
    """A registered model; without a version the newest one when the step is about to run."""

    name: str
    version: int | None


Source = FromStep | FromDatastore | FromFiles | FromDatabase | FromReference | FromParameter | FromModel


@dataclass(frozen=True)
class InputPort:
    """One input of a step.

    :param path_on_compute: where the process finds it, relative to its working directory or absolute.
    :param is_dataset: also exposed as environment variable ``<name>`` and in ``Run.input_datasets``.
    :param recipe: the dataset that is made of the source's files, without its places, as canonical JSON; empty for the
        files as they are. See :mod:`refrain.data.recipe`.
    :param is_link: the source holds no data, but the definition of the dataset that the step before linked.
    """

    name: str
    source: Source
    mode: InputMode = InputMode.MOUNT
    path_on_compute: str | None = None
    is_dataset: bool = False
    recipe: str = ""
    is_link: bool = False


@dataclass(frozen=True)
class Registration:
    """The dataset name under which an output is registered when its step completes.

    :param create_new_version: False refuses to run the step when the name is taken already.
    """

    name: str
    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    create_new_version: bool = True


@dataclass(frozen=True)
class OutputPort:
    """One output of a step.

    :param datastore: the datastore's name.
    :param path: where on it, with ``{run-id}`` and ``{output-name}`` filled in per step run.
    :param path_on_compute: where the process writes in upload mode, relative to its working directory.
    :param globs: in upload mode, only files matching one of these are kept; empty means all.
    :param recipe: as of an :class:`InputPort`: the dataset that the output is registered as.
    """

    name: str
    datastore: str
    path: str
    kind: OutputKind = OutputKind.ANY
    mode: OutputMode = OutputMode.MOUNT
    path_on_compute: str | None = None
    overwrite: bool = False
    globs: tuple[str, ...] = ()
    registration: Registration | None = None
    is_dataset: bool = False
    recipe: str = ""

    def path_for(self, run_id: str) -> str:
        """Return the path on the datastore for one step run."""
        return self.path.replace(RUN_ID, run_id).replace(OUTPUT_NAME, self.name)

    @property
    def is_shared(self) -> bool:
        """Say whether several runs write to the same place."""
        return RUN_ID not in self.path
