"""ModelReference: what names a registered model, so that a step can have it among its inputs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import replace

from refrain.data.names import model_name
from refrain.data.ports import FromModel, InputMode, InputPort
from refrain.errors import UserError
from refrain.values import dataclass

_MODES = (InputMode.MOUNT.value, InputMode.DOWNLOAD.value)
_NOT_IN_NAMES = re.compile(r"\W", re.ASCII)


class ModelReference(ABC):
    """A model by its name."""

    name: str

    @property
    def input_name(self) -> str:
        """What the input of a step is called; what cannot be in such a name becomes ``_``."""
        return _NOT_IN_NAMES.sub("_", self.name)

    @abstractmethod
    def as_input(self) -> ModelInput:
        """Return the model as the input of a step."""


@dataclass(frozen=True, eq=False)
class ModelInput(ModelReference):
    """A registered model as the input of a step: its argument is a path, and ``Model.get_model_path`` finds it.

    :param name: the model's name; it need not be registered yet.
    :param version: None means the newest one when the step is about to run.
    :param mode: ``mount`` (read in place) or ``download`` (a copy of the step's own).
    :raises UserError: for an invalid name, version or mode.
    """

    name: str
    version: int | None = None
    mode: str = "mount"
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        model_name(self.name)
        if self.version is not None and (type(self.version) is not int or self.version < 1):
            raise UserError(f"Model {self.name!r}: the version {self.version!r} is no number from 1 on, nor None.")
        if self.mode not in _MODES:
            raise UserError(f"Model {self.name!r}: mode {self.mode!r} is not one of {', '.join(_MODES)}.")

    def as_input(self) -> ModelInput:
        """Return the input itself."""
        return self

    def as_mount(self, path_on_compute: str | None = None) -> ModelInput:
        """Return a copy that is read in place."""
        return replace(self, mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> ModelInput:
        """Return a copy of which the step gets its own copy."""
        return replace(self, mode="download", path_on_compute=path_on_compute)

    def port(self, name: str) -> InputPort:
        """Return the input as a step's definition has it."""
        return InputPort(name, FromModel(self.name, self.version), InputMode(self.mode), self.path_on_compute)
