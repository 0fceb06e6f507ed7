"""Trials: a process that tries a compute target from end to end, and may not take for ever."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence

from refrain.compute.job import Job, JobResult, OnLine
from refrain.compute.local import LocalCompute

_GRACE_SECONDS = 5.0


def run_trial(
    argv: Sequence[str], variables: Mapping[str, str], seconds: float, on_line: OnLine, folder: str | None = None
) -> JobResult:
    """Run a command as a step's process is run, in a folder of its own that is gone afterwards.

    :param variables: set beside those of this process.
    :param seconds: after so long it is canceled.
    :param folder: where the folder is made.
    """
    compute = LocalCompute(_GRACE_SECONDS)
    with tempfile.TemporaryDirectory(prefix=".refrain-trial-", dir=folder) as place:
        run_id = f"trial-{os.getpid()}"
        os.mkdir(os.path.join(place, "logs"))
        environment = {**os.environ, **variables, "REFRAIN_RUN_DIR": place, "AZUREML_RUN_ID": run_id}
        job_id = compute.submit(Job(run_id, tuple(argv), place, environment, os.path.join(place, "logs", "log.txt")))
        late = threading.Timer(seconds, compute.cancel, (job_id,))
        late.start()
        try:
            return compute.wait(job_id, on_line)
        finally:
            late.cancel()
