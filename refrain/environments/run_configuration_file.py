"""Run configurations as files: Azure ML's ``.runconfig``, YAML with its names."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.environments.conda_dependencies import CondaDependencies
from refrain.environments.environment import Environment, SparkPackage
from refrain.environments.registered import refuse_secrets
from refrain.environments.yaml_library import yaml_library
from refrain.errors import UserError, known

if TYPE_CHECKING:
    from refrain.environments.run_configuration import RunConfiguration

_FOLDERS = (".azureml", "aml_config")
_ENDING = ".runconfig"
_PLAIN = (
    "script",
    "arguments",
    "command",
    "framework",
    "communicator",
    "target",
    "node_count",
    "environment_variables",
)
_SECTIONS = ("docker", "mpi", "pytorch", "tensorflow", "spark")
_WITHOUT_MEANING = {"history", "autoPrepareEnvironment", "maxRunDurationSeconds", "version", "baseCondaEnvironment"}
"""What Azure ML writes into every file; nothing is lost without it."""


def path_of(path: str | os.PathLike[str] | None, name: str | None) -> Path:
    """Return where a configuration is: *path* itself, or the one called *name* of the project in the folder *path*.

    :raises UserError: when neither is given.
    """
    if name is None:
        if path is None:
            raise UserError("Name the run configuration: its file as path, or its name, in the project at path.")
        return Path(path)
    root = Path(path or os.curdir)
    folder = next((root / folder for folder in _FOLDERS if (root / folder).is_dir()), root / _FOLDERS[0])
    return folder / f"{name}{_ENDING}"


def save(config: RunConfiguration, path: Path) -> None:
    """Write a configuration.

    :raises UserError: when it holds a secret or something that is neither text nor number, or cannot be written.
    """
    refuse_secrets(config.environment, config.environment_variables)
    text = yaml_library().safe_dump(_document(config), sort_keys=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"The run configuration {str(path)!r} cannot be written: {error.strerror}.") from error


def load(config: RunConfiguration, path: Path) -> None:
    """Read a configuration into a fresh one; what has no meaning here is named in a warning.

    :raises UserError: when it cannot be read.
    """
    yaml = yaml_library()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"The run configuration {str(path)!r} cannot be read: {error}.") from error
    if not isinstance(document, Mapping):
        raise UserError(f"{str(path)!r} is no run configuration; write one with RunConfiguration.save.")
    left = _Left()
    rest = dict(document)
    environment = rest.pop("environment", None) or {}
    _take_plain(config, rest)
    for name in _SECTIONS:
        _fill(getattr(config, name), rest.pop(name, None) or {}, name, left)
    config.environment = _environment(environment, path.parent, left)
    left.take("", rest)
    left.warn(path)


class _Left:
    """What of a file has no meaning here."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def take(self, where: str, values: Mapping[str, Any]) -> None:
        """Note names with a value."""
        names = (name for name, value in values.items() if value and name not in _WITHOUT_MEANING)
        self.names += [f"{where}{name}" for name in names]

    def warn(self, path: Path) -> None:
        """Warn of what was noted."""
        if self.names:
            warnings.warn(f"{str(path)!r}: {known(self.names)} has no meaning here and is ignored.", stacklevel=4)


def _document(config: RunConfiguration) -> dict[str, Any]:
    target = getattr(config.target, "name", config.target)
    plain = {_camel(name): getattr(config, name) for name in _PLAIN} | {"target": target}
    for name in ("arguments", "command"):
        _require_plain(name, plain[name])
    environment, python = config.environment, config.environment.python
    own = {_camel(name): value for name, value in vars(python).items() if name != "conda_dependencies"}
    described = {
        "name": environment.name,
        "environmentVariables": dict(environment.environment_variables),
        "python": {**own, "condaDependencies": python.conda_dependencies.as_dict()},
        "docker": _section(environment.docker),
        "spark": _section(environment.spark),
    }
    return {**plain, "environment": described, **{name: _section(getattr(config, name)) for name in _SECTIONS}}


def _require_plain(what: str, value: Any) -> None:
    for item in value if isinstance(value, list | tuple) else [value]:
        if item is not None and not isinstance(item, str | int | float | bool):
            raise UserError(f"RunConfiguration.{what} holds {item!r}, which no file can; give it to the step instead.")


def _section(section: Any) -> dict[str, Any]:
    return {_camel(name): value for name, value in asdict(section).items()}


def _environment(document: Mapping[str, Any], folder: Path, left: _Left) -> Environment:
    environment, rest = Environment(str(document.get("name") or "user-managed")), dict(document)
    environment.environment_variables = dict(rest.pop("environmentVariables", None) or {})
    python = dict(rest.pop("python", None) or {})
    conda, file = python.pop("condaDependencies", None), python.pop("condaDependenciesFile", None)
    if conda is not None:
        environment.python.conda_dependencies = CondaDependencies(None, conda)
    elif file is not None:  # Azure ML names it from the project's folder
        environment.python.conda_dependencies_file = _first_there(file, (folder.parent, folder))
    for name, section in (("python", python), ("docker", rest.pop("docker", None)), ("spark", rest.pop("spark", None))):
        _fill(getattr(environment, name), section or {}, f"environment.{name}", left)
    environment.spark.packages = [
        SparkPackage(**package) if isinstance(package, Mapping) else package for package in environment.spark.packages
    ]
    rest.pop("name", None)
    left.take("environment.", rest)
    return environment


def _first_there(file: str, folders: tuple[Path, ...]) -> str:
    return next((str(folder / file) for folder in folders if (folder / file).is_file()), file)


def _take_plain(config: RunConfiguration, rest: dict[str, Any]) -> None:
    for name in _PLAIN:
        value = rest.pop(_camel(name), None)
        if value is None or (name == "target" and value == "local"):
            continue
        if isinstance(value, list | Mapping) != isinstance(getattr(config, name), list | dict) and name != "command":
            raise UserError(f"The run configuration's {_camel(name)} is {value!r}, which cannot be.")
        setattr(config, name, value)


def _fill(section: Any, document: Mapping[str, Any], where: str, left: _Left) -> None:
    """Set the fields of a section that a document names."""
    if not is_dataclass(section) or not isinstance(document, Mapping):
        raise UserError(f"The run configuration's section {where} is {document!r}, which cannot be.")
    rest = dict(document)
    for field in fields(section):
        value = rest.pop(_camel(field.name), None)
        if value is not None:
            setattr(section, field.name, value)
    left.take(f"{where}.", rest)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
