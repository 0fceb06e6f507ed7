"""DatasetConsumptionConfig: a dataset as the input of a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refrain.data.names import dataset_name
from refrain.data.ports import InputMode
from refrain.errors import UserError
from refrain.values import dataclass


@dataclass(frozen=True, eq=False)
class DatasetConsumptionConfig:
    """A dataset, or an output that becomes one, under the name by which a script knows it.

    :param name: None means a name by position that each step gives.
    :param dataset: a file or tabular dataset, or an ``OutputFileDatasetConfig``.
    :param mode: ``direct`` (the default, as in Azure ML), ``mount``, ``download`` or ``hdfs``.
    :raises UserError: for an invalid name or mode, or a mode that the dataset does not have.
    """

    name: str | None
    dataset: Any
    mode: str = "direct"
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            dataset_name(self.name, "a dataset input")
        modes = [mode.value for mode in InputMode]
        if self.mode not in modes:
            raise UserError(f"Input {self.name!r}: mode {self.mode!r} is not one of {', '.join(modes)}.")
        possible = getattr(self.dataset, "input_modes", tuple(InputMode))
        if InputMode(self.mode) not in possible:
            what = "the dataset" if self.name is None else f"dataset input {self.name!r}"
            raise UserError(
                f"{self.mode} is not possible for {what}: a tabular dataset has rows, not files, and is given to a "
                "script as it is. Use as_named_input('name') alone, or to_csv_files() or to_parquet_files() for files."
            )

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return a copy that is read in place."""
        return replace(self, mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return a copy of which the step gets its own copy of the data."""
        return replace(self, mode="download", path_on_compute=path_on_compute)

    def as_direct(self) -> DatasetConsumptionConfig:
        """Return a copy that gives the script a dataset object, and its id as an argument."""
        return replace(self, mode="direct", path_on_compute=None)

    def as_hdfs(self) -> DatasetConsumptionConfig:
        """Return a copy that Spark reads by its address; other steps refuse it."""
        return replace(self, mode="hdfs", path_on_compute=None)
