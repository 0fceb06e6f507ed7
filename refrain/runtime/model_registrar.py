"""ModelRegistrar: how a run registers what it has written as a model."""

# ruff: noqa: ARG002 - the signatures are Azure ML's

from __future__ import annotations

import os

from refrain.runtime.artifacts import artifact_name, files_below
from refrain.runtime.errors import ModelPathNotFoundException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    from refrain.runtime.journal import Journal
    from refrain.runtime.models import Model

_OWN_FOLDERS = ("outputs", "logs")  # of the working directory; they become artifacts when the script has ended


class ModelRegistrar:
    """A run that can register models."""

    _journal: Journal

    def register_model(  # noqa: PLR0913 - Azure ML's signature
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, Any]] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
        **kwargs: Any,
    ) -> Model:
        """Register a file or a folder among the run's artifacts, or below ``./outputs`` or ``./logs``, as a model.

        :param model_path: its name among them; None means that it is called like the model.
        :raises ModelPathNotFoundException: if there is none.
        """
        from refrain.runtime.models import Model  # most scripts register none

        return Model.register(
            self._journal.context.experiment.workspace,
            self._found(model_path or model_name),
            model_name,
            tags,
            properties,
            description,
            datasets,
            model_framework,
            model_framework_version,
        )

    def _found(self, model_path: str) -> str:
        name = artifact_name(model_path.rstrip("/") or model_path)
        uploaded = self._journal.artifacts.path(name)
        if os.path.exists(uploaded):
            return uploaded
        if name.split("/")[0] in _OWN_FOLDERS and os.path.exists(name):
            return name
        own = [f"{folder}/{file}" for folder in _OWN_FOLDERS for file, _ in files_below(folder)]
        known = ", ".join(sorted({*self._journal.artifacts.names(), *own})) or "none"
        raise ModelPathNotFoundException(
            f"This run has no file or folder '{model_path}' to register as a model. It has: {known}. "
            "Write it below ./outputs, or upload it first; Model.register takes any other path."
        )
