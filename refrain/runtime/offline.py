"""The run of a script that is started by hand: it prints what a real run would have kept."""

# ruff: noqa: ARG002 - the signatures are those of a real run

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

PREFIX = "OfflineRun_"


class _OfflineRun:
    """What ``Run.get_context()`` returns outside of a pipeline run. Nothing that it is told is kept."""

    def __init__(self, parent_logger: object = None, run_id: str | None = None, **kwargs: object) -> None:
        self._run_id = run_id or PREFIX + _uuid()

    @property
    def id(self) -> str:
        """The id: ``OfflineRun_`` and a UUID."""
        return self._run_id

    @property
    def identity(self) -> str:
        """The id."""
        return self._run_id

    def log(self, name: str, value: object, description: str = "", step: int | None = None) -> None:
        """Print a metric."""
        _print_metric("scalar", name, value)

    def log_list(self, name: str, value: Iterable[object], description: str = "") -> None:
        """Print a list of values; a generator is consumed, as in a real run."""
        _print_metric("list", name, list(value))

    def log_row(self, name: str, description: str | None = None, **kwargs: object) -> None:
        """Print a row of a table."""
        _print_metric("row", name, kwargs)

    def log_table(self, name: str, value: Mapping[str, object], description: str = "") -> None:
        """Print a table."""
        _print_metric("table", name, value)

    def log_image(self, name: str, path: str | None = None, plot: object = None, description: str = "") -> None:
        """Print the path or the plot of an image."""
        _print_metric("image", name, plot if path is None else path)

    def log_confusion_matrix(self, name: str, value: object, description: str | None = None) -> None:
        """Print a confusion matrix."""
        _print_metric("confusion matrix", name, value)

    def log_accuracy_table(self, name: str, value: object, description: str | None = None) -> None:
        """Print an accuracy table."""
        _print_metric("accuracy table", name, value)

    def log_residuals(self, name: str, value: object, description: str | None = None) -> None:
        """Print residuals."""
        _print_metric("residuals", name, value)

    def log_predictions(self, name: str, value: object, description: str | None = None) -> None:
        """Print predictions."""
        _print_metric("predictions", name, value)

    def tag(self, name: str, value: object = None) -> None:
        """Print a tag."""
        _print(f"Attempted to tag run with {name}: {value}")

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Print tags."""
        _print(f"Attempted to set tags:\n{tags}")

    def add_properties(self, properties: Mapping[str, object]) -> None:
        """Print properties."""
        _print(f"Attempted to add properties:\n{properties}")

    def upload_file(self, name: str, path_or_stream: object, datastore_name: str | None = None) -> None:
        """Print the name of a file."""
        _print(f"Attempted to upload file {name} from {path_or_stream}")

    def upload_files(
        self,
        name: Iterable[str],
        paths: Iterable[str],
        return_artifacts: bool = False,
        timeout_seconds: float | None = None,
        datastore_name: str | None = None,
    ) -> None:
        """Print the names of files."""
        _print(f"Attempted to upload files {list(name)} from {list(paths)}")

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> None:
        """Print the name of a folder."""
        _print(f"Attempted to upload folder {name} from {path}")

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: str | None = None) -> _OfflineRun:
        """Return another run like this one."""
        return _OfflineRun(run_id=run_id)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Do nothing: there is nothing to wait for."""

    def complete(self) -> None:
        """Print that the run is complete."""
        _print("Attempted to complete the run")

    def fail(self, error_details: object = None, error_code: str | None = None) -> None:
        """Print that the run has failed."""
        _print(f"Attempted to fail the run{'' if error_details is None else f': {error_details}'}")

    def cancel(self) -> None:
        """Print that the run is canceled."""
        _print("Attempted to cancel the run")

    def __enter__(self) -> _OfflineRun:  # noqa: PYI034 - Self is newer than our oldest Python
        _print(f"[START] {self._run_id}")
        return self

    def __exit__(self, exit_type: object, value: object, traceback: object) -> None:
        _print(f"[STOP] {self._run_id}")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"'_OfflineRun' object has no attribute '{name}': this script was not started by a pipeline. "
            "Guard the line with run.id.startswith('OfflineRun_')."
        )

    def __repr__(self) -> str:
        return f"_OfflineRun(id={self.__dict__.get('_run_id')!r})"


def _uuid() -> str:
    from uuid import uuid4

    return str(uuid4())


def _print_metric(kind: str, name: str, value: object) -> None:
    _print(f"Attempted to log {kind} metric {name}:{os.linesep}{value}")


def _print(text: str) -> None:
    print(text)  # noqa: T201 - printing is what an offline run is for
