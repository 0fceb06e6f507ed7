"""DatasetConsumptionConfig: a dataset as the input of a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from refrain.data.names import dataset_name
from refrain.data.ports import InputMode
from refrain.errors import UserError


@dataclass(frozen=True, eq=False)
class DatasetConsumptionConfig:
    """A dataset, or an output that becomes one, under the name by which a script knows it.

    :param name: None means a name by position that each step gives.
    :param dataset: a file dataset or an ``OutputFileDatasetConfig``.
    :param mode: ``direct`` (the default, as in Azure ML), ``mount`` or ``download``.
    :raises UserError: for an invalid name or mode.
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

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return a copy that is read in place."""
        return replace(self, mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """Return a copy of which the step gets its own copy of the data."""
        return replace(self, mode="download", path_on_compute=path_on_compute)
