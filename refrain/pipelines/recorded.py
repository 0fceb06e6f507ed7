"""RecordedRun: what pipeline runs and step runs have in common."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.data.handle import DataHandle
from refrain.data.registered import files_definition
from refrain.errors import DataNotFoundError, ModelPathNotFoundException, RunNotFoundError, known
from refrain.storage.state import WorkspaceState
from refrain.tracking.metrics import RunLog
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_files import RunFiles

if TYPE_CHECKING:
    from refrain.data.definition import AnyDataset
    from refrain.data.models.model import Model

_LOGS = "user_logs/"
_POLL_SECONDS = 0.2
_REMOTE_POLL_SECONDS = 2.0  # each look at a remote workspace is several requests


class RecordedRun(ABC):
    """A run in a workspace; everything is read anew when asked for."""

    def __init__(self, state: WorkspaceState, run_id: str, store: RunStore | None = None) -> None:
        self.state = state
        self.store = store or RunStore(state)
        self.id = run_id

    @property
    def record(self) -> RunRecord:
        """The run's record as it is now.

        :raises RunNotFoundError: when the run has not begun.
        """
        return self.store.get(self.id)

    @property
    def name(self) -> str:
        """The pipeline's or the step's name."""
        return self.record.name

    @property
    def status(self) -> str:
        """The status in the words of the run history."""
        return self.record.status.value

    @property
    def properties(self) -> dict[str, str | None]:
        """What was recorded once and never changes, such as the git commit."""
        return {**self.record.properties, **self.logged().properties}

    @property
    def tags(self) -> dict[str, str | None]:
        """The run's tags; those that the script set later rule."""
        return {**self.record.tags, **self.logged().tags}

    def get_tags(self) -> dict[str, str | None]:
        """Return :attr:`tags`."""
        return self.tags

    def get_properties(self) -> dict[str, str | None]:
        """Return :attr:`properties`."""
        return self.properties

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags, replacing those of the same names.

        :raises RunNotFoundError: when there is no such run.
        """
        _ = self.record
        self.store.set_tags(self.id, {name: str(value) for name, value in tags.items()})

    def get_metrics(self, name: str | None = None, recursive: bool = False) -> dict[str, Any]:
        """Return the metrics by name: a value where there is one, a list where there are several.

        :param recursive: by run id instead, the steps' included; runs without metrics are left out.
        """
        own = {k: v for k, v in self.logged().metrics.items() if name is None or k == name}
        if not recursive:
            return own
        found = {self.id: own} if own else {}
        for child in self._children():
            found.update(child.get_metrics(name, recursive=True))
        return found

    def get_file_names(self) -> list[str]:
        """Return the names of the run's artifacts and logs, sorted."""
        files = self.files()
        return sorted([*files.names("artifacts"), *(_LOGS + name for name in files.names("logs"))])

    def download_file(self, name: str, output_file_path: str | None = None) -> str:
        """Copy an artifact or a log, to its base name in the current directory by default; return where it is.

        :raises DataNotFoundError: when the run has no such file.
        """
        if name not in self.get_file_names():
            raise DataNotFoundError(f"Run {self.id} has no file {name!r}. Known: {known(self.get_file_names())}.")
        is_log = name.startswith(_LOGS)
        path = os.path.join("logs", name.removeprefix(_LOGS)) if is_log else os.path.join("artifacts", name)
        target = output_file_path or os.path.basename(name)
        self.files().copy(path, Path(target))
        return target

    def register_model(  # noqa: PLR0913  # Azure ML's signature
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
        """Register an artifact, or all artifacts in a folder, as the next version of a model.

        :param model_path: their name; None means that they are called like the model.
        :raises ModelPathNotFoundException: when the run has no such artifact.
        """
        from refrain.data.models.model import Model
        from refrain.data.models.registration import described, register

        _ = sample_input_dataset, sample_output_dataset, resource_configuration, kwargs
        wanted = described(
            model_name, tags, properties, description, datasets, model_framework, model_framework_version
        )
        with tempfile.TemporaryDirectory(prefix="refrain-model-") as folder:
            version = register(wanted, self._artifact(model_path or model_name, Path(folder)), self.state, self.id)
        return Model(self, model_name, version=version)

    def _artifact(self, name: str, folder: Path) -> Path:
        """Copy an artifact, or all that are in a folder, and return where the copy is."""
        files, wanted = self.files(), name.strip("/")
        names = files.names("artifacts")
        chosen = [found for found in names if found == wanted or found.startswith(f"{wanted}/")]
        if not chosen:
            raise ModelPathNotFoundException(
                f"Run {self.id} has no artifact {name!r} to register as a model. Known: {known(names)}."
            )
        for found in chosen:
            target = folder / found
            target.parent.mkdir(parents=True, exist_ok=True)
            files.copy(os.path.join("artifacts", found), target)
        return folder / wanted

    def get_details(self) -> dict[str, Any]:
        """Return id, status, times, properties, datasets and error, under the names that Azure ML uses.

        Each of ``inputDatasets`` and ``outputDatasets`` has a dataset object under ``dataset``.
        """
        record = self.record
        return {
            "runId": self.id,
            "status": self.status,
            "created": record.created,
            "startTime": record.started,
            "endTime": record.ended,
            "properties": self.properties,
            "tags": self.tags,
            "parameters": dict(record.parameters),
            "inputDatasets": [self._read(name, **read) for name, read in record.datasets.get("read", {}).items()],
            "outputDatasets": [self._wrote(name, record) for name in record.outputs],
            "reusedFrom": record.reused_from,
            "decision": dict(record.decision),
            "error": record.error,
        }

    @property
    def pause(self) -> float:
        """How long to wait between two looks at a run that goes on, in seconds."""
        return _POLL_SECONDS if self.state.is_local else _REMOTE_POLL_SECONDS

    def _read(self, name: str, mode: str, dataset: Mapping[str, Any]) -> dict[str, Any]:
        found = self._dataset(dataset)
        details = {"type": "RunInput", "inputName": name, "mechanism": mode.capitalize()}
        return {"dataset": found, "identifier": {"savedId": found.id}, "consumptionDetails": details}

    def _dataset(self, definition: Mapping[str, Any]) -> AnyDataset:
        from refrain.data.definition import dataset_from
        from refrain.data.tabular.access import StoreAccess

        return dataset_from(definition, StoreAccess(self.state.stores))

    def _wrote(self, name: str, record: RunRecord) -> dict[str, Any]:
        handle = DataHandle.from_json(record.outputs[name])
        # A record of an earlier Refrain has no definitions: its outputs are the files that are there.
        files = files_definition("", handle.location)
        found = self._dataset(record.datasets.get("wrote", {}).get(name, files))
        return {
            "name": name,
            **handle.to_json(),
            "dataset": found,
            "identifier": {"savedId": found.id},
            "outputType": "RunOutput",
            "outputDetails": {"outputName": name},
        }

    @abstractmethod
    def logged(self) -> RunLog:
        """Return what was logged for this run."""

    def _children(self) -> Iterator[RecordedRun]:
        yield from ()

    def files(self) -> RunFiles:
        """Return the run's files; of a reused step, those of the run that made the result."""
        return self.store.files(self.id)

    def _record_or_none(self) -> RunRecord | None:
        try:
            return self.record
        except RunNotFoundError:
            return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
