"""The context of a step: what the engine tells the script's run about itself, read from the run's folder."""

from __future__ import annotations

import json
import os

from refrain.runtime.datasets import InputDatasets
from refrain.runtime.errors import RunEnvironmentException
from refrain.runtime.links import OutputLink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from refrain.runtime.models import Model

SCHEMA = 1
_VARIABLE = "REFRAIN_RUN_DIR"


class Workspace:
    """The workspace of the run as its step knows it: a name, a root, and models."""

    def __init__(self, name: str, root: str) -> None:
        self.name = name
        self.root = root
        self.subscription_id = os.environ.get("AZUREML_ARM_SUBSCRIPTION", "")
        self.resource_group = os.environ.get("AZUREML_ARM_RESOURCEGROUP", "")

    @property
    def models(self) -> dict[str, Model]:
        """The newest version of every registered model, by name."""
        from refrain.runtime.models import Model  # most scripts ask for none

        return {model.name: model for model in Model.list(self, latest=True)}

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__.get("name")
        raise AttributeError(
            f"Inside a step, the workspace '{known}' knows only its name, its root and its models, not '{name}'. "
            "Open it with refrain.Workspace(run.experiment.workspace.root)."
        )

    def __repr__(self) -> str:
        return f"Workspace(name={self.name!r}, root={self.root!r})"


class Experiment:
    """The experiment of the run: a name and a workspace."""

    def __init__(self, name: str, workspace: Workspace) -> None:
        self.name = name
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"Experiment(name={self.name!r}, workspace={self.workspace!r})"


class RunContext:
    """What the engine wrote about one run of a step; *folder* is where that run keeps its files."""

    def __init__(self, folder: str, content: dict[str, Any]) -> None:
        workspace = content["workspace"]
        parent = content.get("parent") or {}
        self.folder = folder
        self.run_id: str = content["run_id"]
        self.name: str = content["name"]
        self.experiment = Experiment(content["experiment"], Workspace(workspace["name"], workspace["root"]))
        self.parent_id: str | None = parent.get("run_id")
        self.parent_name: str = parent.get("name") or parent.get("run_id", "")
        self.parent_tags: dict[str, str | None] = parent.get("tags") or {}
        self.parent_properties: dict[str, str] = parent.get("properties") or {}
        self.input_datasets = InputDatasets(content.get("input_datasets") or {}, content.get("datasets") or {})
        links = content.get("output_links") or {}
        self.output_datasets: dict[str, str | OutputLink] = dict(content.get("output_datasets") or {})
        self.output_datasets.update({name: OutputLink(name, **link) for name, link in links.items()})
        self.tags: dict[str, str | None] = content.get("tags") or {}
        self.properties: dict[str, str] = content.get("properties") or {}
        self.number = int(content.get("number") or 1)
        self.target: str = content.get("target") or "local"
        self.questions: str | None = content.get("questions")
        self.started = os.stat(os.path.join(folder, "context.json")).st_mtime

    def labels(self, run: str) -> tuple[dict[str, str | None], dict[str, str]]:
        """Return the tags and the properties with which *run*, as events name it, was started."""
        if run == "":
            return self.tags, self.properties
        return (self.parent_tags, self.parent_properties) if run == ".." else ({}, {})

    @property
    def events(self) -> str:
        """The path of the file of events."""
        return os.path.join(self.folder, "events.jsonl")


def current_folder() -> str | None:
    """Return the folder of the run that this process belongs to, or None outside of a run."""
    folder = os.environ.get(_VARIABLE)
    if not folder or not os.path.isfile(os.path.join(folder, "context.json")):
        return None
    return os.path.abspath(folder)


def current_inputs() -> InputDatasets:
    """Return the input datasets of the run that this process belongs to; none outside of a run.

    :raises RunEnvironmentException: if its context cannot be understood.
    """
    folder = current_folder()
    return read_context(folder).input_datasets if folder else InputDatasets({}, {})


def read_context(folder: str) -> RunContext:
    """Read the context in *folder*.

    :raises RunEnvironmentException: if it cannot be understood.
    """
    path = os.path.join(folder, "context.json")
    try:
        with open(path, "rb") as stream:
            content = json.loads(stream.read())
        if content["schema"] > SCHEMA:
            raise RunEnvironmentException(
                f"The run's context '{path}' has schema {content['schema']}, but {SCHEMA} is the newest known here. "
                "Use the same version of refrain in the step as in the engine."
            )
        return RunContext(folder, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunEnvironmentException(
            f"The run's context '{path}' cannot be read ({type(error).__name__}: {error}). "
            "It is written by the engine before the script starts: run the step again."
        ) from error
