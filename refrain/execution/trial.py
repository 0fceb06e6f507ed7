"""Trial: one step of a pipeline, run alone to look into it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from refrain.compute.target import LOCAL, Target
from refrain.errors import UserError
from refrain.steps.command import Interpreter
from refrain.steps.definition import StepDefinition
from refrain.values import dataclass

_ASK_SECONDS = 60.0


@dataclass(frozen=True)
class Trial:
    """How a step is run alone.

    :param folder: where its working directory stays, in the place of that of an earlier trial.
    :param debug_port: the port of this machine at which the script waits for a debugger; None means that it does not.
    """

    folder: str
    debug_port: int | None = None

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return a command of Python, with the debugger before the script."""
        if self.debug_port is None:
            return tuple(argv)
        listen = ("--listen", f"127.0.0.1:{self.debug_port}", "--wait-for-client")
        return (argv[0], "-m", "debugpy", *listen, *argv[1:])

    def require_debugger(self, interpreter: str) -> None:
        """Refuse a debugger that is not there.

        :raises UserError: when the step's interpreter cannot import debugpy.
        """
        if self.debug_port is None:
            return
        import subprocess

        command = [interpreter, "-c", "import debugpy"]
        found = subprocess.run(command, capture_output=True, timeout=_ASK_SECONDS, check=False, cwd="/")
        if found.returncode:
            raise UserError(
                f"The step's interpreter {interpreter!r} has no debugpy. Install it there: pip install debugpy"
            )

    def keep(self, working_directory: Path) -> None:
        """Move a working directory to where it stays.

        :raises UserError: when it cannot be moved there.
        """
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.makedirs(os.path.dirname(os.path.abspath(self.folder)), exist_ok=True)
            shutil.move(working_directory, self.folder)
        except (OSError, shutil.Error) as error:
            raise UserError(f"The working directory cannot be kept in {self.folder!r}: {error}.") from error


def require_debuggable(step: StepDefinition, target: Target) -> None:
    """Refuse a step whose process is not Python with a script, or not of this machine.

    :raises UserError: naming the step.
    """
    if target.kind != LOCAL:
        raise UserError(
            f"Step {step.name!r} runs on {target.name!r}, of the kind {target.kind!r}, where no debugger of this "
            "machine reaches it. Leave its compute_target out while you debug it."
        )
    if not _runs_python(step):
        raise UserError(f"Step {step.name!r} runs no Python script, so that no debugger can be attached to it.")


def _runs_python(step: StepDefinition) -> bool:
    return len(step.command) > 1 and isinstance(step.command[0], Interpreter)


def way_to_run_alone(file: str, step: StepDefinition, target: Target, parameters: Sequence[str]) -> str:
    """Return a sentence with the command that runs a step alone.

    :param file: what defines the pipeline, as a user names it.
    :param parameters: those of the run, as ``NAME=VALUE``.
    """
    words = ["refrain", "run", file, "--step", step.key]
    words += [word for given in parameters for word in ("--param", given)]
    way = f"Run it alone, and keep its working directory: {shlex.join(words)}"
    if target.kind == LOCAL and _runs_python(step):
        way += "\nWith --debug its script waits for a debugger."
    return way
