"""The Airflow plugin: what Refrain adds to Airflow's own processes, registered by entry point alone."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from refrain_plugin import job_listener, run_listener

PREFIX = "/refrain"


class LazyPages:
    """The pages as an ASGI application. Every process of Airflow loads its plugins, and only one serves pages."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the pages answer a request."""
        await self._app(scope, receive, send)

    @cached_property
    def _app(self) -> Any:
        from refrain_plugin.pages import app

        return app


def _address(path: str) -> str:
    """Return the address of a page on Airflow's server, which may not be at the top of its host."""
    base_url: str = conf.get("api", "base_url", fallback="")
    return urlsplit(base_url).path.rstrip("/") + PREFIX + path


class RefrainPlugin(AirflowPlugin):
    """Keeps the pipeline runs' records in step with Airflow's DAG runs, ends jobs that nobody waits for, shows runs."""

    name = "refrain"
    listeners = (run_listener, job_listener)
    fastapi_apps = ({"app": LazyPages(), "url_prefix": PREFIX, "name": "Refrain"},)
    external_views = [  # noqa: RUF012  # Airflow takes it for a list, from which it may remove what clashes
        {
            "name": "Refrain",
            "href": _address("/dags/{DAG_ID}/runs/{RUN_ID}"),
            "destination": "dag_run",
            "url_route": "refrain",
        }
    ]
