"""Submitted pipelines: definitions that were submitted from elsewhere, as DAGs of this Airflow."""

from __future__ import annotations

import json
import logging
from typing import Any

from refrain.errors import RefrainError, UserError
from refrain.pipelines.graph import key_stem
from refrain.pipelines.workspace import Workspace
from refrain.reuse.preimage import is_secret
from refrain.steps.definition import PipelineDefinition
from refrain.storage.digest import digest_bytes
from refrain.storage.state import WorkspaceState
from refrain_operators.dag import definition_dag

KIND = "submitted-pipelines"
MOST_LOADED = 50
TAG = "submitted"
_LONGEST_STEM = 200

log = logging.getLogger(__name__)


def store(definition: PipelineDefinition, experiment: str, keep_going: bool, state: WorkspaceState) -> str:
    """Store a frozen definition, unless an equal one is there, and return the id of its DAG.

    :raises UserError: when it holds the value of a secret variable, which must not be written down.
    """
    for step in definition.steps:
        for name, value in step.environment.variables:
            if is_secret(name, value):
                raise UserError(
                    f"Step {step.name!r} has the environment variable {name!r}, whose value would be stored with the "
                    "submitted pipeline. Deploy the pipeline as a DAG file instead, which reads it where it runs."
                )
    record = {
        "schema": 1,
        "definition": definition.to_json(),
        "experiment": experiment,
        "continue_on_step_failure": keep_going,
    }
    digest = digest_bytes(json.dumps(record, sort_keys=True).encode())
    dag_id = f"{key_stem(definition.name)[:_LONGEST_STEM]}__{digest[:16]}"
    if state.registry.versions(KIND, dag_id):
        state.registry.refresh(KIND, dag_id)  # it is among the latest again
    else:
        state.registry.add(KIND, dag_id, record)
    return dag_id


def submitted_dags(workspace: Workspace | None = None) -> dict[str, Any]:
    """Return the latest fifty submitted pipelines as DAGs by id, for ``globals().update(submitted_dags())``.

    A definition that cannot be read is left out, so that one damaged file does not take the others down; the log of
    whoever reads the DAG file says so.

    :param workspace: None means ``REFRAIN_WORKSPACE`` or the nearest configuration file.
    """
    workspace = workspace or Workspace()
    state = workspace.state
    dags = {}
    for dag_id in state.registry.latest(KIND)[:MOST_LOADED]:
        try:
            record = state.registry.get(KIND, dag_id)
            definition = PipelineDefinition.from_json(record["definition"]) if record else None
        except (RefrainError, ValueError, KeyError) as error:
            log.warning("The submitted pipeline %s cannot be read and is left out: %s", dag_id, error)
            continue
        if record is not None and definition is not None:
            dags[dag_id] = definition_dag(
                definition,
                workspace.root,
                dag_id=dag_id,
                experiment=record["experiment"],
                schedule=None,
                catchup=False,
                continue_on_step_failure=record["continue_on_step_failure"],
                tags={"refrain", TAG},
                is_paused_upon_creation=False,
            )
    return dags
