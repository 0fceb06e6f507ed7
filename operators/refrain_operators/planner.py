"""Planner: decides the steps of a DAG run in one process, as far as their inputs are known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import TaskInstanceState
from airflow.sdk.definitions.param import process_params
from airflow.sdk.exceptions import ParamValidationError

from refrain.errors import RefrainError
from refrain.execution.asked import Asked
from refrain.execution.engine import Engine
from refrain.execution.lease import Leases, is_being_made
from refrain.execution.preview import Published
from refrain.execution.request import RunContext, StepResult
from refrain.execution.stage import sweep
from refrain.pipelines.workspace import Workspace
from refrain.reuse.decision import Verdict
from refrain.storage.state import WorkspaceState
from refrain_operators.references import recorded
from refrain_operators.step_operator import StepOperator
from refrain_operators.step_request import ensure_root, run_context, step_request

IsBeingMade = Callable[[WorkspaceState, str], bool]
"""Says whether somebody is making the result with a fingerprint right now."""

_RUN_ANYWAY = (Verdict.FORCED, Verdict.NOT_ALLOWED)

# Each record of a task's log crosses three of Airflow's processes, which costs as much CPU as a decision.
_LINES_AT_ONCE = 50

log = logging.getLogger("refrain.plan")


class Planner:
    """Asks the engine about each covered step whose predecessors are all reused; nothing is written before `record`.

    :param steps: the covered operators by task id, each behind those that it waits for.
    :param context: the planning task's.
    :param states: the tasks' states by id.
    """

    def __init__(
        self,
        steps: Mapping[str, StepOperator],
        context: Any,
        states: Mapping[str, str],
        is_being_made: IsBeingMade = is_being_made,
    ) -> None:
        self._steps = steps
        self._context = context
        self._states = states
        self._is_being_made = is_being_made
        self._engines: dict[str | None, tuple[Workspace, Engine]] = {}
        self._made: dict[str, Published] = {}
        self._hits: dict[str, Asked] = {}
        self._skipped: set[str] = set()
        self._lines: list[str] = []
        self._awaited: dict[str, str] = {}
        self.can_start: set[str] = set()

    @property
    def awaited(self) -> set[str]:
        """The tasks whose results are being made elsewhere."""
        return set(self._awaited)

    @property
    def is_worth_waiting(self) -> bool:
        """Whether results are being made elsewhere, and none of the covered steps could be at work meanwhile."""
        return bool(self._awaited) and not self.can_start

    def signs(self) -> dict[str, str]:
        """Return the latest signs of life of those who make the awaited results, by task id."""
        states = {task_id: self._engine(self._steps[task_id])[1].state for task_id in self._awaited}
        holders = {name: Leases(states[name].objects).holder(self._awaited[name]) for name in states}
        return {task_id: holder.sign for task_id, holder in holders.items() if holder is not None}

    @property
    def reused(self) -> set[str]:
        """The tasks whose steps are reused, those included that an earlier try has short-circuited."""
        return self._hits.keys() | self._skipped

    def decide(self) -> None:
        """Decide every step that can be decided, and log a line for each with its reason."""
        try:
            self._decide_all()
        finally:
            self._log()

    def _decide_all(self) -> None:
        for task_id, operator in self._steps.items():
            state = self._states.get(task_id)
            unknown = sorted(operator.upstream_task_ids & self._steps.keys() - self._made.keys())
            if state is not None:
                self._take_over(task_id, operator, state)
            elif unknown:
                self._say(f"Step {task_id} waits for its inputs: after {', '.join(unknown)}")
            else:
                self._decide(task_id, operator)

    def record(self) -> dict[str, StepResult]:
        """Write the run records of the reused steps and return their results by task id."""
        results = {}
        begun: set[int] = set()
        for task_id, asked in self._hits.items():
            operator = self._steps[task_id]
            _, engine = self._engine(operator)
            if id(engine) not in begun:
                ensure_root(operator, asked.request.run, self._context, engine.runs)
                begun.add(id(engine))
            results[task_id] = engine.reuse(asked)
        for workspace, engine in self._engines.values():
            engine.flush()
            workspace.state.trees.flush()
        return results

    def runs_of(self, task_id: str) -> Any:
        """Return the run records among which a task's are."""
        return self._engine(self._steps[task_id])[1].runs

    def _take_over(self, task_id: str, operator: StepOperator, state: str) -> None:
        """Leave a task alone that has a state; its result is used if it has one."""
        self._say(f"Step {task_id} is left alone: its task is {state}")
        if state not in (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED):
            return
        try:
            result = recorded(task_id, self._run(operator).root_id, self.runs_of(task_id))
        except RefrainError:
            return
        self._made[task_id] = result
        if state == TaskInstanceState.SKIPPED and result.reused_from:
            self._skipped.add(task_id)

    def _decide(self, task_id: str, operator: StepOperator) -> None:
        workspace, engine = self._engine(operator)
        try:
            context = {**self._context, "params": self._params(operator)}
            request = step_request(operator, context, self._run(operator), workspace, engine.runs, self._made)
            asked = engine.ask(request)
        except (RefrainError, ParamValidationError) as error:
            self._say(f"Step {task_id} is left to itself: {error}")
            self.can_start.add(task_id)
            return
        decision = asked.decision
        self._say(f"Step {task_id} {decision.sentence()}")
        for remark in filter(None, (decision.note, operator.warning)):
            self._log()
            log.warning("Step %s: %s", task_id, remark)
        if decision.record is not None:
            self._hits[task_id] = asked
            self._made[task_id] = decision.record
        elif decision.verdict not in _RUN_ANYWAY and self._is_being_made(engine.state, decision.fingerprint):
            self._say(f"Step {task_id}: its result is being made elsewhere")
            self._awaited[task_id] = decision.fingerprint
        else:
            self.can_start.add(task_id)

    def _say(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= _LINES_AT_ONCE:
            self._log()

    def _log(self) -> None:
        if self._lines:
            log.info("%s", "\n".join(self._lines))
            self._lines = []

    def _engine(self, operator: StepOperator) -> tuple[Workspace, Engine]:
        if operator.workspace not in self._engines:
            workspace = Workspace(operator.workspace)
            sweep(workspace.state)
            self._engines[operator.workspace] = workspace, Engine(workspace.state, gathers=True)
        return self._engines[operator.workspace]

    def _run(self, operator: StepOperator) -> RunContext:
        instance = self._context["ti"]
        run = run_context(operator, instance, self._engine(operator)[0])
        return replace(run, origin={**run.origin, "task_id": operator.task_id, "planned_by": instance.task_id})

    def _params(self, operator: StepOperator) -> Mapping[str, Any]:
        """Return the params of a step's task, which may have some of its own."""
        params = operator.params
        if not any(params.get_param(name).source == "task" for name in params):
            return self._context["params"]  # type: ignore[no-any-return]
        conf = self._context["dag_run"].conf
        return process_params(self._context["dag"], operator, conf, suppress_exception=False)  # type: ignore[no-any-return]
