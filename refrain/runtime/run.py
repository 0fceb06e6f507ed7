"""Run: what a script says about its own run, in the words of Azure ML.

Everything is written at once into the run's folder, as events and artifacts: no network, no credentials, no thread.
"""

# ruff: noqa: ARG002, ARG003 - the signatures are Azure ML's

from __future__ import annotations

import os
import time
import warnings

from refrain.runtime import events, metrics
from refrain.runtime.children import child_id, child_labels, has_labels, new_suffix
from refrain.runtime.context import current_folder, read_context
from refrain.runtime.datasets import InputDatasets
from refrain.runtime.documents import error_document
from refrain.runtime.errors import RunEnvironmentException, UserErrorException
from refrain.runtime.journal import Journal
from refrain.runtime.model_registrar import ModelRegistrar
from refrain.runtime.offline import _OfflineRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Iterable, Iterator, Mapping, NoReturn, Sequence

    from refrain.runtime.context import Experiment
    from refrain.runtime.links import OutputLink

__all__ = ["Run", "_OfflineRun"]

_CURRENT: dict[str, Run] = {}  # by folder, one run each; setdefault is atomic, so there is no lock for a fork to copy
_OFFLINE: dict[str, _OfflineRun] = {}
_TYPES = {events.OWN: "azureml.StepRun", events.PARENT: "azureml.PipelineRun"}


class Run(ModelRegistrar):
    """One run: the step's own, the pipeline run above it, or a child run that the script made.

    A script gets its own with ``Run.get_context()``.
    """

    def __init__(self, journal: Journal, name: str, parent: Run | None, outputs: str | None = None) -> None:
        self._journal = journal
        self._name = name
        self._parent = parent
        self._outputs = outputs

    @classmethod
    def get_context(
        cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: object
    ) -> Run | _OfflineRun:
        """Return the run that this process belongs to, always the same object.

        :param allow_offline: outside of a pipeline run, return a run that prints instead of raising.
        :raises RunEnvironmentException: outside of a pipeline run, if *allow_offline* is False.
        """
        folder = current_folder()
        if folder is not None:
            return _CURRENT.get(folder) or _CURRENT.setdefault(folder, _run_of(folder))
        if not allow_offline:
            raise RunEnvironmentException(
                "This process is not a step of a pipeline run: REFRAIN_RUN_DIR names no folder with a context.json. "
                "Start the script through a pipeline, or call Run.get_context() without allow_offline=False."
            )
        return _OFFLINE.get("") or _OFFLINE.setdefault("", _OfflineRun())

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, name={self._name!r})"

    @property
    def id(self) -> str:
        """The id of the run."""
        return self._journal.run_id

    @property
    def name(self) -> str:
        """The name: of the step, of the pipeline, or ``parent>name`` of a child run."""
        return self._name

    @property
    def number(self) -> int:
        """The number of the run, counted by the engine from 1."""
        warnings.warn("Run.number is deprecated. Use Run.id.", DeprecationWarning, stacklevel=2)
        return self._journal.context.number

    @property
    def type(self) -> str:
        """What kind of run it is."""
        return _TYPES.get(self._journal.key, "azureml.scriptrun")

    @property
    def experiment(self) -> Experiment:
        """The experiment, which knows its name and its workspace."""
        return self._journal.context.experiment

    @property
    def parent(self) -> Run | None:
        """The run above: the pipeline run of a step, the step run of a child; None for the pipeline run."""
        return self._parent

    @property
    def input_datasets(self) -> InputDatasets:
        """Each input dataset by name: a path where it is mounted or downloaded, otherwise a dataset object."""
        return self._journal.context.input_datasets if self._is_own else InputDatasets({}, {})

    @property
    def output_datasets(self) -> dict[str, str | OutputLink]:
        """By name, the path of each output dataset, or what links an output to a dataset."""
        return dict(self._journal.context.output_datasets) if self._is_own else {}

    @property
    def display_name(self) -> str:
        """The name to show; settable."""
        return self._journal.logged().display.get("display_name", self._name)

    @display_name.setter
    def display_name(self, value: str) -> None:
        self._journal.show_as("display_name", value)

    @property
    def description(self) -> str:
        """The description to show; settable."""
        return self._journal.logged().display.get("description", "")

    @description.setter
    def description(self, value: str) -> None:
        self._journal.show_as("description", value)

    @property
    def status(self) -> str:
        """The state of the run: ``Running``, or what a child run ended with."""
        return self._journal.logged().status or "Running"

    def get_status(self) -> str:
        """Return the state of the run."""
        return self.status

    def get_details(self) -> dict[str, Any]:
        """Return what is known of the run while it runs, under Azure ML's keys."""
        logged, context = self._journal.logged(), self._journal.context
        log = os.path.join(context.folder, "logs", "std_log.txt")
        return {
            "runId": self.id,
            "target": context.target,
            "status": logged.status or "Running",
            "startTimeUtc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(logged.started or context.started)),
            "tags": logged.tags,
            "properties": logged.properties,
            "inputDatasets": self.input_datasets.details(),
            "outputDatasets": [{"outputDetails": {"outputName": name}} for name in self.output_datasets],
            "logFiles": {"user_logs/std_log.txt": log} if self._is_own else {},
            **({"error": {"error": logged.error}} if logged.error else {}),
        }

    def log(self, name: str, value: object, description: str = "", step: int | None = None) -> None:
        """Log one value of a metric; the same name again appends another."""
        self._journal.write(metrics.scalar_event(name, value, description, step))

    def log_list(self, name: str, value: Iterable[object], description: str = "") -> None:
        """Log several values of a metric, from any iterable."""
        self._journal.write(*metrics.list_events(name, value, description))

    def log_row(self, name: str, description: str | None = None, **kwargs: object) -> None:
        """Log one row of a table, a keyword for each column."""
        self._journal.write(metrics.row_event(name, kwargs, description))

    def log_table(self, name: str, value: Mapping[str, object], description: str = "") -> None:
        """Log a table, given as a dict of columns of equal length."""
        self._journal.write(*metrics.table_events(name, value, description))

    def log_image(
        self, name: str, path: str | os.PathLike[str] | None = None, plot: object = None, description: str = ""
    ) -> None:
        """Log an image: the file at *path*, or *plot*, a figure or the module pyplot."""
        self._journal.add_image(name, path, plot, description)

    def log_confusion_matrix(self, name: str, value: object, description: str = "") -> None:
        """Log a confusion matrix, a dict or its JSON."""
        self._journal.add_document("confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: object, description: str = "") -> None:
        """Log an accuracy table, a dict or its JSON."""
        self._journal.add_document("accuracy_table", name, value, description)

    def log_residuals(self, name: str, value: object, description: str = "") -> None:
        """Log residuals, a dict or its JSON."""
        self._journal.add_document("residuals", name, value, description)

    def log_predictions(self, name: str, value: object, description: str = "") -> None:
        """Log predictions, a dict or its JSON."""
        self._journal.add_document("predictions", name, value, description)

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: str | None = None, populate: bool = False
    ) -> dict[str, Any]:
        """Return what was logged so far: a scalar for one value, a list for several, a dict of columns for a table.

        Of the pipeline run it knows only what this step logged there.

        :param recursive: by run id, with child runs; those without metrics are left out.
        :param run_type: with *recursive*, only runs of this type.
        :param populate: the content of confusion matrices and their like instead of their URIs.
        """
        if not recursive:
            return self._journal.get_metrics(name, populate)
        runs = [run for run in (self, *self.get_children(recursive=True)) if run_type in {None, run.type}]
        found = {run.id: run._journal.get_metrics(name, populate) for run in runs}
        return {run_id: values for run_id, values in found.items() if values}

    @property
    def tags(self) -> dict[str, str | None]:
        """The tags."""
        return self._journal.logged().tags

    @property
    def properties(self) -> dict[str, str | None]:
        """The properties."""
        return self._journal.logged().properties

    def get_tags(self) -> dict[str, str | None]:
        """Return the tags."""
        return self.tags

    def get_properties(self) -> dict[str, str | None]:
        """Return the properties."""
        return self.properties

    def tag(self, key: str, value: str | None = None) -> None:
        """Set one tag; the last value wins."""
        self._journal.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Set tags; others stay."""
        self._journal.set_tags(tags)

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Remove tags by their keys."""
        self._journal.remove_tags(tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Add properties, which never change; none of them if one has another value already."""
        self._journal.add_properties(properties)

    def upload_file(
        self, name: str, path_or_stream: str | os.PathLike[str] | IO[Any], datastore_name: str | None = None
    ) -> None:
        """Keep a file, or what a stream holds, as artifact *name*."""
        self._journal.add_file(name, path_or_stream)

    def upload_files(
        self,
        names: Sequence[str],
        paths: Sequence[str],
        return_artifacts: bool = False,
        timeout_seconds: float | None = None,
        datastore_name: str | None = None,
    ) -> None:
        """Keep files as artifacts; none of them if one name is taken."""
        if len(names) != len(paths):
            raise UserErrorException(f"upload_files got {len(names)} names and {len(paths)} paths. Give one path each.")
        self._journal.add_files(list(zip(names, paths)))

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> None:
        """Keep every file below the folder *path* as an artifact below *name*; ``.`` is the root of the run."""
        self._journal.add_folder(name, path)

    def get_file_names(self) -> list[str]:
        """Return the names of the artifacts, sorted."""
        return self._journal.artifacts.names()

    def download_file(self, name: str, output_file_path: str | None = None, _validate_checksum: bool = False) -> None:
        """Copy artifact *name* to a file or into a folder; by default into the working directory."""
        target = output_file_path or os.curdir
        into = os.path.join(target, os.path.basename(name)) if os.path.isdir(target) else target
        self._journal.artifacts.copy_out(name, into)

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | None = None,
        output_paths: Sequence[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Copy all artifacts whose names begin with *prefix* into a folder, or to *output_paths*, in order of names."""
        self._journal.artifacts.copy_all(prefix or "", output_directory or os.curdir, output_paths, append_prefix)

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: str | None = None) -> Run:
        """Create and start a child run.

        :param outputs: a folder whose files become the child's artifacts below ``outputs/`` when it ends.
        """
        self._refuse_for_pipeline("child_run")
        suffix = new_suffix()
        child = child_id(self.id, run_id, suffix)
        full_name = f"{self._name}>{name or suffix}"
        self._journal.write({"kind": "child", "id": child, "name": full_name})
        run = Run(Journal(self._journal.context, child, child), full_name, self, outputs)
        run._journal.write({"kind": "status", "status": "Running"})
        return run

    def create_children(
        self, count: int | None = None, tag_key: str | None = None, tag_values: Sequence[str] | None = None
    ) -> list[Run]:
        """Create *count* child runs, or one for each of *tag_values*, tagged with it; at most 100."""
        children = []
        for labels in child_labels(count, tag_key, tag_values):
            children.append(self.child_run())
            children[-1].set_tags(labels)
        return children

    def get_children(
        self, recursive: bool = False, tags: Any = None, properties: Any = None, type: Any = None, status: Any = None
    ) -> Iterator[Run]:
        """Yield the child runs, newest first, each before its own children.

        :param tags: a key, or a dict of keys and values, that a child must have; *properties* likewise.
        """
        for child, name in reversed(list(self._journal.logged().children.items())):
            run = Run(Journal(self._journal.context, child, child), name, self)
            logged = run._journal.logged()
            is_wanted = type in {None, run.type} and status in {None, logged.status}
            if is_wanted and has_labels(logged.tags, tags) and has_labels(logged.properties, properties):
                yield run
            if recursive:
                yield from run.get_children(True, tags, properties, type, status)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Do nothing: every call has written what it was given before it returned."""

    def complete(self, _set_status: bool = True) -> None:
        """Mark a child run as completed. The step's own run ends with its process, not here."""
        self._end("Completed", None, _set_status)

    def fail(self, error_details: object = None, error_code: str | None = None, _set_status: bool = True) -> None:
        """Mark a child run as failed, with a text or an exception. The step's own run fails by its exit code."""
        self._end("Failed", error_document(error_details, error_code), _set_status)

    def cancel(self) -> None:
        """Mark a child run as canceled. The step's own run goes on, with a warning."""
        self._end("Canceled", None, True)

    def __enter__(self) -> Run:  # noqa: PYI034 - Self is newer than our oldest Python
        return self

    def __exit__(self, exit_type: object, value: BaseException | None, traceback: object) -> None:
        if self._is_own:
            return  # the exception, if any, ends the script, and its exit code says the rest
        if value is None:
            self.complete()
        else:
            self.fail(value)

    def get_secret(self, name: str) -> NoReturn:
        """Refuse: a run holds no secrets."""
        raise UserErrorException(
            f"Secret '{name}' cannot be read from a run, which holds none. Declare it as an environment variable of "
            "the step and read os.environ."
        )

    def get_secrets(self, secrets: Sequence[str]) -> NoReturn:
        """Refuse: a run holds no secrets."""
        self.get_secret(", ".join(secrets))

    @property
    def _is_own(self) -> bool:
        return self._journal.key == events.OWN

    def _refuse_for_pipeline(self, method: str) -> None:
        if self._journal.key == events.PARENT:
            raise NotImplementedError(
                f"A step cannot call {method} on its pipeline run '{self.id}', which the engine starts and ends. "
                "Call it on the step's own run, Run.get_context()."
            )

    def _end(self, status: str, error: dict[str, Any] | None, set_status: bool) -> None:
        self._refuse_for_pipeline({"Completed": "complete", "Failed": "fail"}.get(status, "cancel"))
        if self._is_own:
            if status != "Completed":
                warnings.warn(
                    f"The step's own run is not {status.lower()} by a call: raise an exception or exit with a code.",
                    stacklevel=3,
                )
            return
        if self._outputs is not None and os.path.isdir(self._outputs):
            self._journal.add_folder("outputs", self._outputs)
        if set_status:
            self._journal.write({"kind": "status", "status": status, **({"error": error} if error else {})})


def _run_of(folder: str) -> Run:
    """Return the run of the step whose folder is *folder*."""
    context = read_context(folder)
    parent = None
    if context.parent_id is not None:
        parent = Run(Journal(context, events.PARENT, context.parent_id), context.parent_name, None)
    return Run(Journal(context, events.OWN, context.run_id), context.name, parent)
