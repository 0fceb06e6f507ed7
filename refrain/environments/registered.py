"""Registered environments: kept in a workspace by name and version, or written into a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from refrain.environments.conda_dependencies import CondaDependencies
from refrain.environments.environment import DockerSection, Environment, PythonSection, SparkPackage, SparkSection
from refrain.errors import CorruptObjectError, RefrainError, UnknownNameError, UserError, did_you_mean, known
from refrain.storage.connections import is_secret_name
from refrain.storage.registry import Registry

SCHEMA = 1
KIND = "environments"
FILE = "environment.json"
_CURATED = "AzureML-"


class HasRegistry(Protocol):
    """A workspace, as far as environments need it."""

    state: Any  # a WorkspaceState


def register(environment: Environment, workspace: HasRegistry) -> Environment:
    """See :meth:`Environment.register`."""
    refuse_secrets(environment)
    document = to_json(environment)
    registry: Registry = workspace.state.registry
    while True:
        versions = registry.versions(KIND, environment.name)
        newest = max(versions, default=0)
        if newest and registry.get(KIND, environment.name, newest) == document:
            break
        if registry.add_after(KIND, environment.name, document, newest):
            newest += 1
            break
    environment.version = str(newest)
    return environment


def get(workspace: HasRegistry, name: str, version: str | int | None = None, label: str | None = None) -> Environment:
    """See :meth:`Environment.get`."""
    if label not in (None, "latest"):
        raise UserError(f"Environment {name!r}: labels are not kept, but for 'latest'; give a version.")
    registry: Registry = workspace.state.registry
    versions = registry.versions(KIND, name)
    wanted = max(versions, default=0) if version is None else _number(name, version)
    record = registry.get(KIND, name, wanted)
    if record is None:
        raise UnknownNameError(_why_unknown(workspace, name, versions))
    environment = from_json(record, f"The environment {name!r}")
    environment.version = str(wanted)
    return environment


def names(workspace: HasRegistry) -> list[str]:
    """Return the names of all registered environments."""
    registry: Registry = workspace.state.registry
    return registry.names(KIND)


def save(environment: Environment, path: str | os.PathLike[str], overwrite: bool) -> None:
    """See :meth:`Environment.save_to_directory`."""
    refuse_secrets(environment)
    target = Path(path) / FILE
    if target.exists() and not overwrite:
        raise UserError(f"{str(target)!r} is there already; give overwrite=True, or another folder.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(to_json(environment), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The environment cannot be written to {str(target)!r}: {error.strerror}.") from error


def load(path: str | os.PathLike[str]) -> Environment:
    """See :meth:`Environment.load_from_directory`."""
    target = Path(path) / FILE
    try:
        document = json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"The environment {str(target)!r} cannot be read: {error}.") from error
    return from_json(document, f"The environment {str(target)!r}")


def to_json(environment: Environment) -> dict[str, Any]:
    """Return an environment as JSON values, without its version."""
    python = {name: value for name, value in vars(environment.python).items() if name != "conda_dependencies"}
    spark = asdict(environment.spark)
    return {
        "schema": SCHEMA,
        "name": environment.name,
        "python": {**python, "conda_dependencies": environment.python.conda_dependencies.as_dict()},
        "docker": asdict(environment.docker),
        "environment_variables": dict(environment.environment_variables),
        **({"spark": spark} if spark != asdict(SparkSection()) else {}),
    }


def from_json(document: Mapping[str, Any], what: str) -> Environment:
    """Read an environment back.

    :raises CorruptObjectError: when it is damaged, or of a newer schema.
    """
    try:
        if document["schema"] > SCHEMA:
            raise CorruptObjectError(f"{what} was written by a newer Refrain than this one; upgrade Refrain.")
        python = dict(document["python"])
        conda = CondaDependencies(None, python.pop("conda_dependencies"))
        section = PythonSection(**python, conda_dependencies=conda)
        environment = Environment(str(document["name"]), section, document["environment_variables"])
        environment.docker = DockerSection(**document["docker"])
        spark = dict(document.get("spark", {}))
        packages = [SparkPackage(**package) for package in spark.pop("packages", ())]
        environment.spark = SparkSection(packages=packages, **spark)
    except RefrainError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObjectError(f"{what} is damaged: {error!r}; register it anew.") from error
    return environment


def refuse_secrets(environment: Environment, variables: Iterable[str] = ()) -> None:
    """Refuse to store variables that look like secrets.

    :param variables: names of more of them.
    :raises UserError: naming the first.
    """
    for name in (*environment.environment_variables, *variables):
        if is_secret_name(name):
            raise UserError(
                f"Environment {environment.name!r}: the variable {name!r} looks like a secret, which would be stored. "
                "Set it in RunConfiguration.environment_variables when the pipeline is built."
            )


def _number(name: str, version: str | int) -> int:
    if not str(version).isdecimal():
        raise UserError(f"Environment {name!r}: {version!r} is no version; versions are 1, 2 and so on.")
    return int(version)


def _why_unknown(workspace: HasRegistry, name: str, versions: list[int]) -> str:
    if versions:
        return f"The environment {name!r} has no such version. Known: {known(map(str, versions))}."
    if name.startswith(_CURATED):
        return (
            f"The environment {name!r} is one of Azure ML's own images, which are not here. Register one of this name, "
            f"and old code finds it: Environment.from_conda_specification({name!r}, 'conda.yml').register(workspace)."
        )
    there = names(workspace)
    return f"There is no environment {name!r}. Known: {known(there)}.{did_you_mean(name, there)}"
