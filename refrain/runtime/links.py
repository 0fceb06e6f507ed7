"""OutputLink: an output of which the script says what it is, instead of writing it."""

from __future__ import annotations

import json
import os

from refrain.runtime.errors import UserErrorException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {"file": "FileDataset", "tabular": "TabularDataset"}


class OutputLink:
    """What ``Run.output_datasets`` holds for an output that is linked.

    :param kind: ``file`` or ``tabular``, the kind of dataset that may be linked.
    :param path: where the engine looks for the dataset's definition when the script has ended.
    """

    def __init__(self, name: str, kind: str, path: str) -> None:
        self.name = name
        self._kind = kind
        self._path = path

    def link(self, dataset: Any) -> None:
        """Let the output be *dataset*; no data is copied. The last one counts.

        :raises UserErrorException: for anything but a dataset of the output's kind.
        """
        definition = dataset.to_json() if hasattr(dataset, "to_json") else {}
        if definition.get("kind") != self._kind:
            raise UserErrorException(
                f"The output '{self.name}' links a {_KINDS[self._kind]}, not {dataset!r}. Make one with "
                f"refrain.Dataset.{'File' if self._kind == 'file' else 'Tabular'}."
            )
        text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        unfinished = f"{self._path}.new"
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(unfinished, self._path)

    def __repr__(self) -> str:
        return f"OutputLink({self.name!r})"
