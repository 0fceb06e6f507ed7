"""``refrain env``: the environments that steps run in, built ahead, looked at and deleted."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refrain.cli.answer import Answer, say
from refrain.cli.found_workspace import open_workspace
from refrain.compute.local import CANCEL_GRACE_SECONDS
from refrain.compute.local_kind import LocalKind
from refrain.compute.target import THIS_MACHINE
from refrain.environments.cache import Built, EnvironmentCache
from refrain.environments.environment import Environment
from refrain.environments.environments import Environments
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError, WorkspaceError
from refrain.execution.sizes import bytes_of, size_text
from refrain.execution.table import Column, render
from refrain.pipelines.workspace import Workspace

_BUILT = (
    Column("BUILT HERE"),
    Column("PYTHON"),
    Column("PACKAGES", is_number=True),
    Column("SIZE", is_number=True),
    Column("USED"),
)
_REGISTERED = (Column("REGISTERED"), Column("VERSION"))
_SHORT = 12
_DAY = 86400.0
_CONDA_FILES = (".yml", ".yaml")


def listing(options: argparse.Namespace) -> Answer:
    """List the environments that are registered in the workspace, and those that are built on this machine."""
    built = _cache().built()
    try:
        registered = {name: str(found.version) for name, found in open_workspace(options).environments.items()}
    except WorkspaceError:
        registered = {}  # what is built here, is there without a workspace
    lines = [*render(_REGISTERED, registered.items())] if registered else []
    lines += ["", *render(_BUILT, map(_row, built))] if built else ["No environment is built on this machine."]
    return Answer({"registered": registered, "built": [_document(one) for one in built]}, tuple(lines))


def build(options: argparse.Namespace) -> Answer:
    """Make environments ready ahead of the steps that will run in them.

    :raises UserError: when there is nothing to be built, or it cannot be.
    """
    workspace = open_workspace(options)
    environments = _environments(workspace)
    found = {}
    for name, spec in _specifications(options, workspace).items():
        if options.renew and spec.packages is not None:
            environments.renew(spec.packages)
        found[name] = environments.prepare(spec, say)
    return Answer({"environments": found}, tuple(f"{name}: {path}" for name, path in found.items()))


def show(options: argparse.Namespace) -> Answer:
    """Show what environments hold.

    :raises UserError: when there is none of this name.
    """
    built = [one for one in _cache().built() if one.digest.startswith(options.target)]
    if len(built) == 1:
        return Answer(_document(built[0]), tuple(_lines(built[0].digest[:_SHORT], built[0].python, built[0].packages)))
    workspace = open_workspace(options)
    environments = _environments(workspace)
    document, lines = {}, []
    for name, spec in _specifications(options, workspace).items():
        identity = environments.identify(spec)
        document[name] = {"python": identity.version, "path": identity.path, "packages": identity.packages}
        lines += [*_lines(name, identity.version, identity.packages), ""]
    return Answer({"environments": document}, tuple(lines[:-1]))


def prune(options: argparse.Namespace) -> Answer:
    """Delete environments of this machine that no step uses now, the longest unused first.

    :raises UserError: when it is not said which.
    """
    if options.days is None and options.limit is None and not options.all:
        raise UserError("Say which environments are to go: --days N unused, all beyond --limit SIZE, or --all.")
    cache = _cache()
    swept = cache.sweep()
    going = [one for one in _going(cache.built(), options) if cache.remove(one.digest)]
    freed = sum(one.bytes for one in going)
    lines = [f"Deleted {one.digest[:_SHORT]}, {size_text(one.bytes)}" for one in going]
    lines.append(f"{len(going)} deleted, {size_text(freed)}." if going else "Nothing was to be deleted.")
    return Answer({"deleted": [one.digest for one in going], "freed": freed, "swept": swept}, tuple(lines))


def _going(built: list[Built], options: argparse.Namespace) -> Iterator[Built]:
    """Yield what is to go of what is built, which comes with the latest used first."""
    limit = None if options.limit is None else bytes_of(options.limit, "--limit")
    kept = 0
    for one in built:
        is_old = options.days is not None and time.time() - one.used > options.days * _DAY
        kept += one.bytes
        if not one.is_in_use and (options.all or is_old or (limit is not None and kept > limit)):
            kept -= one.bytes
            yield one


def _specifications(options: argparse.Namespace, workspace: Workspace) -> dict[str, EnvironmentSpec]:
    """Return the environments that a command was called for, by what they are called.

    :raises UserError: when there is none.
    """
    target = options.target
    path = Path(target)
    if path.suffix in _CONDA_FILES and path.is_file():
        return {target: Environment.from_conda_specification(path.stem, path).specification()}
    if path.suffix == ".txt" and path.is_file():
        return {target: Environment.from_pip_requirements(path.stem, path).specification()}
    if target.endswith(".py") or ".py:" in target:
        return _of_pipeline(options)
    name, _, version = target.partition(":")
    return {target: Environment.get(workspace, name, version or None).specification()}


def _of_pipeline(options: argparse.Namespace) -> dict[str, EnvironmentSpec]:
    from refrain.cli.load import load_pipeline

    steps = load_pipeline(options).definition.steps
    found = {step.key: step.environment for step in steps if step.environment.packages is not None}
    if not found:
        raise UserError(f"No step of {options.target!r} has an environment with packages.")
    return found


def _environments(workspace: Workspace) -> Environments:
    return LocalKind().compute(THIS_MACHINE, workspace.state, CANCEL_GRACE_SECONDS).environments


def _cache() -> EnvironmentCache:
    from refrain.environments.environments import cache_of
    from refrain.storage.state import cache_folder

    return cache_of(cache_folder())


def _row(built: Built) -> tuple[str, ...]:
    days = (time.time() - built.used) / _DAY
    used = "now" if built.is_in_use else "today" if days < 1 else f"{days:.0f} days ago"
    return built.digest[:_SHORT], built.python, str(len(built.packages)), size_text(built.bytes), used


def _document(built: Built) -> dict[str, Any]:
    return {**vars(built), "folder": str(built.folder), "packages": list(built.packages)}


def _lines(name: str, python: str, packages: tuple[str, ...]) -> Iterator[str]:
    yield f"{name}: {python}, {len(packages)} packages"
    yield from (f"  {package}" for package in packages)
