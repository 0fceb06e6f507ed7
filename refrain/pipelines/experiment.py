"""Experiment: a name under which runs are gathered."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from refrain.errors import UserError
from refrain.execution.force import Force, Wanted
from refrain.execution.runner import OnFailure, RunOptions
from refrain.pipelines.pipeline import Pipeline
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunStore

if TYPE_CHECKING:
    from refrain.pipelines.run import PipelineRun
    from refrain.steps.script_run import ScriptRunConfig

_NAME = re.compile(r"[a-zA-Z0-9][\w\-]{0,254}", re.ASCII)


class Experiment:
    """A named group of runs in a workspace.

    :raises UserError: when the name is not letters, digits, ``_`` and ``-``, starting with a letter or a digit.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} is no valid experiment name: start with a letter or a digit, then letters, digits, '_' and "
                "'-', 255 at most."
            )
        self.workspace = workspace
        self.name = name

    def submit(  # noqa: PLR0913  # Azure ML's options, as keywords
        self,
        config: Pipeline | ScriptRunConfig,
        tags: Mapping[str, str] | None = None,
        *,
        pipeline_parameters: Mapping[str, Any] | None = None,
        pipeline_params: Mapping[str, Any] | None = None,
        regenerate_outputs: Wanted = False,
        continue_on_step_failure: bool = False,
        backend_name: str | None = None,
        **ignored: Any,
    ) -> PipelineRun:
        """Start a run of a pipeline and return at once; the run goes on when this process ends.

        :param config: the pipeline; or a script with its settings, which runs as a pipeline of one step, every time.
        :param tags: kept on the run.
        :param pipeline_params: an old name of ``pipeline_parameters``.
        :param regenerate_outputs: True runs every step, a list of names those steps, whatever could be reused;
            ``"train+"`` in it means that step and everything after it.
        :param continue_on_step_failure: run the branches that do not depend on a failed step.
        :param backend_name: ``local`` or ``airflow``; None means ``airflow`` when ``REFRAIN_AIRFLOW_URL`` is set.
        :param ignored: other options of Azure ML; they have no effect here, and a warning says so.
        :raises UserError: when *config* is neither.
        :raises ParameterError: for an unknown parameter or a wrong type.
        """
        from refrain.pipelines.backends import backend, default_backend
        from refrain.pipelines.run import PipelineRun
        from refrain.pipelines.script_run import ScriptRun
        from refrain.steps.script_run import ScriptRunConfig

        kind = ScriptRun if isinstance(config, ScriptRunConfig) else PipelineRun
        if isinstance(config, ScriptRunConfig):
            step = config.step(allow_reuse=False)
            config = Pipeline(self.workspace, [step], name=step.name)
        if not isinstance(config, Pipeline):
            raise UserError(f"Experiment {self.name!r} can submit a Pipeline or a ScriptRunConfig, not {config!r}.")
        if ignored:
            warnings.warn(f"Experiment.submit ignores {', '.join(sorted(ignored))}.", stacklevel=2)
        options = RunOptions(
            on_failure=OnFailure.CONTINUE if continue_on_step_failure else OnFailure.STOP,
            force=Force.parse(config.definition, regenerate_outputs),
        )
        parameters = {**(pipeline_params or {}), **(pipeline_parameters or {})}
        chosen = backend(backend_name or default_backend())
        run_id = chosen.submit(self.workspace, config.definition, parameters, self.name, options)
        run = kind(self, run_id)
        if tags:
            run.set_tags(dict(tags))
        return run

    def get_runs(self) -> Iterator[PipelineRun]:
        """Yield the experiment's pipeline runs, newest first."""
        from refrain.pipelines.run import PipelineRun

        for record in RunStore(self.workspace.state).roots():
            if record.experiment == self.name:
                yield PipelineRun(self, record.run_id)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"
