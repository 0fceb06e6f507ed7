"""Requests: what the Jobs API is asked to run for a step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from refrain.compute.databricks.service import Databricks
from refrain.compute.databricks.settings import DatabricksSettings
from refrain.errors import UserError
from refrain.execution.body import Work
from refrain.execution.databricks.address import companions
from refrain.execution.process_environment import run_variables, text_of
from refrain.steps.command import InputPath, Literal, OutputPath, Setting, Token
from refrain.steps.databricks import (
    ARGUMENT,
    MAIN_CLASS,
    NOTEBOOK,
    SCRIPT,
    SCRIPT_ON_DATABRICKS,
    SPARK_CONF,
    WIDGET,
)
from refrain.steps.databricks_options import NEW_CLUSTER, TASK, merged
from refrain.steps.definition import StepDefinition

TASK_KEY = "step"
_FREE = "run"
_RUNNING = ("RUNNING", "RESIZING")


@dataclass(frozen=True)
class RequestParts:
    """What a request is made of besides the step.

    :param token: by which Databricks knows the submission again.
    :param step_run_id: the run that the job takes itself to be.
    :param read: the URIs of the inputs by name.
    :param written: the URIs of the outputs by name.
    :param uploaded: the folder on Databricks with the step's source; empty when it has none.
    """

    token: str
    step_run_id: str
    read: Mapping[str, str]
    written: Mapping[str, str]
    uploaded: str


def submit_request(work: Work, settings: DatabricksSettings, parts: RequestParts) -> dict[str, Any]:
    """Return the body of ``runs/submit``.

    :raises UserError: when no cluster is named, by the step or its target.
    """
    texts = {name: token.text for name, token in work.step.parameters if isinstance(token, (Literal, Setting))}
    free, options = json.loads(texts[_FREE]), json.loads(texts.get("job_options", "{}"))
    cluster = _cluster(work, texts, free, options, settings)
    task = {
        "task_key": TASK_KEY,
        **cluster,
        **_code(work, texts, settings, parts),
        "libraries": json.loads(texts.get("libraries", "[]")),
    }
    request = {
        "run_name": free["run_name"],
        "idempotency_token": parts.token,
        "tasks": [merged(task, options.pop(TASK, {}))],
    }
    if "timeout_seconds" in free:
        request["timeout_seconds"] = free["timeout_seconds"]
    options.pop(NEW_CLUSTER, None)
    return merged(request, options)


def forbids_restart(step: StepDefinition) -> bool:
    """Say whether the step's cluster may not be started for it."""
    free = next(token.text for name, token in step.parameters if name == _FREE and isinstance(token, Setting))
    return json.loads(free).get("permit_cluster_restart") is False


def require_running(request: Mapping[str, Any], step: StepDefinition, service: Databricks) -> None:
    """Refuse to use a cluster that is not running.

    :raises UserError: naming it and its state.
    """
    cluster_id = request["tasks"][0]["existing_cluster_id"]
    state = service.cluster_state(cluster_id)
    if state not in _RUNNING:
        raise UserError(
            f"Step {step.name!r}: its cluster {cluster_id!r} is {state}, and permit_cluster_restart=False forbids to "
            "start it. Start it, or let the step do so."
        )


def _cluster(
    work: Work,
    texts: Mapping[str, str],
    free: Mapping[str, Any],
    options: Mapping[str, Any],
    settings: DatabricksSettings,
) -> dict[str, Any]:
    existing = json.loads(texts.get("existing_cluster_id", "null"))
    is_new = "num_workers" in free or "min_workers" in free
    if existing or not (is_new or settings.cluster or NEW_CLUSTER in options):
        existing = existing or settings.existing_cluster_id
        if not existing:
            raise UserError(
                f"Step {work.step.name!r} names no cluster, and neither does its compute target {work.step.compute!r}. "
                "Give the step num_workers or an existing_cluster_id, or the target: refrain compute set "
                f"{work.step.compute} databricks existing_cluster_id=…"
            )
        return {"existing_cluster_id": existing}
    variables = dict(work.step.environment.variables)
    conf = {name.removeprefix(SPARK_CONF): value for name, value in variables.items() if name.startswith(SPARK_CONF)}
    size: dict[str, Any] = {"num_workers": free.get("num_workers")}
    if "min_workers" in free:
        size = {"autoscale": {"min_workers": free["min_workers"], "max_workers": free["max_workers"]}}
    log_path = free.get("cluster_log_dbfs_path")
    asked = {
        **size,
        "spark_version": json.loads(texts.get("spark_version", "null")),
        "node_type_id": free.get("node_type"),
        "instance_pool_id": free.get("instance_pool_id"),
        "spark_conf": conf,
        "spark_env_vars": {name: value for name, value in variables.items() if not name.startswith(SPARK_CONF)},
        "init_scripts": [_init_script(item) for item in json.loads(texts.get("init_scripts", "[]"))],
        "cluster_log_conf": {"dbfs": {"destination": log_path}} if log_path else None,
    }
    said = {name: value for name, value in asked.items() if value not in (None, {}, [])}
    return {"new_cluster": merged(merged(settings.cluster, said), options.get(NEW_CLUSTER, {}))}


def _code(work: Work, texts: Mapping[str, str], settings: DatabricksSettings, parts: RequestParts) -> dict[str, Any]:
    if NOTEBOOK in texts:
        return {"notebook_task": {"notebook_path": texts[NOTEBOOK], "base_parameters": _widgets(work, settings, parts)}}
    arguments = [_text(token, work, parts) for name, token in work.step.parameters if name.startswith(ARGUMENT)]
    data = {**parts.read, **parts.written}
    arguments += [word for name, uri in data.items() for word in (f"-{name}", uri)]
    if MAIN_CLASS in texts:
        return {"spark_jar_task": {"main_class_name": texts[MAIN_CLASS], "parameters": arguments}}
    arguments += [word for name, text in _run_arguments(work, parts) for word in (f"--{name}", text)]
    script = f"{parts.uploaded}/{texts[SCRIPT]}" if SCRIPT in texts else texts[SCRIPT_ON_DATABRICKS]
    return {"spark_python_task": {"python_file": script, "parameters": arguments}}


def _widgets(work: Work, settings: DatabricksSettings, parts: RequestParts) -> dict[str, str]:
    data = {**parts.read, **parts.written}
    mounting = [companions(name, uri, settings) for name, uri in data.items()]
    given = {
        name.removeprefix(WIDGET): _text(token, work, parts)
        for name, token in work.step.parameters
        if name.startswith(WIDGET)
    }
    run = dict(_run_arguments(work, parts))
    return {**run, **{name: text for found in mounting for name, text in found.items()}, **data, **given}


def _run_arguments(work: Work, parts: RequestParts) -> Iterator[tuple[str, str]]:
    yield from run_variables(work.request, parts.step_run_id).items()
    if parts.uploaded:
        yield "AZUREML_SCRIPT_DIRECTORY_NAME", parts.uploaded


def _text(token: Token, work: Work, parts: RequestParts) -> str:
    if isinstance(token, InputPath):
        return parts.read[token.name]
    if isinstance(token, OutputPath):
        return parts.written[token.name]
    return text_of(token, work.request)


def _init_script(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    path = str(item)
    kind = "dbfs" if path.startswith("dbfs:/") else "volumes" if path.startswith("/Volumes/") else "workspace"
    return {kind: {"destination": path}}
