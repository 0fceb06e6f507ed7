"""What the guard runs when an engine of ours was killed: delete the pod and the Secret of a step run.

The engine may have been killed in the middle of making them, so that they are looked for more than once. A connection
that only Airflow knows cannot be found here; then the next sweep deletes them.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from refrain.compute.kubernetes.client import by_official_client, remove_run
from refrain.compute.kubernetes.settings import Cluster

_LOOKS = 3
_PAUSE = 0.5


def command(cluster: Cluster, namespace: str, run_id: str) -> list[str]:
    """Return the command; no secret is in it."""
    return [sys.executable, "-m", __name__, json.dumps(asdict(cluster)), namespace, run_id]


def main(cluster: str, namespace: str, run_id: str) -> None:
    """Delete what a step run has on a cluster."""
    client = by_official_client(Cluster(**json.loads(cluster)))
    for _ in range(_LOOKS):
        remove_run(client, namespace, run_id)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:4])
