"""Local runs: a pipeline run by this process, or by one of its own that goes on when this one ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from refrain.compute.computes import Computes
from refrain.data.parameters import assign, recorded
from refrain.errors import DataError, RefrainError, RunFailedError, StepFailedError, UserError, WorkspaceError
from refrain.execution.alone import latest_results
from refrain.execution.engine import Engine
from refrain.execution.force import Force, Wanted
from refrain.execution.listener import Listener
from refrain.execution.preview import Explained
from refrain.execution.request import RunContext
from refrain.execution.runner import OnFailure, Outcome, Runner, RunOptions, process_origin
from refrain.execution.sources import Sources
from refrain.execution.trial import Trial, require_debuggable, way_to_run_alone
from refrain.pipelines.workspace import Workspace
from refrain.reuse.verification import Verification
from refrain.steps.definition import PipelineDefinition, StepDefinition
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain.tracking.run_id import new_root_id

if TYPE_CHECKING:
    import subprocess

    from refrain.pipelines.pipeline import Pipeline
    from refrain.pipelines.run import PipelineRun

DEFAULT_EXPERIMENT = "default"
RUNNER_LOG = "runner.log"
"""What the process of a submitted run said, in the run's folder."""


def run_pipeline(  # noqa: PLR0913  # a user's options, as keywords
    pipeline: Pipeline,
    pipeline_parameters: Mapping[str, Any],
    *,
    experiment_name: str = DEFAULT_EXPERIMENT,
    regenerate_outputs: Wanted = False,
    continue_on_step_failure: bool = False,
    jobs: int | None = None,
    verify: str | float | None = None,
    listener: Listener | None = None,
    raise_on_error: bool = True,
) -> PipelineRun:
    """Run a pipeline in this process and return the finished run.

    :param regenerate_outputs: True runs every step; a list of step keys or names runs those, whatever could be reused;
        ``"train+"`` in it means that step and everything after it.
    :param verify: ``full``, ``stat`` or the share of reused results whose bytes are read again; None means what the
        workspace says, see :meth:`refrain.pipelines.workspace.Workspace.set_verification`.
    :param continue_on_step_failure: run the branches that do not depend on a failed step.
    :param jobs: how many steps run at once; None means the number of cores.
    :raises RunFailedError: when a step failed, unless *raise_on_error* is off.
    :raises ParameterError: for an unknown parameter or a wrong type.
    :raises KeyboardInterrupt: after everything was stopped, when the user interrupted the run.
    """
    from refrain.pipelines.run import PipelineRun

    runner, run_id = make_runner(
        pipeline.workspace,
        pipeline.definition,
        pipeline_parameters,
        experiment_name,
        run_options(pipeline.definition, regenerate_outputs, continue_on_step_failure, jobs, verification_of(verify)),
        listener,
    )
    outcome = runner.run()
    if outcome.is_canceled:
        raise KeyboardInterrupt
    if raise_on_error:
        require_success(outcome)
    return PipelineRun.get(pipeline.workspace, run_id)


def explain_pipeline(
    pipeline: Pipeline, pipeline_parameters: Mapping[str, Any], regenerate_outputs: Wanted = False
) -> dict[str, Explained]:
    """Return, by step key, what a run would decide and why; nothing is run.

    :raises ParameterError: for an unknown parameter or a wrong type.
    """
    options = run_options(pipeline.definition, regenerate_outputs, False, None)
    runner, _ = make_runner(pipeline.workspace, pipeline.definition, pipeline_parameters, DEFAULT_EXPERIMENT, options)
    return runner.explain()


def make_runner(  # noqa: PLR0913  # all that a run is made of
    workspace: Workspace,
    definition: PipelineDefinition,
    parameters: Mapping[str, Any],
    experiment: str,
    options: RunOptions,
    listener: Listener | None = None,
    run_id: str | None = None,
) -> tuple[Runner, str]:
    """Return a runner for one new run, and the run's id."""
    listener = listener or Listener()
    values = assign(definition.declared, parameters, workspace)
    run = RunContext(run_id or new_root_id(), definition.name, experiment, workspace.name, workspace.root)
    engine = Engine(workspace.state, listener, options.verification, gathers=True)
    return Runner(engine, definition, run, values, options, listener), run.root_id


def require_success(outcome: Outcome) -> None:
    """Raise what went wrong in a run.

    :raises RunFailedError: when a step failed; its cause is the first failure.
    """
    if not outcome.errors:
        return
    first = next(iter(outcome.errors.values()))
    if isinstance(first, RefrainError):
        others = len(outcome.errors) - 1
        raise RunFailedError(f"{first}" + (f"\n({others} more steps did not end well.)" if others else "")) from first
    raise first


def submit_detached(
    workspace: Workspace,
    definition: PipelineDefinition,
    parameters: Mapping[str, Any],
    experiment: str,
    options: RunOptions,
) -> str:
    """Start a run in a process of its own, which goes on when this one ends, and return the run's id.

    The sources are captured now, so that later edits do not reach the run.

    :raises ParameterError: for an unknown parameter or a wrong type.
    :raises WorkspaceError: when the workspace cannot be written.
    """
    name = workspace.name
    values = recorded(assign(definition.declared, parameters, workspace))
    run_id = new_root_id()
    submission = {
        "schema": 1,
        "definition": Sources(workspace.state).freeze(definition).to_json(),
        "parameters": values,
        "experiment": experiment,
        "workspace_name": name,
        "jobs": options.jobs,
        "continue": options.on_failure is OnFailure.CONTINUE,
        "force": {"everything": options.force.everything, "steps": sorted(options.force.steps)},
        "verify": options.verification.share if options.verification else None,
        "file": options.file,
        "words": options.words,
    }
    process = _start_runner(workspace, run_id, json.dumps(submission).encode())
    # Whoever comes first writes it: the run can be looked up at once, and what its own process wrote stays.
    RunStore(workspace.state).create(
        RunRecord(
            run_id=run_id,
            name=definition.name,
            pipeline=definition.name,
            experiment=experiment,
            status=RunStatus.PREPARING,
            created=time.time(),
            parameters=values,
            origin=process_origin(process.pid),
            steps=tuple(step.key for step in definition.steps),
        )
    )
    threading.Thread(target=process.wait, daemon=True).start()  # so that no zombie stays
    return run_id


def _start_runner(workspace: Workspace, run_id: str, submission: bytes) -> subprocess.Popen[bytes]:
    import subprocess

    folder = RunStore(workspace.state).folder(run_id)
    try:
        os.makedirs(folder)
        log = open(os.path.join(folder, RUNNER_LOG), "ab")  # noqa: SIM115  # closed below
    except OSError as error:
        raise WorkspaceError(f"Cannot make the run folder {folder!r}: {error.strerror}.") from error
    # The submission may hold the values of secret variables: it goes through a pipe and is never stored.
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "refrain.pipelines.local", workspace.root, run_id],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # type: ignore[union-attr]  # it is a pipe
        pipe.write(submission)  # a process that died at once has said why in its log
    return process


def run_submission(root: str, run_id: str, submission: Mapping[str, Any]) -> Outcome:
    """Do what :func:`submit_detached` asked for, in this process, and end its log with what went wrong."""
    force = Force(submission["force"]["everything"], frozenset(submission["force"]["steps"]))
    on_failure = OnFailure.CONTINUE if submission["continue"] else OnFailure.STOP
    verification = verification_of(submission["verify"])
    known = {"file": submission["file"], "words": tuple(submission["words"])}
    options = RunOptions(submission["jobs"], on_failure, force, verification, **known)
    workspace = Workspace(root, submission["workspace_name"])
    definition = PipelineDefinition.from_json(submission["definition"])
    parameters, experiment = submission["parameters"], submission["experiment"]
    runner, _ = make_runner(workspace, definition, parameters, experiment, options, run_id=run_id)
    with interrupted_by(signal.SIGTERM):
        outcome = runner.run()
    for key, error in outcome.errors.items():
        sys.stderr.write(f"{key}: {error}\n")
    sys.stderr.write(way_to_run_failed(outcome, definition, workspace.state, options))
    return outcome


def way_to_run_failed(
    outcome: Outcome, definition: PipelineDefinition, state: WorkspaceState, options: RunOptions
) -> str:
    """Return how the step is run alone whose script failed; empty when none did, or the pipeline's file is unknown."""
    failed = [key for key, error in outcome.errors.items() if isinstance(error, StepFailedError)]
    if not failed or not options.file or outcome.is_canceled:
        return ""
    step = definition.step(failed[0])
    return way_to_run_alone(options.file, step, Computes(state).target(step.compute), options.words)


@contextlib.contextmanager
def interrupted_by(number: signal.Signals) -> Iterator[None]:
    """Let a signal interrupt the main thread as Ctrl-C does."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)


def run_options(
    definition: PipelineDefinition,
    regenerate: Wanted,
    keep_going: bool,
    jobs: int | None,
    verification: Verification | None = None,
) -> RunOptions:
    """Return options for a run of *definition*.

    :param regenerate: see :meth:`refrain.execution.force.Force.parse`.
    :raises UserError: as that.
    :raises UserError: for *jobs* below 1.
    :raises UnknownNameError: for a step that is not there.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs must be 1 or more, not {jobs}.")
    on_failure = OnFailure.CONTINUE if keep_going else OnFailure.STOP
    return RunOptions(jobs, on_failure, Force.parse(definition, regenerate), verification)


def trial_options(
    workspace: Workspace, definition: PipelineDefinition, step: StepDefinition, trial: Trial
) -> RunOptions:
    """Return options for a run of one step alone, with what the steps before it gave in the last run.

    :raises UserError: when no run has completed those, or a debugger is asked for and the step is no Python script of
        this machine.
    """
    if trial.debug_port is not None:
        require_debuggable(step, Computes(workspace.state).target(step.compute))
    given = latest_results(step, definition.name, RunStore(workspace.state))
    return RunOptions(jobs=1, force=Force(everything=True), given=given, trial=trial)


def verification_of(verify: str | float | None) -> Verification | None:
    """Return what a user's word means; None, which is what the workspace says, for None.

    :raises UserError: for an unknown word.
    """
    return None if verify is None else Verification.parse(verify)


def _main() -> None:
    root, run_id = sys.argv[1:]
    submission = json.loads(sys.stdin.buffer.read())
    outcome = run_submission(root, run_id, submission)
    with contextlib.suppress(DataError):  # where it cannot be brought, the runner's log stays on this machine
        RunStore(WorkspaceState(root)).files(run_id).bring()
    sys.exit(0 if not outcome.errors and not outcome.is_canceled else 1)


if __name__ == "__main__":
    _main()
