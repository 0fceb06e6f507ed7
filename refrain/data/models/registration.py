"""Registration of a model: from a path on this machine to a version."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refrain.data.models.content import keep
from refrain.data.models.record import ModelRecord, ModelVersions
from refrain.data.names import model_name
from refrain.data.versions import Tags, texts
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


def described(  # noqa: PLR0913  # Azure ML's parameters
    name: str,
    tags: Mapping[str, Any] | None,
    properties: Mapping[str, Any] | None,
    description: str | None,
    datasets: Sequence[Sequence[Any]] | None,
    framework: str | None,
    framework_version: str | None,
    child_paths: Sequence[str] | None = None,
) -> Registrable:
    """Return what a model is to be registered as, of what users give.

    :param datasets: pairs of what for and a dataset, or its id.
    """
    return Registrable(
        name,
        texts(tags),
        texts(properties),
        description or "",
        framework,
        framework_version,
        tuple((str(scenario), str(getattr(dataset, "id", dataset))) for scenario, dataset in datasets or ()),
        None if child_paths is None else tuple(child_paths),
    )


def register(wanted: Registrable, path: Path, state: WorkspaceState, run_id: str = "") -> int:
    """Store what is at *path* and return the version that it became.

    :param run_id: the step run that registers it.
    :raises ModelPathNotFoundException: when nothing is there.
    :raises DataError: when it cannot be read or stored.
    :raises UserError: for an invalid name.
    """
    model_name(wanted.name)
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
