"""ModelDesk: answers what the script of a step asks about registered models, and remembers what it was told.

The script has no credentials and may know nothing of the workspace; the engine has both. What a script was told decides
its result and stands in no fingerprint, so that the result is used again only while everybody would be told the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from refrain.data.models.model import Model
from refrain.data.models.record import ModelVersions
from refrain.data.models.registration import described, register
from refrain.data.models.use import How, ModelUse
from refrain.data.ports import MODELS_FOLDER
from refrain.data.versions import LATEST
from refrain.errors import UserError
from refrain.execution.used_models import UsedModels
from refrain.storage.state import WorkspaceState
from refrain.tracking.questions import Document

_CHANGES = ("delete", "update", "update_tags_properties")


@dataclass(frozen=True)
class _Workspace:
    state: WorkspaceState


class ModelDesk:
    """The desk of one step run, or of a script that is tried out.

    :param models: what has been told so far.
    :param folder: the process's working directory, into which models are copied.
    :param run_id: the step run that registers what its script registers; empty for a user.
    :param warn: told of what a reused result would depend on without a sign of it.
    """

    def __init__(
        self,
        state: WorkspaceState,
        models: UsedModels,
        folder: Path,
        run_id: str = "",
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._models = models
        self._folder = folder
        self._run_id = run_id
        self._warn = warn
        self._workspace = _Workspace(state)
        self._versions = ModelVersions(state.registry)
        self._warned: set[str] = set()

    def answer(self, question: Document) -> Document:
        """Answer one question.

        :raises RefrainError: when the answer is that it cannot be.
        """
        asked, values = question["ask"], dict(question["values"])
        answers: dict[str, Callable[[dict[str, Any]], Document]] = {
            "path": self._path,
            "find": self._find,
            "list": self._list,
            "register": self._register,
            **{change: partial(self._change, change) for change in _CHANGES},
        }
        if asked not in answers:
            raise UserError(f"The engine knows no question {asked!r} about models; use the same version of Refrain.")
        return answers[asked](values)

    def _path(self, values: dict[str, Any]) -> Document:
        name, version = values["name"], values["version"]
        declared = self._models.path(name, version)
        if declared is not None:
            return {"path": declared}
        number = self._note(How.READ, name, version, {})
        model = Model(self._workspace, name, version=number or version)
        folder = self._folder / MODELS_FOLDER / name / str(model.version)
        return {"path": model.download(folder, exist_ok=True)}

    def _find(self, values: dict[str, Any]) -> Document:
        model_id, version = values.pop("id"), values.pop("version")
        if not values["name"]:
            named = Model(self._workspace, id=model_id)
            values["name"], version = named.name, named.version
        number = self._note(How.SEEN, values["name"], version, _selection(values))
        return _told(Model(self._workspace, version=number or version, **values))

    def _list(self, values: dict[str, Any]) -> Document:
        self._add(ModelUse.of(self._versions, How.LISTED, values["name"] or "", LATEST, _selection(values)))
        return {"models": [model.serialize() for model in Model.list(self._workspace, **values)]}

    def _register(self, values: dict[str, Any]) -> Document:
        name, path = values.pop("model_name"), Path(values.pop("model_path"))
        framework, version = values.pop("model_framework"), values.pop("model_framework_version")
        wanted = described(name, framework=framework, framework_version=version, **values)
        number = register(wanted, path, self._workspace.state, self._run_id)
        self._add(ModelUse.of(self._versions, How.REGISTERED, name, number))
        return _told(Model(self._workspace, name, version=number))

    def _change(self, change: str, values: dict[str, Any]) -> Document:
        model = Model(self._workspace, id=values.pop("id"))
        getattr(model, change)(**values)
        return _told(model)

    def _note(self, how: How, name: str, version: int | None, selection: dict[str, Any]) -> int:
        """Note what is told, and return the version, 0 for none; which is the newest is the same for the whole step."""
        asked, settled = LATEST if version is None else version, None
        if version is None and not selection:
            # Of a declared one only the content is counted; of what else is told, the next run must be told the same.
            asked, settled = self._models.declared(name) or (LATEST, self._models.settled(name))
        use = ModelUse.of(self._versions, how, name, settled or asked, selection)
        self._add(replace(use, asked=asked))
        return use.version

    def _add(self, use: ModelUse) -> None:
        self._models.add(use)
        if use.is_newest and use.version and use.name not in self._warned and not self._models.declared(use.name):
            self._warned.add(use.name)
            self._warn(
                f"its script asked for the newest version of model {use.name!r}, {use.version}, which is not among its "
                "inputs: the result is used again only while that stays the newest one. To have it counted like other "
                f"data, put ModelInput({use.name!r}) among the inputs.",
            )


def _selection(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else than a name and a version was asked for."""
    wanted = {key: values.get(key) for key in ("tags", "properties", "run_id", "dataset_id")}
    wanted["framework"] = values.get("model_framework")
    return {key: value for key, value in wanted.items() if value is not None}


def _told(model: Model) -> Document:
    return {"model": model.serialize()}
