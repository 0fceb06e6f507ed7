"""Source: a step's files, uploaded to where a cluster can run them; each content once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from refrain.compute.databricks.service import Databricks
from refrain.compute.databricks.settings import DatabricksSettings
from refrain.execution.body import Work
from refrain.execution.stage import Stage
from refrain.execution.step_log import StepLog
from refrain.steps.databricks import SCRIPT
from refrain.storage.retry import in_parallel

_COMPLETE = ".refrain-complete"


def upload(work: Work, stage: Stage, settings: DatabricksSettings, service: Databricks, log: StepLog) -> str:
    """Upload the source of a step, unless it is there, and return its folder; empty for a step without source.

    The folder is named by its content, and a sign is put there last: what was interrupted is uploaded again.

    :raises DatabricksError: when it cannot be uploaded.
    """
    if SCRIPT not in dict(work.step.parameters):
        return ""
    folder = stage.folder / "source"
    manifest = work.sources.restore(work.step.source, folder)
    target = f"{settings.upload_path.rstrip('/')}/snapshots/{manifest.digest}"
    if service.exists(f"{target}/{_COMPLETE}"):
        return target
    files = [entry.path for entry in manifest.entries if not entry.path.endswith("/")]
    log.say(f"uploading {len(files)} files to {target}")
    in_parallel(lambda path: service.upload(folder / path, f"{target}/{path}"), files)
    with tempfile.TemporaryDirectory(dir=stage.folder) as aside:
        sign = Path(aside, _COMPLETE)
        sign.write_text("All files of this source have been uploaded.\n")
        service.upload(sign, f"{target}/{_COMPLETE}")
    return target
