"""``refrain parallel try``: an entry script on the first few mini-batches of data, in the foreground."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refrain.cli.found_workspace import open_workspace
from refrain.data.dataset import Dataset
from refrain.data.files.dataset import FileDataset
from refrain.data.ports import InputMode
from refrain.errors import UserError
from refrain.execution.process_environment import RUNTIME
from refrain.tracking.questions import Document, answered

_MODULE = "refrain.runtime.parallel.foreground"


def parallel_try(options: argparse.Namespace) -> int:
    """Run the script in a process that has this terminal; return its exit code.

    :raises UserError: when there is no such script or data.
    """
    script = Path(options.script).absolute()
    if not script.is_file():
        raise UserError(f"There is no entry script {options.script!r}.")
    with tempfile.TemporaryDirectory(prefix="refrain-try-") as folder, _data(options, folder) as data:
        output = os.path.abspath(options.output or os.path.join(folder, "output"))
        os.makedirs(output, exist_ok=True)
        words = [str(options.count), os.path.join(folder, "logs"), "--scoring_module_name", str(script)]
        words += ["--error_threshold", "0", "--output_action", "append_row", "--output", output, *data]
        words += ["--mini_batch_size", options.mini_batch_size] if options.mini_batch_size else []
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(RUNTIME / "path"))))
        questions = Path(folder, "questions")
        questions.mkdir()
        environment = {**os.environ, "PYTHONPATH": path, "REFRAIN_QUESTIONS": str(questions)}
        command = [options.python or sys.executable, "-m", _MODULE, *words, *options.arguments]
        with answered(questions, lambda question: _answer(question, options, Path(folder))):
            return subprocess.run(command, cwd=script.parent, env=environment, check=False).returncode


def _answer(question: Document, options: argparse.Namespace, folder: Path) -> Document:
    """Answer what the script asks about registered models."""
    from refrain.execution.model_desk import ModelDesk
    from refrain.execution.used_models import UsedModels

    return ModelDesk(open_workspace(options).state, UsedModels(), folder).answer(question)


@contextlib.contextmanager
def _data(options: argparse.Namespace, folder: str) -> Iterator[list[str]]:
    """Yield the words that name the data: a path, or a dataset that is described."""
    keys = _keys(options.partition_key)
    if os.path.exists(options.data) and not options.table:
        yield ["--input_fds_0", os.path.abspath(options.data)]
        return
    dataset = _dataset(options)
    if isinstance(dataset, FileDataset) and not keys:
        with dataset.mount() as mounted:
            yield ["--input_fds_0", mounted.mount_point]
        return
    description = Path(folder, "data.json")
    _described(dataset, Path(folder, "view"), description)
    yield ["--input_ds_0", str(description), *keys]


def _dataset(options: argparse.Namespace) -> Any:
    if not os.path.exists(options.data):
        name, _, version = options.data.partition(":")
        return Dataset.get_by_name(open_workspace(options), name, version or "latest")
    path = os.path.abspath(options.data)
    if path.endswith(".parquet"):
        return Dataset.Tabular.from_parquet_files(path)
    return Dataset.Tabular.from_delimited_files(path, separator="\t" if path.endswith(".tsv") else ",")


def _described(dataset: Any, view: Path, description: Path) -> None:
    """Describe a dataset as the engine does for the process of a step."""
    from refrain.execution.datasets import MadeDataset

    made = MadeDataset(dataset, tuple(dataset.source_files()), tuple(dataset.needed_files()))
    made.provide(InputMode.DIRECT, view, view, description)


def _keys(names: list[str]) -> list[str]:
    return ["--partition_keys", json.dumps(names)] if names else []
