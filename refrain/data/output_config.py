"""OutputDatasetConfig: outputs that become datasets, of files or of tables.

Their methods return copies and never change the object; all copies of one object stand for the same output, so that
the original can be consumed after a copy was passed to ``outputs``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.names import dataset_name
from refrain.data.pipeline_data import Origin
from refrain.data.ports import OUTPUT_NAME, RUN_ID, TABLE_MODES, InputMode, OutputKind, OutputMode, Registration
from refrain.data.reference import store_name
from refrain.data.tabular.promotion import PromoteHeadersBehavior, promotion
from refrain.errors import UserError
from refrain.storage.datastores import BLOB_STORE, STAGING, normalized

if TYPE_CHECKING:
    from typing_extensions import Self

    from refrain.data.tabular.dataset import TabularDataset
    from refrain.data.tabular.partition import PartitionFormat
    from refrain.data.tabular.source import Delimited, Parquet
    from refrain.data.tabular.types import DataType

DATASET_PATH = f"dataset/{RUN_ID}/{OUTPUT_NAME}"

Config = TypeVar("Config", bound="OutputDatasetConfig")


class OutputDatasetConfig:
    """What all outputs that become datasets have in common; use one of its subclasses.

    :param name: None means a name by position that the producing step gives, so that a definition is the same in every
        process that makes it.
    :param destination: ``(datastore, path)`` or a datastore; in the path ``{run-id}`` and ``{output-name}`` are
        filled in. None means ``dataset/{run-id}/{output-name}`` on the workspace's blob store.
    :raises UserError: for an invalid name or destination.
    """

    kind = OutputKind.DIRECTORY
    input_mode = "mount"
    input_modes = tuple(InputMode)

    def __init__(self, name: str | None = None, destination: Any = None) -> None:
        if name is not None:
            dataset_name(name, f"an {type(self).__name__}")
        self._name = name
        self.destination = destination
        self.source: str | None = None
        self.mode = OutputMode.MOUNT
        self.overwrite = False
        self.source_globs: tuple[str, ...] = ()
        self.partition: PartitionFormat | None = None
        self.plan: TabularDataset | None = None
        self.registration: Registration | None = None
        self.origin = Origin()
        self.location()  # a wrong destination fails here, not in a worker

    @property
    def name(self) -> str | None:
        """The output's name; None until a step has given one to an output that has none of its own."""
        return self._name or self.origin.name

    @name.setter
    def name(self, value: str) -> None:
        self._name = dataset_name(value, f"an {type(self).__name__}")

    def location(self) -> tuple[str, str]:
        """Return the datastore's name and the path template."""
        if self.destination is None:
            return BLOB_STORE, DATASET_PATH
        parts = self.destination if isinstance(self.destination, tuple) else (self.destination,)
        what = f"{type(self).__name__} {self.name!r}"
        path = parts[1] if len(parts) > 1 else None
        if not 1 <= len(parts) <= 2 or not (path is None or isinstance(path, str)):
            raise UserError(
                f"{what}: destination {self.destination!r} is not understood; give (datastore, 'path') or a datastore."
            )
        place = normalized(path) if path else DATASET_PATH
        if place.split("/", 1)[0] == STAGING:
            raise UserError(
                f"{what}: in {STAGING!r} steps write for the moment and nothing stays; name another folder."
            )
        return store_name(parts[0], f"{what}: destination"), place

    def register_on_complete(
        self, name: str, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Self:
        """Return a copy that is registered as a new version of dataset *name* when the step completes.

        :raises UserError: when the name is no text.
        """
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{type(self).__name__} {self.name!r}: register_on_complete needs a name, not {name!r}.")
        marks = tuple(sorted((str(key), str(value)) for key, value in (tags or {}).items()))
        return self._copy(registration=Registration(name, description or "", marks))

    def as_input(self, name: str | None = None) -> DatasetConsumptionConfig:
        """Return the output as another step's input: files are mounted, a table is a dataset object in the script."""
        return DatasetConsumptionConfig(name, self, self.input_mode)

    def _copy(self, **changes: Any) -> Self:
        clone = copy.copy(self)
        vars(clone).update(changes)
        return clone

    def _as(self, kind: type[Config], **changes: Any) -> Config:
        """Return the same output as another kind of configuration."""
        clone = kind.__new__(kind)
        vars(clone).update({**vars(self), **changes})
        return clone

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class ReadsTables(OutputDatasetConfig):
    """What outputs have in common whose files can be read as a table."""

    def read_delimited_files(  # Azure ML's signature
        self,
        include_path: bool = False,
        separator: str = ",",
        header: PromoteHeadersBehavior = PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS,
        partition_format: str | None = None,
        path_glob: str | None = None,
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> OutputTabularDatasetConfig:
        """Return the output as a table of delimited text.

        By default the first line of every file is no data, but names the columns.

        :param path_glob: a regular expression, whatever its name says: files whose path it does not find are left out.
        :raises UserError: for an argument that cannot be right.
        """
        from refrain.data.tabular.source import Delimited

        form = Delimited(separator, promotion(header))
        return self._read(form, "read_delimited_files", include_path, set_column_types, partition_format, path_glob)

    def read_parquet_files(
        self,
        include_path: bool = False,
        partition_format: str | None = None,
        path_glob: str | None = None,
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> OutputTabularDatasetConfig:
        """Return the output as a table of Parquet files; parameters as for delimited files."""
        from refrain.data.tabular.source import Parquet

        return self._read(Parquet(), "read_parquet_files", include_path, set_column_types, partition_format, path_glob)

    def _read(self, form: Delimited | Parquet, method: str, *how: Any) -> OutputTabularDatasetConfig:
        from refrain.data.tabular.planned import plan

        planned = plan(f"{type(self).__name__} {self.name!r}: {method}", form, *how)
        return self._as(OutputTabularDatasetConfig, plan=planned)


class OutputFileDatasetConfig(ReadsTables):
    """An output directory, which exists before the script starts.

    :param name: as in :class:`OutputDatasetConfig`; *destination* likewise.
    :param source: in upload mode, where the script writes, relative to its working directory.
    :param partition_format: columns in the paths of the files, see :class:`PartitionFormat`.
    :raises UserError: for an invalid name, destination or partition format.
    """

    def __init__(
        self,
        name: str | None = None,
        destination: Any = None,
        source: str | None = None,
        partition_format: str | None = None,
    ) -> None:
        super().__init__(name, destination)
        self.source = source
        self.partition = None if partition_format is None else _partition(partition_format)

    def as_mount(self, disable_metadata_cache: bool = False) -> OutputFileDatasetConfig:  # noqa: ARG002  # Azure ML's
        """Return a copy whose directory the engine provides (the default). The flag has no effect here."""
        return self._copy(mode=OutputMode.MOUNT)

    def as_upload(self, overwrite: bool = False, source_globs: Sequence[str] | None = None) -> OutputFileDatasetConfig:
        """Return a copy that is uploaded when the step has succeeded.

        :param source_globs: only files matching one of these patterns are kept.
        """
        return self._copy(**uploaded(overwrite, source_globs))


class OutputTabularDatasetConfig(OutputDatasetConfig):
    """An output directory that is read as a table; made by ``read_delimited_files`` and ``read_parquet_files``.

    :raises UserError: when it is made by itself.
    """

    input_mode = "direct"
    input_modes = TABLE_MODES

    def __init__(self, **_: Any) -> None:
        raise UserError(
            "An OutputTabularDatasetConfig is made of files: OutputFileDatasetConfig(…).read_delimited_files() or "
            "read_parquet_files()."
        )

    @property
    def _table(self) -> TabularDataset:
        if self.plan is None:
            raise TypeError("a table without a plan")
        return self.plan

    def keep_columns(self, columns: str | Iterable[str]) -> OutputTabularDatasetConfig:
        """Return a copy of these columns alone."""
        return self._copy(plan=self._table.keep_columns(columns))

    def drop_columns(self, columns: str | Iterable[str]) -> OutputTabularDatasetConfig:
        """Return a copy without these columns."""
        return self._copy(plan=self._table.drop_columns(columns))

    def random_split(
        self, percentage: float, seed: int | None = None
    ) -> tuple[OutputTabularDatasetConfig, OutputTabularDatasetConfig]:
        """Return two copies, of roughly *percentage* (0 to 1) of the rows and of all the others.

        Their names end in ``_1`` and ``_2``, as in Azure ML.
        """
        first, second = self._table.random_split(percentage, seed)
        name = self._name
        return (
            self._copy(plan=first, _name=name and f"{name}_1"),
            self._copy(plan=second, _name=name and f"{name}_2"),
        )

    def as_mount(self) -> OutputTabularDatasetConfig:
        """Return a copy whose directory the engine provides (the default)."""
        return self._copy(mode=OutputMode.MOUNT)

    def as_upload(
        self, overwrite: bool = False, source_globs: Sequence[str] | None = None
    ) -> OutputTabularDatasetConfig:
        """Return a copy that is uploaded when the step has succeeded; see :class:`OutputFileDatasetConfig`."""
        return self._copy(**uploaded(overwrite, source_globs))


class HDFSOutputDatasetConfig(ReadsTables):
    """An output that a Spark step writes by its address; a Python step, which needs a local path, refuses it."""

    def __init__(self, name: str | None = None, destination: Any = None) -> None:
        super().__init__(name, destination)
        self.mode = OutputMode.HDFS


def uploaded(overwrite: bool, source_globs: Sequence[str] | None) -> dict[str, Any]:
    """Return what an upload changes of a configuration."""
    globs = (source_globs,) if isinstance(source_globs, str) else tuple(source_globs or ())
    return {"mode": OutputMode.UPLOAD, "overwrite": overwrite, "source_globs": globs}


class LinkFileOutputDatasetConfig(OutputDatasetConfig):
    """An output of which the script says what it is: ``run.output_datasets['name'].link(dataset)``, a file dataset.

    No data is copied; what is kept is the dataset's definition.
    """

    kind = OutputKind.FILE_LINK

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)


class LinkTabularOutputDatasetConfig(OutputDatasetConfig):
    """An output that the script links to a tabular dataset; see :class:`LinkFileOutputDatasetConfig`."""

    kind = OutputKind.TABULAR_LINK
    input_mode = "direct"
    input_modes = TABLE_MODES

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)


def _partition(text: str) -> PartitionFormat:
    from refrain.data.tabular.partition import PartitionFormat

    return PartitionFormat(text)
