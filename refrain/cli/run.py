"""``refrain run``: a pipeline, on this machine."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from refrain.cli.answer import FAILED, OK, Answer, say, say_where
from refrain.cli.interrupt import Interrupt, interruptible
from refrain.cli.load import forced, given_parameters, load_pipeline
from refrain.errors import RefrainError, UserError
from refrain.execution.alone import alone
from refrain.execution.progress import show_progress
from refrain.execution.runner import Outcome, RunOptions
from refrain.execution.trial import Trial
from refrain.pipelines.experiment import Experiment
from refrain.pipelines.local import make_runner, run_options, trial_options, verification_of, way_to_run_failed
from refrain.pipelines.pipeline import Pipeline
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition
from refrain.tracking.record import RunStatus
from refrain.tracking.run_id import short_id

_MOST_ERRORS = 3
_TRIALS = os.path.join(".refrain", "steps")


def run(options: argparse.Namespace) -> Answer:
    """Run a pipeline and show its progress on standard error.

    :raises UserError: when the command line, the file or the parameters are wrong.
    """
    with interruptible() as interrupt:
        pipeline = load_pipeline(options)
        Experiment(pipeline.workspace, options.experiment)  # refuses a bad name before anything starts
        parameters = given_parameters(pipeline.definition, options.param)
        definition, how = _asked_for(pipeline, options)
        # A run in the background has another current directory.
        file = os.path.abspath(options.target) if options.detach else options.target
        how = replace(how, file=file, words=tuple(options.param))
        if options.detach:
            return _detach(pipeline, parameters, options.experiment, how)
        runner, run_id = make_runner(
            pipeline.workspace,
            definition,
            parameters,
            options.experiment,
            how,
            show_progress(is_verbose=options.verbose or how.trial is not None),
        )
        outcome = runner.run()
        _tell(outcome, run_id)
        _tell_of_trials(outcome, pipeline, how)
        document = _document(pipeline.workspace, run_id) if options.json else {}
        return Answer(document, exit_code=_exit_code(outcome, interrupt))


def _asked_for(pipeline: Pipeline, options: argparse.Namespace) -> tuple[PipelineDefinition, RunOptions]:
    """Return what is to be run, and how."""
    definition = pipeline.definition
    if options.step is None:
        if options.debug is not None or options.keep_in is not None:
            raise UserError("--debug and --keep-in belong to --step STEP, which runs one step alone.")
        verification = verification_of(options.verify)
        return definition, run_options(definition, forced(options), options.keep_going, options.jobs, verification)
    if options.detach:
        raise UserError("--detach runs whole pipelines; leave it or --step out.")
    step = definition.step(options.step)
    trial = Trial(options.keep_in or os.path.join(_TRIALS, step.key), options.debug)
    if trial.debug_port is not None:
        say(f"{step.name} waits for a debugger at 127.0.0.1:{trial.debug_port} before its script begins.")
    return alone(definition, step), trial_options(pipeline.workspace, definition, step, trial)


def _document(workspace: Workspace, run_id: str) -> dict[str, object]:
    from refrain.pipelines.documents import document_of
    from refrain.pipelines.run import PipelineRun

    return document_of(PipelineRun.get(workspace, run_id))


def _detach(pipeline: Pipeline, parameters: dict[str, object], experiment: str, how: RunOptions) -> Answer:
    from refrain.pipelines.backends import backend

    run_id = backend("local").submit(pipeline.workspace, pipeline.definition, parameters, experiment, how)
    say(
        f"{pipeline.name} runs in the background. See: refrain runs show {short_id(run_id)}; "
        f"stop: refrain runs cancel {short_id(run_id)}"
    )
    return Answer({"run_id": run_id, "pipeline": pipeline.name, "experiment": experiment}, (run_id,))


def _tell_of_trials(outcome: Outcome, pipeline: Pipeline, how: RunOptions) -> None:
    """Say where the working directory of a step is that was run alone, or how to run one that failed so."""
    if how.trial is not None:
        say(f"\nThe working directory is kept in {how.trial.folder}.")
        return
    way = way_to_run_failed(outcome, pipeline.definition, pipeline.workspace.state, how)
    if way:
        say(way)


def _exit_code(outcome: Outcome, interrupt: Interrupt) -> int:
    if outcome.is_canceled:
        return interrupt.exit_code
    return FAILED if outcome.status is RunStatus.FAILED else OK


def _tell(outcome: Outcome, run_id: str) -> None:
    """Say on standard error what went wrong, and where to look further."""
    if outcome.is_canceled:
        say("\nStopped: every step that was running has been ended.")
        return
    errors = list(outcome.errors.values())
    for error in errors[:_MOST_ERRORS]:
        say_where(error)
        text = str(error) if isinstance(error, RefrainError) else f"{type(error).__name__}: {error}"
        say(f"\n{text}")
    if len(errors) > _MOST_ERRORS:
        say(f"\n… and {len(errors) - _MOST_ERRORS} more steps did not end well.")
    if errors:
        say(f"\nLook further: refrain runs show {short_id(run_id)}")
