"""What the guard runs when an engine of ours was killed: remove the containers of a step run.

The engine that starts a container may have been killed in the middle of it, so that it is looked for more than once.
"""

from __future__ import annotations

import sys
import time

from refrain.compute.docker.client import by_docker_py, remove_run
from refrain.compute.docker.settings import Engine

_LOOKS = 3
_PAUSE = 0.5


def command(engine: Engine, run_id: str) -> list[str]:
    """Return the command; it does not log in anywhere."""
    return [sys.executable, "-m", __name__, engine.address, engine.certificates, run_id]


def main(address: str, certificates: str, run_id: str) -> None:
    """Remove a step run's containers."""
    client = by_docker_py(Engine(address, certificates))
    for _ in range(_LOOKS):
        remove_run(client, run_id)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:4])
