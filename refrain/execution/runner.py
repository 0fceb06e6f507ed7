"""Runner: runs a whole pipeline on this machine, several steps at a time."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from refrain.compute.processes import start_mark
from refrain.data.handle import DataHandle
from refrain.data.parameters import Value, recorded
from refrain.data.ports import FromStep
from refrain.errors import WorkspaceError
from refrain.execution.asked import Asked
from refrain.execution.engine import Engine
from refrain.execution.force import NONE_FORCED, Force
from refrain.execution.listener import Listener, shielded
from refrain.execution.preview import Explained, Published, preview
from refrain.execution.request import RunContext, StepRequest, StepResult
from refrain.execution.schedule import Schedule
from refrain.execution.stage import sweep
from refrain.execution.step_threads import StepThreads
from refrain.execution.trial import Trial
from refrain.reuse.decision import Decision
from refrain.reuse.verification import Verification
from refrain.steps.definition import PipelineDefinition, StepDefinition
from refrain.steps.sharing import shared_sources
from refrain.tracking.record import RunRecord, RunStatus
from refrain.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Future

_QUICK_SECONDS = 0.02
"""How long a decision may take on average for the main thread to go on deciding; see :meth:`Runner._answered`."""
_FIRST_SECONDS = 0.25
"""What the first decisions may take beyond that: they open and read what the later ones share."""


class OnFailure(Enum):
    """What a failed step means for the rest of the run."""

    STOP = "stop"  # running steps are canceled, no other starts
    CONTINUE = "continue"  # steps that do not depend on it still run


@dataclass(frozen=True)
class RunOptions:
    """How a run goes.

    :param jobs: how many steps run at once; None means the number of cores.
    :param verification: of reused outputs; None means what the workspace says.
    :param given: by key, what steps that are not run have given in an earlier run.
    :param trial: how a step is run alone, to look into it.
    :param file: what defines the pipeline, as a user names it; empty where that is not known.
    :param words: the parameters that a user gave, as ``NAME=VALUE``.
    """

    jobs: int | None = None
    on_failure: OnFailure = OnFailure.STOP
    force: Force = NONE_FORCED
    verification: Verification | None = None
    given: Mapping[str, Published] = field(default_factory=dict)
    trial: Trial | None = None
    file: str = ""
    words: tuple[str, ...] = ()


_PLAIN = RunOptions()


@dataclass
class Outcome:
    """How a pipeline run went: the results of completed steps, the errors of failed ones, and those that never ran."""

    results: dict[str, StepResult] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)
    is_canceled: bool = False

    @property
    def status(self) -> RunStatus:
        """The status of the whole run."""
        if self.is_canceled:
            return RunStatus.CANCELED
        return RunStatus.FAILED if self.errors else RunStatus.COMPLETED


class Runner:
    """Runs one pipeline definition once."""

    def __init__(
        self,
        engine: Engine,
        definition: PipelineDefinition,
        run: RunContext,
        parameters: Mapping[str, Value],
        options: RunOptions = _PLAIN,
        listener: Listener | None = None,
    ) -> None:
        """Prepare a run; ``parameters`` holds every declared parameter's value."""
        self._engine = engine
        self._definition = definition
        self._run = replace(run, origin=process_origin(os.getpid()))
        self._parameters = parameters
        self._options = options
        self._jobs = options.jobs or os.cpu_count() or 1
        self._listener = shielded(listener)
        self._declared = definition.declared
        self._patience = _FIRST_SECONDS
        self._directory = next((step.source.directory for step in definition.steps if step.source.directory), None)

    def run(self) -> Outcome:
        """Run all steps and return how it went; failures are in the outcome, not raised.

        A KeyboardInterrupt stops every step, leaves no process running, and is in the outcome as ``is_canceled``.
        """
        record = self._begin()
        outcome = Outcome()
        status = RunStatus.FAILED
        try:
            self._listener.began(self._run.root_id, self._definition)
            for warning in shared_sources(self._definition).values():
                self._listener.warned(warning)
            self._run_to_the_end(outcome)
            self._end(record, outcome)
            status = outcome.status
        finally:
            self._listener.finished(status.value)
        return outcome

    def _run_to_the_end(self, outcome: Outcome) -> None:
        try:
            for step in self._definition.steps:
                self._engine.sources.capture(step.source)
            try:
                self._run_steps(outcome)
            finally:
                self._engine.flush()
        except KeyboardInterrupt:
            outcome.is_canceled = True
        except Exception as error:  # noqa: BLE001  # recorded with the run, and raised by whoever wants an exception
            outcome.errors[""] = error
        finally:
            self._engine.state.trees.flush()

    def explain(self) -> dict[str, Explained]:
        """Return, by step key, what would be decided, without running anything; see :func:`preview`."""
        try:
            return preview(self._definition.steps, self._ask, self._engine.lookup.recall)
        finally:
            self._engine.state.trees.flush()

    def _ask(self, step: StepDefinition, results: Mapping[str, Published]) -> Decision:
        return self._engine.ask(self._request(step, results)).decision

    def _run_steps(self, outcome: Outcome) -> None:
        threads = StepThreads(self._jobs)
        try:
            self._keep_running(threads, outcome)
        except BaseException:
            self._engine.cancel()
            raise
        finally:
            for step, future in threads.close():
                self._take(step, future, outcome)
            known = outcome.results.keys() | outcome.errors.keys()
            outcome.not_run.extend(step.key for step in self._definition.steps if step.key not in known)

    def _keep_running(self, threads: StepThreads, outcome: Outcome) -> None:
        schedule = Schedule(self._definition.steps, self._options.given.keys())
        ready = deque(schedule.first())
        while ready or threads.running:
            while ready and not threads.are_busy:  # never more, so that what a failure finds waiting never starts
                step = ready.popleft()
                request = self._request(step, outcome.results)
                found = self._answered(request)
                if isinstance(found, StepResult):
                    outcome.results[step.key] = found
                    ready.extend(schedule.after(step))
                else:
                    threads.start(step, partial(self._engine.run, request, found))
            if not threads.running:
                continue
            step, future = threads.next(self._write_notes)
            self._take(step, future, outcome)
            if outcome.errors and self._options.on_failure is OnFailure.STOP:
                ready.clear()
                self._engine.cancel()
            elif step.key in outcome.results:
                ready.extend(schedule.after(step))

    def _answered(self, request: StepRequest) -> StepResult | Asked | None:
        """Reuse a step here and now, or say that it has to run; None where its own thread is to ask.

        Handing a step over to a thread costs more than deciding that nothing has changed. Once a decision takes long,
        because there is much to read or the workspace is far away, the steps' threads decide, several at a time.
        """
        if self._patience < 0:
            return None
        began = time.perf_counter()
        try:
            asked = self._engine.ask(request)
            return self._engine.reuse(asked) if asked.decision.is_reused else asked
        except Exception:  # noqa: BLE001  # met again in the step's own thread, and recorded as the step's failure
            return None
        finally:
            self._patience += _QUICK_SECONDS - (time.perf_counter() - began)

    def _write_notes(self) -> None:
        with contextlib.suppress(WorkspaceError):  # tried again at the end
            self._engine.flush()

    def _take(self, step: StepDefinition, future: Future[StepResult], outcome: Outcome) -> None:
        error = future.exception()
        if error is None:
            outcome.results[step.key] = future.result()
        else:
            outcome.errors[step.key] = error

    def _request(self, step: StepDefinition, results: Mapping[str, Published]) -> StepRequest:
        results = {**self._options.given, **results} if self._options.given else results
        return StepRequest(
            step=step,
            run=self._run,
            parameters=self._parameters,
            declared=self._declared,
            handles=_handles(step, results),
            predecessors={key: results[key].made_by for key in step.after},
            is_forced=self._options.force.covers(step.key),
            trial=self._options.trial,
        )

    def _begin(self) -> RunRecord:
        sweep(self._engine.state)
        now = time.time()
        record = RunRecord(
            run_id=self._run.root_id,
            name=self._definition.name,
            pipeline=self._definition.name,
            experiment=self._run.experiment,
            status=RunStatus.RUNNING,
            created=now,
            started=now,
            parameters=recorded(self._parameters),
            origin=self._run.origin,
            steps=tuple(step.key for step in self._definition.steps),
            pipeline_outputs=self._definition.named_outputs,
        )
        self._engine.runs.put(record)
        if self._directory:  # asked for while the steps run, because git may take longer than a run that only reuses
            Thread(target=self._engine.git_properties, args=(self._directory,), daemon=True).start()
        return record

    def _end(self, record: RunRecord, outcome: Outcome) -> None:
        texts = [str(error) for error in outcome.errors.values()]
        error = "Canceled." if outcome.is_canceled else texts[0] if texts else ""
        properties = self._engine.git_properties(self._directory) if self._directory else {}
        self._engine.runs.put(
            replace(record, status=outcome.status, ended=time.time(), error=error, properties=properties)
        )


def _handles(step: StepDefinition, results: Mapping[str, Published]) -> dict[str, DataHandle]:
    handles = {}
    for port in step.inputs:
        if isinstance(port.source, FromStep):
            handles[port.name] = results[port.source.step].outputs[port.source.output]
    return handles


def process_origin(process: int) -> dict[str, object]:
    """Return the origin of a run that a process of this machine runs."""
    return {"kind": "local", "host": os.uname().nodename, "process": process, "started": start_mark(process)}
