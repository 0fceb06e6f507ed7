"""DatabricksOperator: a Databricks step as an Airflow task, which holds no worker's slot while the job runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.log import mask_secret

from refrain.errors import SuspendedError
from refrain.execution.databricks.job import AwaitedRun
from refrain.execution.listener import Listener
from refrain.execution.preview import Published
from refrain.execution.request import RunContext, StepRequest
from refrain.pipelines.workspace import Workspace
from refrain.reuse.preimage import is_secret
from refrain.tracking.record import RunStore
from refrain_operators.connections import has_databricks
from refrain_operators.origin import ReusedFrom
from refrain_operators.step_operator import LogListener, StepOperator


class DatabricksRunLink(BaseOperatorLink):
    """A button on the task's page, leading to the run in Databricks."""

    name = "Databricks run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  # Airflow calls it so
        """Return the address of the run's page, or an empty text."""
        return str(getattr(operator, "run_page", ""))


class _LinkListener(LogListener):
    """Tells the operator where its run is."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.getLogger("refrain.step"))
        self._tell = tell

    def linked(self, key: str, name: str, url: str) -> None:
        """See :meth:`refrain.execution.listener.Listener.linked`."""
        super().linked(key, name, url)
        self._tell(url)


class DatabricksOperator(StepOperator):
    """Runs a Databricks step, or short-circuits it when nothing that it depends on has changed.

    Whatever happens to the worker, the triggerer or the scheduler, a later try of the task goes on with the job that an
    earlier one has submitted.

    :param deferrable: wait for the job in the triggerer instead of a worker, where the official provider is installed.
    """

    operator_extra_links: tuple[BaseOperatorLink, ...] = (ReusedFrom(), DatabricksRunLink())

    def __init__(self, *, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.run_page = ""
        self._instance: Any = None

    def resume_run(self, context: Any, event: Any = None) -> dict[str, Any]:  # noqa: ARG002  # Airflow passes it
        """Go on with the step run when its job has ended; the engine asks Databricks how, whatever the event says."""
        self._is_resumed = True
        return self.execute(context)

    def request(
        self, context: Any, run: RunContext, workspace: Workspace, runs: RunStore, made: Mapping[str, Published]
    ) -> StepRequest:
        """See :meth:`StepOperator.request`; the step may be suspended where it can be waited for elsewhere."""
        request = super().request(context, run, workspace, runs, made)
        attempts = runs.attempts(run.root_id, request.step.key) if self._is_resumed else []
        going_on = [record for record in attempts if not record.status.is_final]
        return replace(
            request,
            may_suspend=self.deferrable and has_databricks(),
            resumes=going_on[-1] if going_on else None,
        )

    def listener(self) -> Listener:
        """See :meth:`StepOperator.listener`."""
        return _LinkListener(self._link)

    def _execute(self, context: Any) -> dict[str, Any]:
        self._instance = context["ti"]
        for name, text in self.step.environment.variables:
            if is_secret(name, text):
                mask_secret(text)
        try:
            return super()._execute(context)
        except SuspendedError as error:
            self._wait_elsewhere(error)
            raise

    def _wait_elsewhere(self, error: SuspendedError) -> None:
        """Let a trigger wait for the run."""
        from refrain_operators.databricks_trigger import DatabricksRunTrigger

        assert isinstance(error.job, AwaitedRun)  # noqa: S101  # only this kind of step suspends
        trigger = DatabricksRunTrigger(
            workspace=Workspace(self.workspace).root,
            scope=error.job.scope,
            step_run_id=error.run_id,
            stop=self._stop.arguments,
            run_id=error.job.run_id,
            databricks_conn_id=error.job.conn_id,
            polling_period_seconds=max(1, round(error.job.poll_seconds)),
            run_page_url=error.job.page,
            caller="Refrain",
        )
        self.defer(trigger=trigger, method_name="resume_run")

    def _link(self, url: str) -> None:
        """Show the run's page at once, and not only when the task has ended."""
        link = DatabricksRunLink()
        self.run_page = url
        self.operator_extra_links = (*(known for known in self.operator_extra_links if known.name != link.name), link)
        self._instance.xcom_push(key=link.xcom_key, value=url)
