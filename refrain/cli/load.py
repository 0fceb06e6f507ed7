"""Load: the pipelines that a Python file defines."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import refrain
from refrain.data.parameters import parse
from refrain.errors import RefrainError, UserError, did_you_mean, known
from refrain.pipelines.pipeline import Pipeline, defining
from refrain.steps.definition import PipelineDefinition
from refrain.values import dataclass

if TYPE_CHECKING:
    from traceback import FrameSummary

_OURS = f"{Path(refrain.__file__).parent}{os.sep}"


@dataclass(frozen=True)
class Target:
    """``FILE[:NAME]`` in its parts."""

    file: Path
    name: str | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Take a target apart; a colon in the file's own name does not disturb.

        :raises UserError: when there is no such file.
        """
        file, colon, name = text.rpartition(":")
        candidates = [cls(Path(text), None)] + ([cls(Path(file), name)] if colon and file and name else [])
        for candidate in candidates:
            if candidate.file.is_file():
                return candidate
        missing = candidates[-1].file
        if missing.is_dir():
            files = sorted(path.name for path in missing.glob("*.py"))
            raise UserError(
                f"{str(missing)!r} is a folder; name a Python file that defines a pipeline. There: {known(files)}."
            )
        raise UserError(f"There is no file {str(missing)!r} (in {str(Path.cwd())!r}).")


def load_pipeline(options: argparse.Namespace) -> Pipeline:
    """Return the pipeline that a command was called for.

    :raises UserError: when there is no such file, it cannot be executed, or it is not clear which pipeline is meant.
    """
    if options.target is None:
        options.target = _taken_for_a_step(options)
    if options.target is None:
        raise UserError("Name the file that defines the pipeline: FILE, or FILE:NAME where it defines several.")
    target = Target.parse(options.target)
    return _choose(target, _pipelines(*_execute(target.file)))


def given_parameters(definition: PipelineDefinition, words: list[str]) -> dict[str, Any]:
    """Return the values of ``NAME=VALUE`` words, each in the type of its parameter.

    :raises UserError: for a word without ``=``.
    :raises ParameterError: for a value of another type; unknown names are left for the run to refuse.
    """
    declared = definition.declared
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"--param {word!r} has no value; write --param {word}=VALUE.")
        values[name] = parse(declared[name], text) if name in declared else text
    return values


def forced(options: argparse.Namespace) -> bool | list[str]:
    """Return what ``--force`` means: nothing, everything, or these steps."""
    return False if options.force is None else options.force or True


def _taken_for_a_step(options: argparse.Namespace) -> str | None:
    """Take back the file that argparse gave to ``--force`` in ``--force FILE``."""
    for word in options.force or ():
        with contextlib.suppress(UserError):
            Target.parse(word)
            options.force.remove(word)
            return str(word)
    return None


def _pipelines(module: ModuleType, of_dags: list[Pipeline]) -> dict[str, Pipeline]:
    """Return the pipelines at module level by the first name each has there, then by their own those that DAGs have."""
    found: dict[int, tuple[str, Pipeline]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Pipeline):
            found.setdefault(id(value), (name, value))
    for pipeline in of_dags:
        found.setdefault(id(pipeline), (pipeline.name, pipeline))
    return dict(found.values())


def _choose(target: Target, pipelines: dict[str, Pipeline]) -> Pipeline:
    file = str(target.file)
    if not pipelines:
        raise UserError(
            f"{file!r} defines no pipeline: assign one to a name at its top level, as in 'pipeline = Pipeline(…)'."
        )
    if target.name is not None:
        matches = [p for name, p in pipelines.items() if target.name == name]
        matches = matches or [p for p in pipelines.values() if target.name == p.name]
        if len(matches) == 1:
            return matches[0]
        raise UserError(
            f"{file!r} defines no pipeline {target.name!r}. Known: {known(pipelines)}."
            f"{did_you_mean(target.name, pipelines)}"
        )
    if len(pipelines) > 1:
        raise UserError(
            f"{file!r} defines several pipelines: {known(pipelines)}. Choose one: {file}:{next(iter(pipelines))}"
        )
    return next(iter(pipelines.values()))


def _execute(file: Path) -> tuple[ModuleType, list[Pipeline]]:
    """Execute a file as a module of its own, without a cache of bytecode that could be older than the file.

    It returns the pipelines that would have become DAGs, too, which need not have a name in the file.
    """
    path = str(file.absolute())
    name = f"refrain_pipeline_file_{file.stem}"
    module = ModuleType(name)
    module.__file__ = path
    try:
        code = compile(file.read_bytes(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        shown = (error.text or "").strip()
        raise UserError(f"{str(file)!r}, line {error.lineno}: {error.msg}: {shown}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}.") from error
    importing = _importing(name, module, str(Path(path).parent))
    with importing, defining() as of_dags, contextlib.redirect_stdout(sys.stderr):
        try:
            exec(code, vars(module))  # noqa: S102  # executing the user's file is what the command is asked for
        except (Exception, SystemExit) as error:  # whatever a user's file may raise
            raise UserError(_failure(file, error)) from error
    return module, of_dags


@contextlib.contextmanager
def _importing(name: str, module: ModuleType, folder: str) -> Iterator[None]:
    """Let a file import what lies beside it, as if Python had been started with it."""
    sys.modules[name] = module
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _failure(file: Path, error: BaseException) -> str:
    import traceback

    frames = _user_frames(error.__traceback__)
    if isinstance(error, RefrainError) and frames:
        return f"{frames[-1].filename}, line {frames[-1].lineno}: {error}"
    if isinstance(error, SystemExit):
        return f"{str(file)!r} ended Python ({error!r}) instead of defining a pipeline."
    last = "".join(traceback.format_exception_only(error)).rstrip()
    text = f"{str(file)!r} cannot be executed:\n{''.join(traceback.format_list(frames))}{last}"
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in (
        "airflow",
        "refrain_operators",
    ):
        text += "\nIt needs Apache Airflow: pip install 'refrain[airflow]'"
    return text


def _user_frames(trace: TracebackType | None) -> list[FrameSummary]:
    """Return the frames of the user's own code: neither ours nor the import system's."""
    from traceback import extract_tb

    frames = extract_tb(trace)
    return [f for f in frames if not f.filename.startswith((_OURS, "<frozen"))]
