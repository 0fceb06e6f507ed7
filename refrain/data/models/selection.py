"""Selection: which versions of a model fit to what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from refrain.data.models.record import ModelRecord, ModelVersions
from refrain.data.versions import LATEST, Tags
from refrain.errors import ModelNotFoundException, UserError


@dataclass(frozen=True)
class Selection:
    """What a version must have; None asks nothing.

    :param tags: a key, a list of keys and of pairs of a key and a value, or a dict; *properties* likewise.
    :param dataset_id: of a dataset that it was registered with.
    """

    tags: Any = None
    properties: Any = None
    run_id: str | None = None
    framework: str | None = None
    dataset_id: str | None = None

    def fitting(self, versions: ModelVersions, name: str) -> Iterator[tuple[int, ModelRecord]]:
        """Yield the versions of a name that fit, the newest first."""
        for number in reversed(versions.numbers(name)):
            record = versions.get(name, number)
            if self._fits(record) and self._fits_to_labels(versions, name, number):
                yield number, record

    def newest(self, versions: ModelVersions, name: str, version: int | None) -> tuple[int, ModelRecord]:
        """Return the newest version that fits, or the one that is asked for.

        :raises ModelNotFoundException: when there is none.
        """
        chosen = versions.chosen(name, LATEST if version is None else version)
        if self == Selection() or version is not None:
            return chosen, versions.get(name, chosen)
        found = next(self.fitting(versions, name), None)
        if found is None:
            raise ModelNotFoundException(f"No version of model {name!r} fits to {self._words()}.")
        return found

    def _fits(self, record: ModelRecord) -> bool:
        return (
            self.run_id in {None, record.run_id}
            and self.framework in {None, record.framework}
            and (self.dataset_id is None or self.dataset_id in {dataset for _, dataset in record.datasets})
        )

    def _fits_to_labels(self, versions: ModelVersions, name: str, number: int) -> bool:
        if self.tags is None and self.properties is None:  # then they need not be read
            return True
        labels = versions.labels(name, number)
        return _has(labels.tags, self.tags) and _has(labels.properties, self.properties)

    def _words(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in vars(self).items() if value is not None)


def _has(labels: Tags, wanted: Any) -> bool:
    return all(key in labels and value in {None, labels[key]} for key, value in _pairs(wanted))


def _pairs(wanted: Any) -> Iterator[tuple[str, str | None]]:
    if wanted is None:
        return
    if isinstance(wanted, Mapping):
        yield from ((str(key), str(value)) for key, value in wanted.items())
        return
    for item in [wanted] if isinstance(wanted, str) else wanted:
        if isinstance(item, str):
            yield item, None
        elif isinstance(item, (list, tuple)) and len(item) == 2:
            yield str(item[0]), str(item[1])
        else:
            raise UserError(f"{item!r} is no label to look for: give a key, or [key, value].")
