"""UsedModels: what one step run has to do with registered models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refrain.data.ports import FromModel
from refrain.execution.inputs import ResolvedInput
from refrain.tracking.record import RunRecord, RunStore

if TYPE_CHECKING:
    from refrain.data.models.use import ModelUse


class UsedModels:
    """The models among a step's inputs, and those that its script asks for while it runs."""

    def __init__(self, inputs: Iterable[ResolvedInput] = ()) -> None:
        self._inputs = [item for item in inputs if item.version is not None]
        self.asked: list[ModelUse] = []
        """What the script asked for; added to by the thread that answers."""

    def input_for(self, name: str, version: int | None) -> ResolvedInput | None:
        """Return the input by which a step has a model, of any version for None; the newest of several."""
        fitting = [item for item in self._inputs if _name(item) == name and version in {None, item.version}]
        return max(fitting, key=lambda item: item.version or 0, default=None)

    def to_json(self) -> list[dict[str, Any]]:
        """Return all as a run record keeps them."""
        from refrain.data.models.use import How, ModelUse

        declared = [
            ModelUse(How.INPUT, _name(i), i.port.source.version or "latest", i.version or 0, i.handle.digest)
            for i in self._inputs
            if isinstance(i.port.source, FromModel)
        ]
        return [use.to_json() for use in (*declared, *self.asked)]

    @contextmanager
    def noted(self, runs: RunStore, record: RunRecord) -> Iterator[None]:
        """Write what was used to the record when the block ends, however it does."""
        try:
            yield
        finally:
            if self.asked or self._inputs:
                runs.update(record, models=self.to_json())


def of_script(models: Iterable[Mapping[str, Any]]) -> tuple[ModelUse, ...]:
    """Return, of what a run record keeps, all that no fingerprint counts."""
    if not models:
        return ()
    from refrain.data.models.use import How, ModelUse

    uses = map(ModelUse.from_json, models)
    return tuple(use for use in uses if use.how is not How.INPUT)


def _name(item: ResolvedInput) -> str:
    return item.port.source.name if isinstance(item.port.source, FromModel) else ""
