"""CommandStep: runs a command line in a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from refrain.environments.run_configuration import RunConfiguration
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Literal, Token
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.steps.process_step import ProcessSettings, ProcessStep
from refrain.steps.script_run import ScriptRunConfig
from refrain.steps.step import locate_source
from refrain.steps.wiring import Build, Wiring

KIND = "command"
_SHELL = "/bin/sh"
_ADDRESS = re.compile(r"<[\w.]+(?: object)? at 0x[0-9a-f]+>")


class CommandStep(ProcessStep):
    """A step that runs a command line with ``/bin/sh`` in a fresh copy of its source directory.

    What the author writes as text is the shell's: words, quotes, ``&&``, ``|``, ``$VARIABLES``. Data and parameters
    are not: each is one word, whatever is in it.

    :param command: a text, or a list of texts, numbers, parameters and data that are joined with spaces.
    :param name: None means ``CommandStep_`` and the command's first word.
    :param runconfig: as for a :class:`refrain.steps.python_script.PythonScriptStep`; or a ``ScriptRunConfig`` that
        brings command, source directory and settings along.
    :raises UserError: without a command, for quotes that are not closed, and for arguments of the wrong type.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        command: str | Sequence[Any] | None = None,
        name: str | None = None,
        compute_target: Any = None,
        runconfig: RunConfiguration | ScriptRunConfig | None = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
    ) -> None:
        if isinstance(runconfig, ScriptRunConfig):
            command = _only_one("command", command, runconfig.command)
            source_directory = _only_one("source_directory", source_directory, runconfig.source_directory)
            runconfig = runconfig.run_config
        words = _words(command)
        settings = ProcessSettings(
            compute_target, runconfig, runconfig_pipeline_params, params, source_directory, allow_reuse, version
        )
        super().__init__(name or f"CommandStep_{_first_word(words)}", settings, inputs, outputs, words)
        for word in words:
            if isinstance(word, str):
                _check_text(self.name, word)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        directory = locate_source(self.name, self.source_directory, build)
        return self._define(build, KIND, SourceCode(directory=directory), self._command)

    def _command(self, wiring: Wiring) -> tuple[Token, ...]:
        """Return the call of the shell: the author's text, in which data and parameters are ``"$1"`` and so on."""
        texts: list[str] = []
        values: list[Token] = []
        for item in self.arguments:
            token = wiring.token(item)
            if isinstance(token, Literal):
                texts.append(token.text if isinstance(item, str) else shlex.quote(token.text))
            else:
                values.append(token)
                texts.append(f'"${{{len(values)}}}"')
        return (Literal(_SHELL), Literal("-c"), Literal(" ".join(texts)), Literal("sh"), *values)


def _words(command: Any) -> tuple[Any, ...]:
    words = (command,) if isinstance(command, str) else command
    if not isinstance(words, (list, tuple)) or not words or (isinstance(words[0], str) and not words[0].strip()):
        raise UserError(
            f"CommandStep needs a command, a text or a list of texts, parameters and data, not {command!r}; or give "
            "runconfig=ScriptRunConfig(…, command=…)."
        )
    return tuple(words)


def _first_word(words: Sequence[Any]) -> str:
    try:
        return os.path.basename(shlex.split(str(words[0]))[0])
    except (ValueError, IndexError):
        return str(words[0]).split()[0]


def _check_text(step_name: str, text: str) -> None:
    try:
        shlex.split(text)
    except ValueError as error:
        raise UserError(
            f"Step {step_name!r}: {str(error).lower()} in {text!r}; each part of a command closes the quotes that it "
            "opens."
        ) from error
    if _ADDRESS.search(text):
        raise PipelineError(
            f"Step {step_name!r}: {text!r} holds an object that was put into a text. Give it as a part of its own: "
            "command=['python train.py --data', data]."
        )


def _only_one(what: str, own: Any, configured: Any) -> Any:
    if own is not None and configured is not None and own != configured:
        raise UserError(f"CommandStep: {what} is given by the step and by its ScriptRunConfig; give it once.")
    return configured if own is None else own
