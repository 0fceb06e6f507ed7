"""The input datasets of a step: paths, and datasets that become objects when a script asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from refrain.runtime.errors import RunEnvironmentException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    _Items = Mapping[str, Any]
else:
    _Items = Mapping


class InputDatasets(_Items):
    """What ``run.input_datasets`` is: by name, a path or a dataset object.

    Objects need Refrain itself in the step's interpreter; paths, and everything else of a run, do not.
    """

    def __init__(self, paths: dict[str, str], descriptions: dict[str, str]) -> None:
        self.paths = paths
        self.descriptions = descriptions
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self.descriptions:
            if name not in self._made:
                self._made[name] = _dataset(name, self.descriptions[name])
            return self._made[name]
        return self.paths[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.paths
        yield from self.descriptions

    def __len__(self) -> int:
        return len(self.paths) + len(self.descriptions)

    def details(self) -> list[dict[str, Any]]:
        """Return how each is consumed, under Azure ML's keys."""
        paths = [{"inputName": name, "pathOnCompute": path} for name, path in self.paths.items()]
        objects = [{"inputName": name, "mechanism": "Direct"} for name in self.descriptions]
        return [{"consumptionDetails": details} for details in (*paths, *objects)]

    def __repr__(self) -> str:
        return f"InputDatasets({', '.join(sorted(self))})"


def _dataset(name: str, description: str) -> Any:
    """Make a dataset object.

    :raises RunEnvironmentException: if the step's interpreter does not have what it takes.
    """
    try:
        return import_module("refrain.data.brought").read(description)
    except ImportError as error:
        raise RunEnvironmentException(
            f"The input dataset '{name}' is given to the script as an object, for which the step's interpreter needs "
            f"Refrain ({error}). Add 'refrain[tabular]' to the packages of the step's environment, or take files "
            "with as_mount() or as_download(), which give a path."
        ) from error
