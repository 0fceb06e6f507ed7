"""UsedModels: what one step run has to do with registered models."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.data.ports import FromModel
from refrain.errors import RefrainError
from refrain.execution.inputs import ResolvedInput
from refrain.storage.state import WorkspaceState
from refrain.storage.unfinished import UnfinishedWork
from refrain.tracking.record import RunRecord, RunStore

if TYPE_CHECKING:
    from refrain.data.models.use import ModelUse

_KEPT = "models"


class UsedModels:
    """The models among a step's inputs, and those that its script asks for while it runs."""

    def __init__(self, inputs: Iterable[ResolvedInput] = ()) -> None:
        self._inputs = [item for item in inputs if item.version is not None]
        self._asked: list[ModelUse] = []
        self._kept: Path | None = None
        self.read_by: Mapping[str, str] = {}
        """Where the step's process finds its inputs, by name."""

    def add(self, use: ModelUse) -> None:
        """Note what the script was told; also for later tries of the same work, where there may be some."""
        if use in self._asked:
            return
        self._asked.append(use)
        if self._kept is not None:
            with self._kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(use.to_json()) + "\n")

    def settled(self, name: str) -> int | None:
        """Return which version the newest one is for the rest of this step; None while nobody has asked.

        Else a result could be made half by one model and half by another.
        """
        decided = (use.version for use in reversed(self._asked) if use.name == name and use.decides_newest)
        return next(decided, None)

    def go_on_with(self, unfinished: UnfinishedWork, state: WorkspaceState) -> str:
        """Take over what the scripts of earlier tries were told; where that holds no more, their work goes.

        :returns: why it went; empty when it stays.
        """
        self._kept = unfinished.folder / _KEPT
        if not self._kept.exists():
            return ""
        from refrain.data.models.record import ModelVersions

        told, versions = list(_told(self._kept)), ModelVersions(state.registry)
        void = next(filter(None, (use.pinned.why_void(versions) for use in told)), "")
        if void:
            unfinished.remove()
        else:
            self._asked += told
        return void

    def path(self, name: str, version: int | None) -> str | None:
        """Return where the step's process has a model among its inputs, of any version for None; the newest of several.

        None means that it has none.
        """
        item = self._input(name, version)
        return None if item is None else self.read_by[item.port.name]

    def declared(self, name: str) -> tuple[int | str, int | None] | None:
        """Return which version of a model is among the inputs, as asked for and its number; None without one."""
        item = self._input(name, None)
        if item is None or not isinstance(item.port.source, FromModel):
            return None
        return item.port.source.version or "latest", item.version

    def to_json(self) -> list[dict[str, Any]]:
        """Return all as a run record keeps them."""
        if not self._inputs and not self._asked:
            return []
        from refrain.data.models.use import How, ModelUse

        declared = [
            ModelUse(How.INPUT, _name(i), i.port.source.version or "latest", i.version or 0, i.handle.digest)
            for i in self._inputs
            if isinstance(i.port.source, FromModel)
        ]
        return [use.to_json() for use in (*declared, *self._asked)]

    def _input(self, name: str, version: int | None) -> ResolvedInput | None:
        fitting = [item for item in self._inputs if _name(item) == name and version in {None, item.version}]
        return max(fitting, key=lambda item: item.version or 0, default=None)

    @contextmanager
    def noted(self, runs: RunStore, record: RunRecord) -> Iterator[None]:
        """Write what was used to the record of a step that fails in the block; else its next status brings it along."""
        try:
            yield
        except BaseException:
            if self._asked or self._inputs:
                with contextlib.suppress(RefrainError):  # why the block failed is more worth knowing
                    # Read anew, since the step's body may have written to it.
                    runs.update(runs.get(record.run_id), models=self.to_json())
            raise


def of_script(models: Iterable[Mapping[str, Any]]) -> tuple[ModelUse, ...]:
    """Return, of what a run record keeps, all that no fingerprint counts."""
    if not models:
        return ()
    from refrain.data.models.use import How, ModelUse

    uses = map(ModelUse.from_json, models)
    return tuple(use for use in uses if use.how is not How.INPUT)


def _told(path: Path) -> Iterator[ModelUse]:
    from refrain.data.models.use import ModelUse

    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # a try was killed while it wrote
            yield ModelUse.from_json(json.loads(line))


def _name(item: ResolvedInput) -> str:
    return item.port.source.name if isinstance(item.port.source, FromModel) else ""
