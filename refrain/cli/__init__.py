"""The ``refrain`` command."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 1 for a failed run, 2 for wrong use.

    :param argv: the words after ``refrain``; None means those of this process.
    """
    from refrain.cli.command_line import answer

    return answer(argv)
