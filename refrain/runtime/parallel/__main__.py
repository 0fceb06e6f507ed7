"""``python -m refrain.runtime.parallel``: the process of a parallel run."""

from __future__ import annotations

import sys

from refrain.runtime.parallel.logs import say_anything
from refrain.runtime.parallel.parallel_run import ParallelRun
from refrain.runtime.parallel.settings import SettingError, Settings


def main() -> int:
    """Run what the command line says; return 0 when it succeeded."""
    say_anything()
    try:
        settings = Settings(sys.argv[1:])
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the step's log
        return 2
    return ParallelRun(settings, sys.argv[1:]).run()


if __name__ == "__main__":
    sys.exit(main())
