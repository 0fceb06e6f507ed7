"""PipelineOutputFileDataset and PipelineOutputTabularDataset: pipeline data as a dataset.

The producing step must have the dataset, not the plain pipeline data, among its ``outputs``: that is what promotes the
data. Methods return copies, which all stand for the same output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from refrain.data.names import dataset_name
from refrain.data.pipeline_data import Origin, PipelineData
from refrain.data.ports import Registration
from refrain.data.tabular.promotion import PromoteHeadersBehavior, promotion
from refrain.errors import UserError
from refrain.values import dataclass

if TYPE_CHECKING:
    from typing_extensions import Self

    from refrain.data.tabular.dataset import TabularDataset
    from refrain.data.tabular.types import DataType

Output = TypeVar("Output", bound="PipelineOutputAbstractDataset")


@dataclass(frozen=True, eq=False)
class PipelineOutputAbstractDataset:
    """What both kinds have in common.

    :raises UserError: for an object that is no pipeline data, or whose name can name no environment variable.
    """

    pipeline_data: PipelineData
    given_name: str | None = None
    registration: Registration | None = None
    input_mode: str = "mount"
    path_on_compute: str | None = None
    plan: TabularDataset | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.pipeline_data, PipelineData):
            raise UserError(f"{self.pipeline_data!r} is no PipelineData, of which a dataset could be made.")
        dataset_name(self.input_name, "a dataset of pipeline data")

    @property
    def origin(self) -> Origin:
        """What stands for the output in all copies."""
        return self.pipeline_data.origin

    @property
    def name(self) -> str:
        """The output's name on the producing step."""
        return str(self.pipeline_data.output_name)

    @property
    def input_name(self) -> str:
        """The name by which a consuming script knows it: the output's, unless :meth:`as_named_input` gives one."""
        return self.given_name or self.name

    @property
    def pipeline_output_name(self) -> str | None:
        """The name of the pipeline's output, if the pipeline data has one."""
        return self.pipeline_data.pipeline_output_name

    def as_named_input(self, name: str) -> Self:
        """Return the dataset as an input called *name*."""
        return replace(self, given_name=dataset_name(name, "a dataset input"))

    def register(self, name: str, create_new_version: bool = True) -> Self:
        """Return a copy that is registered as dataset *name* when the producing step completes.

        It is this copy that must stand among the producing step's ``outputs``.

        :param create_new_version: False refuses to run the step when the name is taken already.
        :raises UserError: when the name is no text.
        """
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"PipelineData {self.pipeline_data.name!r}: register needs a name, not {name!r}.")
        return replace(self, registration=Registration(name, create_new_version=create_new_version))

    def create_input_binding(self) -> Self:
        """Return the dataset, which is an input by itself."""
        return self


@dataclass(frozen=True, eq=False)
class PipelineOutputFileDataset(PipelineOutputAbstractDataset):
    """Pipeline data as files; mounted unless told otherwise. Made by ``PipelineData.as_dataset()``."""

    def as_mount(self, path_on_compute: str | None = None) -> PipelineOutputFileDataset:
        """Return a copy that is read in place."""
        return replace(self, input_mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> PipelineOutputFileDataset:
        """Return a copy of which the step gets its own copy of the data."""
        return replace(self, input_mode="download", path_on_compute=path_on_compute)

    def as_direct(self) -> PipelineOutputFileDataset:
        """Return a copy that is a dataset object in the script."""
        return replace(self, input_mode="direct", path_on_compute=None)

    def parse_delimited_files(  # noqa: PLR0913  # Azure ML's signature
        self,
        include_path: bool = False,
        separator: str = ",",
        header: PromoteHeadersBehavior = PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS,
        partition_format: str | None = None,
        file_extension: str | None = "",
        set_column_types: Mapping[str, DataType] | None = None,
        quoted_line_breaks: bool = False,
    ) -> PipelineOutputTabularDataset:
        """Return the files as a table of delimited text.

        :param file_extension: only files that end so; "" means ``.csv`` for commas, ``.tsv`` for tabs and all files for
            other separators; None means all files.
        :raises UserError: for an argument that cannot be right.
        """
        from refrain.data.tabular.planned import ending, plan
        from refrain.data.tabular.source import Delimited

        what = self._what("parse_delimited_files")
        form = Delimited(separator, promotion(header), support_multi_line=quoted_line_breaks)
        match = ending(what, file_extension, separator)
        return self._table(plan(what, form, include_path, set_column_types, partition_format, match))

    def parse_parquet_files(
        self,
        include_path: bool = False,
        partition_format: str | None = None,
        file_extension: str | None = ".parquet",
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> PipelineOutputTabularDataset:
        """Return the files as a table of Parquet files; parameters as for delimited files."""
        from refrain.data.tabular.planned import ending, plan
        from refrain.data.tabular.source import Parquet

        what = self._what("parse_parquet_files")
        match = ending(what, file_extension)
        return self._table(plan(what, Parquet(), include_path, set_column_types, partition_format, match))

    def _what(self, method: str) -> str:
        return f"PipelineData {self.pipeline_data.name!r}: {method}"

    def _table(self, planned: TabularDataset) -> PipelineOutputTabularDataset:
        return PipelineOutputTabularDataset(
            self.pipeline_data, self.given_name, self.registration, "direct", None, planned
        )


@dataclass(frozen=True, eq=False)
class PipelineOutputTabularDataset(PipelineOutputAbstractDataset):
    """Pipeline data as a table, which is a dataset object in the script; made by the ``parse_…_files`` methods.

    :raises UserError: without a plan of how the files are read.
    """

    @property
    def _plan(self) -> TabularDataset:
        if self.plan is None:
            raise UserError(
                "A PipelineOutputTabularDataset is made of files: data.as_dataset().parse_delimited_files() or "
                "parse_parquet_files()."
            )
        return self.plan

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._plan

    def keep_columns(self, columns: str | Iterable[str]) -> PipelineOutputTabularDataset:
        """Return a copy of these columns alone."""
        return replace(self, plan=self._plan.keep_columns(columns))

    def drop_columns(self, columns: str | Iterable[str]) -> PipelineOutputTabularDataset:
        """Return a copy without these columns."""
        return replace(self, plan=self._plan.drop_columns(columns))

    def random_split(
        self, percentage: float, seed: int | None = None
    ) -> tuple[PipelineOutputTabularDataset, PipelineOutputTabularDataset]:
        """Return two copies, of roughly *percentage* (0 to 1) of the rows and of all the others.

        In one step they need names of their own: ``as_named_input``.
        """
        first, second = self._plan.random_split(percentage, seed)
        return replace(self, plan=first), replace(self, plan=second)
