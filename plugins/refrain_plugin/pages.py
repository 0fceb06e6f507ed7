"""Pages: what Airflow's API server shows of Refrain; loaded by its first request.

Airflow does not ask who calls a plugin's application. So every route of this one asks its auth manager, for all that a
page tells of: the DAG's runs, their tasks, what these passed on, and what their logs say.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Path, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader

from refrain.errors import RefrainError, RunNotFoundError
from refrain.execution.duration import duration
from refrain.pipelines.run import PipelineRun
from refrain.pipelines.workspace import Workspace
from refrain.tracking.run_id import root_id_for
from refrain_plugin.run_view import run_view

_TOLD = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM, DagAccessEntity.TASK_LOGS)
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

app = FastAPI(
    title="Refrain",
    dependencies=[Depends(requires_access_dag("GET", entity)) for entity in _TOLD],
    openapi_url=None,  # with it would come pages of its own, which ask nobody
)
_templates = Environment(loader=PackageLoader("refrain_plugin"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_templates.filters["duration"] = duration


@app.get("/dags/{dag_id}/runs/{run_id}", response_class=HTMLResponse)
def run_page(
    dag_id: Annotated[str, Path()],
    run_id: Annotated[str, Path()],
    opened: Annotated[list[str] | None, Query(alias="open")] = None,
    *,
    is_part: Annotated[bool, Query(alias="part")] = False,
) -> HTMLResponse:
    """Show a DAG run: how its steps were decided, how far they are, and what they made.

    With ``?part=true`` it is only that which changes, for a page that is there already, with all of the steps whose
    keys follow as ``&open=``.
    """
    shown: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id}
    status = 200
    try:
        shown["run"] = run_view(PipelineRun.get(Workspace(), root_id_for(dag_id, run_id)), opened)
    except RunNotFoundError:
        status = 404
    except (RefrainError, OSError) as error:
        status, shown["error"] = 503, str(error)
    nonce = secrets.token_urlsafe(16)
    page = _templates.get_template("run_part.html" if is_part else "run.html").render(shown, nonce=nonce)
    headers = {
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(page, status, headers)
