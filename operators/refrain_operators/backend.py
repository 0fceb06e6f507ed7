"""AirflowBackend: submitted pipelines as runs of a running Airflow, over its REST API."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from refrain.data.parameters import assign, recorded
from refrain.errors import RefrainError, UserError
from refrain.execution.runner import OnFailure, RunOptions
from refrain.execution.sources import Sources
from refrain.pipelines.backends import AIRFLOW_URL_VARIABLE
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import new_root_id, root_id_for
from refrain_operators.doc_pages import FORCE_PARAM
from refrain_operators.forced import require_free_name
from refrain_operators.rest import AirflowClient
from refrain_operators.submitted import TAG, store

WAIT_FOR_DAG_SECONDS = 180.0

_STATUS = {
    "queued": RunStatus.QUEUED,
    "running": RunStatus.RUNNING,
    "success": RunStatus.COMPLETED,
    "failed": RunStatus.FAILED,
}


class AirflowBackend:
    """See :class:`refrain.pipelines.backends.Backend`.

    The server is named by ``REFRAIN_AIRFLOW_URL``; ``REFRAIN_AIRFLOW_USERNAME`` and ``REFRAIN_AIRFLOW_PASSWORD``, or
    ``REFRAIN_AIRFLOW_TOKEN``, sign in. It must have the same workspace, and a DAG file that calls
    :func:`refrain_operators.submitted.submitted_dags`.
    """

    def submit(
        self,
        workspace: Workspace,
        definition: PipelineDefinition,
        parameters: Mapping[str, Any],
        experiment: str,
        options: RunOptions,
    ) -> str:
        """Store the definition with its sources, wait until Airflow has read it, and trigger a run.

        :raises UserError: when the pipeline has a parameter of a name that Airflow's runs need.
        """
        require_free_name(definition)
        values = recorded(assign(definition.declared, parameters, workspace))
        frozen = Sources(workspace.state).freeze(definition)
        dag_id = store(frozen, experiment, options.on_failure is OnFailure.CONTINUE, workspace.state)
        client = _client()
        _wait_for_dag(client, dag_id)
        run_id = f"refrain__{new_root_id()}"
        root_id = root_id_for(dag_id, run_id)
        record = RunRecord(
            run_id=root_id,
            name=definition.name,
            pipeline=definition.name,
            experiment=experiment,
            status=RunStatus.QUEUED,
            created=time.time(),
            parameters=values,
            origin={"kind": "airflow", "dag_id": dag_id, "run_id": run_id},
            steps=tuple(step.key for step in definition.steps),
            pipeline_outputs=definition.named_outputs,
        )
        runs = RunStore(workspace.state)
        runs.put(record)  # before the trigger, so that the run can be found as soon as its first task writes
        try:
            force = options.force.everything or sorted(options.force.steps) or False
            client.trigger(dag_id, {**values, FORCE_PARAM: force}, run_id=run_id)
        except RefrainError as error:
            runs.update(record, status=RunStatus.FAILED, error=str(error))
            raise
        return root_id

    def status(self, record: RunRecord) -> RunStatus:
        """Return the status of the DAG run, or what the workspace knows when no server is named."""
        if record.status.is_final or not os.environ.get(AIRFLOW_URL_VARIABLE):
            return record.status
        run = _client().dag_run(record.origin["dag_id"], record.origin["run_id"])
        return _STATUS.get(str(run["state"]), RunStatus.RUNNING)

    def cancel(self, record: RunRecord) -> None:
        """Mark the DAG run as failed, which stops its tasks; nothing happens when it has ended."""
        if not self.status(record).is_final:
            _client().cancel(record.origin["dag_id"], record.origin["run_id"])


def _wait_for_dag(client: AirflowClient, dag_id: str) -> None:
    """Wait until Airflow knows the DAG; its id says what is in it, so that a known one need not be read again."""
    known = {dag["dag_id"]: dag for dag in client.dags() if not dag["is_stale"]}
    if dag_id in known:
        return
    for other, dag in known.items():
        if any(tag["name"] == TAG for tag in dag["tags"]):
            client.reparse(other)  # its file is also the new one's; else Airflow reads it every half minute
            break
    client.wait_for_dag(dag_id, timeout=WAIT_FOR_DAG_SECONDS)


def _client() -> AirflowClient:
    url = os.environ.get(AIRFLOW_URL_VARIABLE)
    if not url:
        raise UserError(
            f"Set {AIRFLOW_URL_VARIABLE} to the address of the Airflow server, such as http://127.0.0.1:8080."
        )
    return _signed_in(url, *(os.environ.get(f"REFRAIN_AIRFLOW_{name}") for name in ("USERNAME", "PASSWORD", "TOKEN")))


@lru_cache(maxsize=4)
def _signed_in(url: str, username: str | None, password: str | None, token: str | None) -> AirflowClient:
    """Return a client that is kept: whoever waits for a run asks several times a second."""
    return AirflowClient(url, username=username, password=password, token=token)
