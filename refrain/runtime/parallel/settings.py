"""Settings: what the command line of a parallel run says."""

from __future__ import annotations

import argparse
import json
import os
import re

from refrain.runtime.parallel.accounts import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence

SUMMARY_ONLY, APPEND_ROW = "summary_only", "append_row"
ROWS_FILE = "parallel_run_step.txt"
DEFAULT_FILES, DEFAULT_BYTES = 10, 1 << 20
_SIZE = re.compile(r"(\d+)\s*([kmg]b)?", re.IGNORECASE)
_UNITS = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_INPUT = re.compile(r"--input_(f?)ds_\d+")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingError(ValueError):
    """The command line cannot be obeyed."""


class Settings:
    """The settings of one parallel run, read from the words that the entry script sees as its arguments."""

    def __init__(self, words: Sequence[str]) -> None:
        """Read them.

        :raises SettingError: for a value that is none.
        """
        found, rest = _parser().parse_known_args(list(words))
        self.script: str = found.scoring_module_name
        self.size: int | None = found.mini_batch_size
        self.keys: list[str] = found.partition_keys
        self.limits = Limits(
            found.run_max_try, found.error_threshold, found.allowed_failed_count, found.allowed_failed_percent
        )
        self.keeps_rows = found.output_action == APPEND_ROW
        self.rows_file: str = found.append_row_file_name
        self.level: str = found.logging_level
        self.timeout: float = found.run_invocation_timeout
        self.output: str | None = found.output
        self.nodes: int = found.refrain_node_count
        self.processes_per_node: int | None = found.process_count_per_node
        self.data_patience: float = found.first_task_creation_timeout
        self.profiles: bool = found.profiling_module is not None
        self.patience: float = found.progress_update_timeout or 3 * self.timeout + 30
        self.empty_count: int | None = found.rank_mini_batch_count
        self.journal: str | None = found.refrain_journal
        self.files, self.tables = _inputs(rest)

    @property
    def cut(self) -> Dict[str, Any]:
        """What decides which items of the data are in a mini-batch."""
        return {"size": self.size, "keys": self.keys, "empty": self.empty_count}

    @property
    def processes(self) -> int:
        """How many worker processes there are, if all nodes are like this machine."""
        return self.nodes * (self.processes_per_node or cores())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it raises, too
        raise SettingError(f"Parallel run: {message}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("--scoring_module_name", required=True)
    add("--mini_batch_size", type=_size)
    add("--partition_keys", type=_names, default=[])
    add("--error_threshold", type=_at_least(-1), required=True)
    add("--allowed_failed_count", type=_at_least(-1))
    add("--allowed_failed_percent", type=_percent)
    add("--output_action", choices=(SUMMARY_ONLY, APPEND_ROW), type=str.lower, required=True)
    add("--append_row_file_name", default=ROWS_FILE)
    add("--output")
    add("--logging_level", type=str.upper, choices=_LEVELS, default="INFO")
    add("--run_invocation_timeout", type=_seconds, default=60.0)
    add("--run_max_try", type=_at_least(1), default=3)
    add("--refrain_node_count", type=_at_least(1), default=1)
    add("--process_count_per_node", type=_at_least(1))
    add("--progress_update_timeout", type=_seconds)
    add("--first_task_creation_timeout", type=_seconds, default=600.0)
    add("--profiling_module", choices=("cProfile",))
    add("--rank_mini_batch_count", type=_at_least(0))
    add("--refrain_journal")
    # Known to Azure ML's scripts; there is nothing to be set by them here.
    for name in ("client_sdk_version", "create_snapshot_at_runtime", "task_overhead_timeout", "copy_logs_to_parent"):
        add(f"--{name}")
    add("--resource_monitor_interval")
    return parser


def _inputs(rest: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the inputs that are files, and of those that are tables or need their definition."""
    files: list[str] = []
    tables: list[str] = []
    for word, name in zip(rest, rest[1:]):
        match = _INPUT.fullmatch(word)
        if match:
            (files if match[1] else tables).append(name)
    return files, tables


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write a number, or one such as 10KB, 1MB or 2GB")
    return size


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise argparse.ArgumentTypeError(f'{text!r} is no list of names in JSON, such as ["country", "year"]')
    return names


def _at_least(least: int) -> Any:
    def number(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return number


def _percent(text: str) -> float:
    value = _float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100")
    return value


def _seconds(text: str) -> float:
    value = _float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
