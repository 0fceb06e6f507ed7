"""SparkKind: compute targets that say on which Spark the applications of Spark steps run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import refrain
from refrain.compute.job import JobStatus
from refrain.compute.kinds import untried
from refrain.compute.local import LocalCompute
from refrain.compute.local_kind import environments_of
from refrain.compute.spark import SparkSettings
from refrain.compute.spark_symptoms import Symptoms
from refrain.compute.target import Target
from refrain.compute.trials import run_trial
from refrain.environments.spark import describe
from refrain.errors import StepFailedError, UserError
from refrain.storage.state import WorkspaceState

_TRIAL = Path(str(refrain.__file__)).parent / "runtime" / "spark_trial.py"
_TRIAL_FILES = 8
_TRIAL_SECONDS = 180.0
_CONNECT_SECONDS = 5.0
_TAIL_LINES = 12
_PORTS = {"spark": 7077, "sc": 15002}


class SparkKind:
    """See :class:`refrain.compute.kinds.TargetKind`. Drivers are processes of this machine, and so are other steps."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        SparkSettings.parse(settings)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> LocalCompute:
        """See :class:`TargetKind`."""
        return LocalCompute(grace_seconds, environments_of(state), SparkSettings.of(target).variables())

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`."""
        settings = SparkSettings.of(target)
        found = describe(sys.executable, {}, settings.variables())
        if "java" in found:
            yield f"Java {found['java']} is in {found['java_home']}"
            yield f"Spark {found['spark']} is in {found['spark_home']}"
        for host, port in _addresses(settings):
            _require_answer(target.name, settings.place, host, port)
            yield f"{host}:{port} answers"
        with ExitStack() as stack:
            shared = [str(state.root)] if settings.is_this_machine else list(settings.shared_folders)
            folders = [stack.enter_context(_trial_folder(target.name, folder)) for folder in shared]
            _try(target, settings, folders)
            yield f"an application ran on {settings.place}"
            for folder, trial in zip(shared, folders, strict=True):
                _require_written(target.name, settings.place, folder, trial)
                yield f"its executors read and write below {folder}"
        if not shared:
            yield (
                "they share no folder with this machine (setting shared_folders), so that outputs and inputs that are "
                "files have no place"
            )
        yield from untried(target)


def _addresses(settings: SparkSettings) -> Iterator[tuple[str, int]]:
    """Yield where somebody must answer, as far as the URL says so."""
    scheme, _, rest = settings.place.partition("://")
    for address in rest.partition("/")[0].split(",") if scheme in _PORTS else ():
        host, port = re.fullmatch(r"(.+?)(?::(\d+))?", address).groups()  # type: ignore[union-attr]  # it has been checked
        yield host.strip("[]"), int(port or _PORTS[scheme])


def _require_answer(name: str, place: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"Compute target {name!r}: nobody answers at {host}:{port} ({error}). Start the cluster, or correct "
            f"{place}."
        ) from error


@contextmanager
def _trial_folder(name: str, folder: str) -> Iterator[str]:
    """Make a folder with files to be read, in a folder that executors should see; it is gone afterwards."""
    made = None
    try:
        os.makedirs(folder, exist_ok=True)
        made = tempfile.mkdtemp(prefix=".refrain-trial-", dir=folder)
        os.chmod(made, 0o777)  # noqa: S103  # executors may run as another user
        for number in range(_TRIAL_FILES):
            Path(made, str(number)).write_text(f"{number}\n")
        yield made
    except OSError as error:
        raise UserError(f"Compute target {name!r}: {folder!r} cannot be written: {error}.") from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _try(target: Target, settings: SparkSettings, folders: list[str]) -> None:
    """Run the trial to its end.

    :raises StepFailedError: when it fails or takes too long, with what Spark says of it.
    """
    lines: list[str] = []
    symptoms = Symptoms()

    def on_line(line: str) -> None:
        lines.append(line)
        symptoms.line(line)

    argv = (sys.executable, "-m", "refrain.runtime.spark_submit", "{}", str(_TRIAL), *folders)
    result = run_trial(argv, settings.variables(), _TRIAL_SECONDS, on_line)
    said = [line for line in lines if line.strip()]
    if result.status is JobStatus.SUCCEEDED and any("trial: sum 140" in line for line in said):
        return
    late = f" within {_TRIAL_SECONDS:.0f} s" if result.status is JobStatus.CANCELED else ""
    raise StepFailedError(
        f"Compute target {target.name!r}: an application on {settings.place} did not succeed{late}. {symptoms.cause} "
        "Its output ends with:\n" + "\n".join(f"    {line}" for line in said[-_TAIL_LINES:])
    )


def _require_written(name: str, place: str, folder: str, trial: str) -> None:
    parts = list(Path(trial, "written").glob("part-*"))
    if sum(len(part.read_text().splitlines()) for part in parts) != _TRIAL_FILES:
        raise StepFailedError(
            f"Compute target {name!r}: what the executors of {place} wrote below {folder!r} is not there on this "
            "machine. It is no folder that they share with it; take it out of shared_folders."
        )
