"""The ``refrain`` command."""

from __future__ import annotations

from collections.abc import Sequence

_COLLECTED_AFTER = 200_000
"""New objects until Python looks for garbage. A command makes little of it, and many objects that stay to its end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 1 for a failed run, 2 for wrong use.

    :param argv: the words after ``refrain``; None means those of this process.
    """
    import gc

    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_AFTER)
    try:
        from refrain.cli.command_line import answer

        return answer(argv)
    finally:
        gc.set_threshold(*before)


def command() -> int:
    """Be the whole of a process: answer as :func:`main`, and let Python not look for garbage twice when it ends."""
    import gc

    code = main()
    gc.freeze()
    return code
