"""DockerKind: compute targets that are Docker engines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from refrain.compute.containers import GIVEN, Trial, try_out
from refrain.compute.docker.client import LABEL, answering
from refrain.compute.docker.compute import DockerCompute
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import JobStatus
from refrain.compute.kinds import untried
from refrain.compute.target import Target
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import ComputeError, StepFailedError
from refrain.storage.state import WorkspaceState

_TRIAL_SECONDS = 5.0
_HINTS = (
    (
        f"No such file or directory: '{GIVEN}'",
        "The engine must run on this machine, or have the same folders under the same paths.",
    ),
    (
        "Permission denied",
        "The setting user names another user than this one: leave it out; where the engine is rootless, set user=0:0.",
    ),
)
"""What a container says of a trial that fails, and the way out."""


class DockerKind:
    """See :class:`refrain.compute.kinds.TargetKind`. Its settings: :class:`DockerSettings` and :class:`Engine`."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        DockerSettings.of(settings)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> DockerCompute:  # noqa: ARG002
        """See :class:`TargetKind`."""
        return DockerCompute(DockerSettings.of(target.settings), grace_seconds)

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:
        """See :class:`TargetKind`: a container reads a file and writes one, where steps of the workspace work."""
        compute = self.compute(target, state, _TRIAL_SECONDS)
        engine = compute.settings.engine
        with answering(engine):
            version = compute.client.version()
        yield f"the Docker engine at {engine} answers: version {version['Version']}"
        environment = EnvironmentSpec()
        told: list[str] = []
        python = compute.prepare(environment, told.append)
        yield from told
        yield f"the image {compute.settings.image} is there: {compute.identify(environment).version}"
        state.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="refrain-", dir=state.root) as folder:
            yield from _trial(compute, Path(folder), python)
        yield from untried(target)


def _trial(compute: DockerCompute, folder: Path, python: str) -> Iterator[str]:
    trial = try_out(compute, folder, python)
    _require_success(trial)
    yield f"a container was started, and its output arrived: {python} is Python {trial.said}"
    _require_owner(trial.written)
    yield f"it read a file of {folder.parent} and wrote one, which belongs to this user"
    with answering(compute.settings.engine):
        left = compute.client.containers(all=True, filters={"label": f"{LABEL}={trial.run_id}"})
    if left:
        raise ComputeError(f"The container {left[0]['Id'][:12]} was not removed by the Docker engine.")
    yield "the container is gone"


def _require_success(trial: Trial) -> None:
    if trial.result.status is JobStatus.SUCCEEDED:
        return
    hint = next((hint for words, hint in _HINTS if words in trial.said), "")
    code = trial.result.exit_code
    raise StepFailedError(f"A container was started and ended with exit code {code}: {trial.reason} {hint}".rstrip())


def _require_owner(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise ComputeError(f"What the container wrote is not at {str(path)!r}: {error.strerror}.") from error
    if status.st_uid != os.geteuid():
        raise ComputeError(
            f"What the container wrote belongs to the user {status.st_uid}, and this is {os.geteuid()}. Leave out the "
            "setting user; where the engine is rootless, set user=0:0."
        )
