"""The command line: from words to a command, and from what it returns or raises to output and an exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from refrain.cli.answer import FAILED, OK, WRONG_USE, Answer, say, say_where
from refrain.cli.arguments import UsageError, build_parser
from refrain.errors import RefrainError, RunNotFoundError, UnknownNameError, UserError, WorkspaceError

INTERRUPTED = 128 + signal.SIGINT
_SCHEMA = 1
_WRONG_USE = (UserError, WorkspaceError, UnknownNameError, RunNotFoundError)


def answer(argv: Sequence[str] | None = None) -> int:
    """Do what ``refrain`` was called for; see :func:`refrain.cli.main`."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_json = "--json" in words
    try:
        options = build_parser(words).parse_args(words)
        module, _, function = options.command.partition(":")
        found: Answer | int = getattr(import_module(module), function)(options)
        return found if isinstance(found, int) else _print(found, is_json)
    except RefrainError as error:
        return _print_error(error, is_json)
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has had enough; without this, closing it at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001  # whoever reads JSON gets some all the same
        return _print_defect(error, is_json)


def _print(found: Answer, is_json: bool) -> int:
    text = json.dumps({"schema": _SCHEMA, **found.document}, indent=1) if is_json else "\n".join(found.lines)
    if text:
        print(text.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8"), flush=True)
    return found.exit_code


def _print_error(error: RefrainError, is_json: bool) -> int:
    say_where(error)
    say(f"{error}" if isinstance(error, UsageError) else f"refrain: {error}")
    return _failed(error, is_json, WRONG_USE if isinstance(error, _WRONG_USE) else FAILED)


def _print_defect(error: Exception, is_json: bool) -> int:
    """Say what nobody has foreseen, with all that whoever mends it needs."""
    import traceback

    say("".join(traceback.format_exception(error)).rstrip("\n"))
    say("refrain: This is a defect of Refrain. Please report it with the lines above.")
    return _failed(error, is_json, FAILED)


def _failed(error: Exception, is_json: bool, code: int) -> int:
    if is_json:
        _print(Answer({"error": {"type": type(error).__name__, "message": str(error)}}), is_json)
    return code
