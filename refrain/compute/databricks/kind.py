"""DatabricksKind: compute targets that are Databricks workspaces."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from refrain.compute.databricks.channel import open_channel
from refrain.compute.databricks.run import DatabricksRun, Ending
from refrain.compute.databricks.service import Databricks
from refrain.compute.databricks.settings import DatabricksSettings, check_settings
from refrain.compute.target import Target
from refrain.errors import StepFailedError, UserError
from refrain.storage.state import WorkspaceState

_TRIAL = "print('works')\n"


class DatabricksKind:
    """See :class:`refrain.compute.kinds.TargetKind`. Only Databricks steps run there."""

    def check(self, settings: Mapping[str, Any]) -> None:
        """See :class:`TargetKind`."""
        check_settings(settings)

    def compute(self, target: Target, state: WorkspaceState, grace_seconds: float) -> NoReturn:  # noqa: ARG002
        """See :class:`TargetKind`."""
        raise UserError(
            f"The compute target {target.name!r} is a Databricks workspace, where only a DatabricksStep runs. Give the "
            "step another compute target, or make it a DatabricksStep with python_script_name."
        )

    def examine(self, target: Target, state: WorkspaceState) -> Iterator[str]:  # noqa: ARG002
        """See :class:`TargetKind`: log in, upload a script, run it, and delete it."""
        known = {item.name for item in fields(DatabricksSettings)}
        settings = DatabricksSettings(**{name: value for name, value in target.settings.items() if name in known})
        service = Databricks(open_channel(settings.conn_id))
        versions = service.spark_versions()
        yield f"{service.host} accepts the connection {settings.conn_id!r}, and has {len(versions)} versions of Spark"
        folder = f"{settings.upload_path.rstrip('/')}/trials/{secrets.token_hex(8)}"
        with tempfile.TemporaryDirectory(prefix="refrain-") as local:
            script = Path(local, "trial.py")
            script.write_text(_TRIAL)
            service.upload(script, f"{folder}/trial.py")
        try:
            yield f"a script was uploaded to {settings.upload_path}"
            if not (settings.existing_cluster_id or settings.cluster):
                yield "no run was tried: the target has neither an existing_cluster_id nor a cluster; steps name theirs"
                return
            yield f"it was run, and its output arrived: {_tried(service, settings, folder)}"
        finally:
            service.delete(folder)


def _tried(service: Databricks, settings: DatabricksSettings, folder: str) -> str:
    """Run the trial script and return the address of its run's page."""
    where: dict[str, Any] = {"new_cluster": dict(settings.cluster)}
    if settings.existing_cluster_id:
        where = {"existing_cluster_id": settings.existing_cluster_id}
    task = {"task_key": "trial", **where, "spark_python_task": {"python_file": f"{folder}/trial.py"}}
    run_id = service.submit({"run_name": "refrain compute test", "tasks": [task]})
    run = service.run(run_id)
    try:
        while run.ending is None:
            time.sleep(settings.poll_seconds)
            run = service.run(run_id)
    except BaseException:
        service.cancel(run_id)
        raise
    _require_worked(service, run)
    return run.page


def _require_worked(service: Databricks, run: DatabricksRun) -> None:
    output = service.output(run)
    if run.ending is not Ending.SUCCEEDED:
        raise StepFailedError(f"Run {run.run_id} {run.sentence(str(output.get('error') or ''))} Its page is {run.page}")
    said = str(output.get("logs") or "").strip()
    if said != "works":
        raise StepFailedError(f"Run {run.run_id} ended well, but its output did not arrive: {said or '-'}.")
