"""ParallelRunConfig: how the mini-batches of a ParallelRunStep are cut, run and judged."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.environments.environment import Environment
from refrain.environments.registered import from_json, to_json
from refrain.environments.specification import EnvironmentSpec
from refrain.environments.yaml_library import yaml_library
from refrain.errors import UserError

SUMMARY_ONLY, APPEND_ROW = "summary_only", "append_row"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SIZE = re.compile(r"(\d+)\s*([kKmMgG][bB])?")
_UNITS = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_NOT_IN_NAMES = re.compile(r'[~"#%&*:<>?/\\{|}]')
_SECTION = "parallel_run_config"
_PARAMETER = "pipeline_parameter"

Check = Callable[[str, Any], Any]


@dataclass
class ParallelRunConfig:
    """The settings of a :class:`refrain.steps.parallel_run.ParallelRunStep`.

    ``mini_batch_size``, ``node_count``, ``process_count_per_node``, ``logging_level``, ``run_invocation_timeout``,
    ``run_max_try`` and ``partition_keys`` may be pipeline parameters.

    :param environment: what the entry script runs in.
    :param entry_script: a script with ``run(mini_batch)``, and ``init()`` and ``shutdown()`` if it needs them.
    :param error_threshold: how many files or rows may fail in all; -1 for any number.
    :param output_action: ``append_row`` writes what run() returns to one file, ``summary_only`` only counts it.
    :param node_count: machines of the cluster that the compute target is; elsewhere so many times the processes.
    :param process_count_per_node: worker processes for each node; None means the machine's cores.
    :param mini_batch_size: files, 10 by default; of a table roughly bytes of its files, such as ``"10MB"``, by default
        ``"1MB"``.
    :param source_directory: the folder of the entry script; all of its files are captured and count.
    :param run_invocation_timeout: how many seconds one call of run() may take before its process is ended.
    :param run_max_try: how often a mini-batch is run in all before it has failed.
    :param append_row_file_name: of the file of results; None means ``parallel_run_step.txt``.
    :param allowed_failed_count: how many mini-batches may fail; None or -1 for any number.
    :param allowed_failed_percent: the same in percent of all mini-batches.
    :param partition_keys: one mini-batch for each combination of their values, instead of a size.
    :raises UserError: for a setting that cannot be right.
    """

    environment: Environment
    entry_script: str
    error_threshold: int
    output_action: str
    compute_target: Any
    node_count: Any
    process_count_per_node: Any = None
    mini_batch_size: Any = None
    source_directory: str | os.PathLike[str] | None = None
    description: str | None = None
    logging_level: Any = "INFO"
    run_invocation_timeout: Any = 60
    run_max_try: Any = 3
    append_row_file_name: str | None = None
    allowed_failed_count: int | None = None
    allowed_failed_percent: float | None = None
    partition_keys: Any = None
    environment_variables: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.environment, Environment):
            raise UserError(f"ParallelRunConfig: environment must be an Environment, not {self.environment!r}.")
        if not isinstance(self.entry_script, str) or not self.entry_script.strip():
            raise UserError(f"ParallelRunConfig needs an entry_script, not {self.entry_script!r}.")
        for name, check in _CHECKS.items():
            setattr(self, name, _checked(name, getattr(self, name), check))
        if self.mini_batch_size is not None and self.partition_keys is not None:
            raise UserError(
                "ParallelRunConfig: mini_batch_size and partition_keys exclude each other; give one of them."
            )
        self.specification()

    @property
    def may_fail_in_part(self) -> bool:
        """Say whether a step can succeed although some items have failed.

        Only then can timeouts and tries decide which results there are.
        """
        return self.error_threshold != 0 and self.allowed_failed_count != 0 and self.allowed_failed_percent != 0

    def specification(self) -> EnvironmentSpec:
        """Return the environment of the process as an immutable value; raises as it does."""
        return self.environment.specification(self.environment_variables)

    def parameters(self) -> list[PipelineParameter]:
        """Return the pipeline parameters among the settings."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, PipelineParameter)]

    def save_to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write the settings to a YAML file, from which :meth:`load_yaml` reads them."""
        values = {field.name: _written(getattr(self, field.name)) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        Path(path).write_text(yaml_library().safe_dump({_SECTION: given}, sort_keys=False), encoding="utf-8")

    @staticmethod
    def load_yaml(workspace: Any, path: str | os.PathLike[str]) -> ParallelRunConfig:  # noqa: ARG004  # Azure ML's
        """Read settings from a YAML file.

        :param workspace: accepted for Azure ML's sake.
        :raises UserError: for a file that holds none, or a setting that is not known or cannot be right.
        """
        document = yaml_library().safe_load(Path(path).read_text(encoding="utf-8"))
        section = document.get(_SECTION) if isinstance(document, Mapping) else None
        if not isinstance(section, Mapping):
            raise UserError(f"{str(path)!r} has no section {_SECTION!r}; write one with save_to_yaml.")
        known = {field.name for field in fields(ParallelRunConfig)}
        for name in section:
            if name not in known:
                raise UserError(f"{str(path)!r}: {name!r} is no setting of a ParallelRunConfig.")
        try:
            return ParallelRunConfig(**{str(name): _read(str(name), value) for name, value in section.items()})
        except TypeError as error:
            raise UserError(f"{str(path)!r} is no complete ParallelRunConfig: {error}.") from error


def _checked(name: str, value: Any, check: Check) -> Any:
    if isinstance(value, PipelineParameter):
        if name not in _PARAMETERS:
            raise UserError(f"ParallelRunConfig: {name} cannot be a pipeline parameter; give a value.")
        check(name, value.default_value)
        return value
    return check(name, value)


def _at_least(least: int, *, is_optional: bool = False) -> Check:
    def check(name: str, value: Any) -> Any:
        if value is None and is_optional:
            return None
        if type(value) is not int or value < least:
            raise UserError(f"ParallelRunConfig: {name} must be a whole number from {least} on, not {value!r}.")
        return value

    return check


def _action(name: str, value: Any) -> str:
    action = value.lower() if isinstance(value, str) else value
    if action not in (SUMMARY_ONLY, APPEND_ROW):
        raise UserError(f"ParallelRunConfig: {name} {value!r} is neither {SUMMARY_ONLY!r} nor {APPEND_ROW!r}.")
    return str(action)


def _percent(name: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value <= 100):
        raise UserError(f"ParallelRunConfig: {name} must be a number from 0 to 100, not {value!r}.")
    return value


def _seconds(name: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and 0 < value < float("inf")):
        raise UserError(f"ParallelRunConfig: {name} must be a number of seconds above 0, not {value!r}.")
    return value


def _size(name: str, value: Any) -> int | None:
    """Return a size as a number: of files, or of bytes."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else value
    if type(size) is not int or size < 1:
        raise UserError(
            f"ParallelRunConfig: {name} must be a number of files, or a size of bytes such as '10KB', '1MB' or '2GB', "
            f"not {value!r}."
        )
    return size


def _level(name: str, value: Any) -> str:
    level = value.upper() if isinstance(value, str) else value
    if level not in LEVELS:
        raise UserError(f"ParallelRunConfig: {name} {value!r} is not one of {', '.join(LEVELS)}.")
    return str(level)


def _file_name(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip() or _NOT_IN_NAMES.search(value)):
        raise UserError(
            f"ParallelRunConfig: {name} must be a file's name without any of ~\"#%&*:<>?/\\{{|}}, not {value!r}."
        )
    return value


def _keys(name: str, value: Any) -> list[str] | None:
    try:
        keys = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        keys = value
    is_list = isinstance(keys, (list, tuple)) and bool(keys) and all(isinstance(k, str) and k for k in keys)
    if keys is not None and not is_list:
        raise UserError(
            f"ParallelRunConfig: {name} must be a list of names; a pipeline parameter holds it as JSON, such as "
            f"'[\"country\"]', not {value!r}."
        )
    return None if keys is None else list(keys)


_PARAMETERS = frozenset(
    {
        "logging_level",
        "mini_batch_size",
        "node_count",
        "partition_keys",
        "process_count_per_node",
        "run_invocation_timeout",
        "run_max_try",
    }
)
_CHECKS: dict[str, Check] = {
    "error_threshold": _at_least(-1),
    "output_action": _action,
    "node_count": _at_least(1),
    "process_count_per_node": _at_least(1, is_optional=True),
    "mini_batch_size": _size,
    "logging_level": _level,
    "run_invocation_timeout": _seconds,
    "run_max_try": _at_least(1),
    "append_row_file_name": _file_name,
    "allowed_failed_count": _at_least(-1, is_optional=True),
    "allowed_failed_percent": _percent,
    "partition_keys": _keys,
}


def _written(value: Any) -> Any:
    if isinstance(value, PipelineParameter):
        return {_PARAMETER: {"name": value.name, "default_value": value.default_value}}
    if isinstance(value, Environment):
        return to_json(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, (str, int, float, list)) or value is None else value.name


def _read(name: str, value: Any) -> Any:
    if name == "environment" and isinstance(value, Mapping):
        return from_json(value, "The environment")
    if isinstance(value, Mapping) and _PARAMETER in value:
        return PipelineParameter(**value[_PARAMETER])
    return value
