"""Models, as the script of a step uses them: the engine, which alone knows the workspace, is asked for each."""

# ruff: noqa: ARG002, ARG004 - the signatures are Azure ML's

from __future__ import annotations

import os

from refrain.runtime.context import current_folder, read_context
from refrain.runtime.errors import (
    ModelNotFoundException,
    ModelPathNotFoundException,
    RunEnvironmentException,
    RunException,
    UserErrorException,
)
from refrain.runtime.questions import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping, Sequence

_VARIABLE = "REFRAIN_QUESTIONS"  # for a script that is tried out, and has no run
_KINDS = {
    "ModelNotFoundException": ModelNotFoundException,
    "ModelPathNotFoundException": ModelPathNotFoundException,
    "UserError": UserErrorException,
}


class Model:
    """One version of a registered model.

    :param workspace: that of the run, ``run.experiment.workspace``.
    :param name: its name; the newest version that fits to the rest is taken.
    :param id: ``name:version``, instead of the two.
    :raises ModelNotFoundException: if there is none.
    """

    def __init__(  # noqa: PLR0913 - Azure ML's signature
        self,
        workspace: Any,
        name: str | None = None,
        id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
        **kwargs: Any,
    ) -> None:
        found = kwargs.get("_found")
        if found is None:
            _require_own(workspace)
            wanted = {"name": name, "id": id, "tags": tags, "properties": properties, "version": version}
            found = _told("find", {**wanted, "run_id": run_id, "model_framework": model_framework})["model"]
        self.workspace = workspace
        self._known: dict[str, Any] = found

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Any = None) -> str:
        """Return the path of a model's file or folder: of one that is an input of the step, that of the input.

        Any other is copied to ``azureml-models/<name>/<version>/`` in the step's working directory.

        :param version: a number; None means that of the input, else the newest one.
        :raises ModelNotFoundException: if there is no such model.
        """
        _require_own(_workspace)
        return str(_told("path", {"name": model_name, "version": version})["path"])

    @staticmethod
    def register(  # noqa: PLR0913 - Azure ML's signature
        workspace: Any,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, Any]] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
    ) -> Model:
        """Register a file or a folder as the next version of a name.

        :raises ModelPathNotFoundException: if nothing is there.
        """
        _require_own(workspace)
        print(f"Registering model {model_name}")  # noqa: T201 - as Azure ML does
        wanted = {
            "model_path": os.path.abspath(model_path),
            "model_name": model_name,
            "tags": tags,
            "properties": properties,
            "description": description,
            "datasets": [[str(scenario), str(getattr(data, "id", data))] for scenario, data in datasets or ()],
            "model_framework": model_framework,
            "model_framework_version": model_framework_version,
            "child_paths": None if child_paths is None else list(child_paths),
        }
        return Model(workspace, _found=_told("register", wanted)["model"])

    @staticmethod
    def list(  # noqa: PLR0913 - Azure ML's signature
        workspace: Any,
        name: str | None = None,
        tags: Any = None,
        properties: Any = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> list[Model]:
        """Return the versions that fit, those of one name together, the newest first."""
        _require_own(workspace)
        wanted = {"name": name, "tags": tags, "properties": properties, "run_id": run_id, "latest": latest}
        found = _told("list", {**wanted, "dataset_id": dataset_id, "model_framework": model_framework})
        return [Model(workspace, _found=one) for one in found["models"]]

    @property
    def name(self) -> str:
        """The name."""
        return str(self._known["name"])

    @property
    def version(self) -> int:
        """The version."""
        return int(self._known["version"])

    @property
    def id(self) -> str:
        """The id: ``name:version``."""
        return str(self._known["id"])

    @property
    def description(self) -> str | None:
        """The description."""
        return self._text("description")

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        return dict(self._known["tags"])

    @property
    def properties(self) -> dict[str, str]:
        """The properties."""
        return dict(self._known["properties"])

    @property
    def model_framework(self) -> str | None:
        """What made it."""
        return self._text("framework")

    @property
    def model_framework_version(self) -> str | None:
        """The version of that."""
        return self._text("frameworkVersion")

    @property
    def run_id(self) -> str | None:
        """The step run that registered it."""
        return self._text("runId")

    @property
    def url(self) -> str:
        """Where its file or folder is stored."""
        return str(self._known["url"])

    def download(
        self, target_dir: str | os.PathLike[str] = ".", exist_ok: bool = False, exists_ok: bool | None = None
    ) -> str:
        """Copy the file or the folder below *target_dir* and return its path.

        :raises UserErrorException: if something is there, unless *exist_ok* is set.
        """
        import shutil

        source = Model.get_model_path(self.name, self.version)
        target = os.path.join(target_dir, os.path.basename(source))
        if os.path.lexists(target) and os.path.samefile(source, target):
            return target
        if os.path.lexists(target) and not (exist_ok or exists_ok):
            raise UserErrorException(f"'{target}' is there already. Pass exist_ok=True to replace it.")
        os.makedirs(target_dir, exist_ok=True)
        if os.path.isdir(source):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        return target

    def delete(self) -> None:
        """Forget this version, whose number no other version gets."""
        self._change("delete", {})

    def update(self, tags: Mapping[str, Any] | None = None, description: str | None = None, **kwargs: Any) -> None:
        """Replace the description and the tags, as far as they are given."""
        self._change("update", {"tags": tags, "description": description})

    def update_tags_properties(
        self,
        add_tags: Mapping[str, Any] | None = None,
        remove_tags: Iterable[str] | None = None,
        add_properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Set tags, remove tags by their keys, and add properties, which never change."""
        removed = None if remove_tags is None else list(remove_tags)
        wanted = {"add_tags": add_tags, "remove_tags": removed, "add_properties": add_properties}
        self._change("update_tags_properties", wanted)

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; others stay."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Remove tags by their keys."""
        self.update_tags_properties(remove_tags=tags)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties, which never change."""
        self.update_tags_properties(add_properties=properties)

    def serialize(self) -> dict[str, Any]:
        """Return what is known of the model."""
        return dict(self._known)

    def _change(self, what: str, values: dict[str, Any]) -> None:
        self._known = _told(what, {"id": self.id, **values})["model"]

    def _text(self, key: str) -> str | None:
        value = self._known[key]
        return None if value is None else str(value)

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, version={self.version})"


def _told(what: str, values: dict[str, Any]) -> dict[str, Any]:
    """Ask the engine.

    :raises RunException: if it refuses, under the name that Azure ML gives to the error.
    """
    folder = current_folder()
    questions = os.environ.get(_VARIABLE) if folder is None else read_context(folder).questions
    if questions is None:
        raise RunEnvironmentException(
            "This process is not a step of a pipeline run that can ask for models. Start the script through a pipeline."
        )
    answer = ask(questions, {"ask": what, "values": values})
    if "error" in answer:
        raise _KINDS.get(answer["error"]["type"], RunException)(answer["error"]["message"])
    return answer


def _require_own(workspace: Any) -> None:
    """Refuse another workspace than that of the run: the engine knows no other one."""
    folder = current_folder()
    if workspace is None or folder is None:
        return
    own, given = read_context(folder).experiment.workspace.root, str(getattr(workspace, "root", workspace))
    if own != given:
        raise UserErrorException(
            f"Inside a step, models are those of its own workspace '{own}', not of '{given}'. Pass "
            "run.experiment.workspace."
        )
