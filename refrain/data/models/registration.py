"""Registration of a model: from a path on this machine to a version."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from refrain.data.models.content import keep
from refrain.data.models.record import ModelRecord, ModelVersions, require_name
from refrain.data.versions import Tags
from refrain.errors import DataError, ModelPathNotFoundException
from refrain.storage.state import WorkspaceState


@dataclass(frozen=True)
class Registrable:
    """What a model is to be registered as; see :class:`refrain.data.models.record.ModelRecord`.

    :param child_paths: of a folder, the files that belong to it; None means all.
    """

    name: str
    tags: Tags
    properties: Tags
    description: str = ""
    framework: str | None = None
    framework_version: str | None = None
    datasets: tuple[tuple[str, str], ...] = ()
    child_paths: tuple[str, ...] | None = None


def register(wanted: Registrable, path: Path, state: WorkspaceState, run_id: str = "") -> int:
    """Store what is at *path* and return the version that it became.

    :param run_id: the step run that registers it.
    :raises ModelPathNotFoundException: when nothing is there.
    :raises DataError: when it cannot be read or stored.
    :raises UserError: for an invalid name.
    """
    require_name(wanted.name)
    with _chosen(path, wanted.child_paths) as chosen:
        content = keep(chosen, state)
    record = ModelRecord(
        content,
        wanted.description,
        dict(wanted.tags),
        dict(wanted.properties),
        wanted.framework,
        wanted.framework_version,
        wanted.datasets,
        run_id,
    )
    return ModelVersions(state.registry).add(wanted.name, record)


@contextmanager
def _chosen(path: Path, child_paths: Sequence[str] | None) -> Iterator[Path]:
    """Give the folder with those of its files that belong to the model."""
    if child_paths is None:
        yield path
        return
    if not path.is_dir():
        raise ModelPathNotFoundException(f"child_paths are for a folder, and {str(path)!r} is none.")
    with tempfile.TemporaryDirectory(prefix="refrain-model-") as folder:
        target = Path(folder, path.absolute().name)
        for child in child_paths:
            _copy(path, child, target)
        yield target


def _copy(path: Path, child: str, target: Path) -> None:
    relative = os.path.normpath(child)
    if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
        raise DataError(f"The child path {child!r} leads out of the model's folder {str(path)!r}.")
    source, copy = path / relative, target / relative
    if not source.exists():
        raise ModelPathNotFoundException(f"The model's folder {str(path)!r} has no {child!r}.")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, copy, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, copy)
