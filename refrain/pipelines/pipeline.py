"""Pipeline: steps put together, checked and turned into a definition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from refrain.data.datastore import Datastore
from refrain.errors import PipelineError, RefrainError
from refrain.execution.force import Wanted
from refrain.pipelines.graph import Graph
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition

if TYPE_CHECKING:
    from refrain.pipelines.run import PipelineRun

_defined: ContextVar[list[Pipeline] | None] = ContextVar("refrain_defined", default=None)


class Pipeline:
    """Steps and the order that follows from what they read and write. Built at once; nothing is run or stored.

    :param steps: a tree: a list is a group without order among its items, ``StepSequence`` puts one item after the
        other, ``PipelineData`` stands for its producer.
    :param default_datastore: for outputs that name none; None means the workspace's default.
    :param default_source_directory: for steps that name none.
    :param resolve_closure: pull in steps that the listed ones depend on.
    :param name: what the pipeline is called; None means ``pipeline``.
    :raises PipelineError: when the steps do not make a pipeline.
    :raises UnknownNameError: when data is on a datastore that the workspace does not have.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        workspace: Workspace,
        steps: Any,
        description: str | None = None,
        default_datastore: Datastore | str | None = None,
        default_source_directory: str | None = None,
        resolve_closure: bool = True,
        name: str | None = None,
        enable_email_notification: bool | None = None,  # noqa: ARG002  # accepted for old code
    ) -> None:
        if not isinstance(workspace, Workspace):
            raise PipelineError(f"A Pipeline needs a Workspace first, not {workspace!r}.")
        self.workspace = workspace
        stores = workspace.state.datastores
        store = getattr(default_datastore, "name", default_datastore) or stores.default()
        graph = Graph(str(store), default_source_directory)
        graph.add(steps)
        if not graph.steps:
            raise PipelineError("A Pipeline needs at least one step.")
        if resolve_closure:
            graph.close()
        missing = next((p for step in graph.steps for p in step.predecessors if id(p) not in graph.known), None)
        if missing is not None:
            raise PipelineError(
                f"Step {missing.name!r} is waited for by run_after, but is not in the pipeline. Add it, or leave "
                "resolve_closure on."
            )
        self.definition: PipelineDefinition = graph.define(name or "pipeline", description or "")
        for named in sorted({str(store), *self.definition.datastores}):
            stores.find(named)  # an unknown one fails here, not after an hour in a worker

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.definition.name

    def validate(self) -> list[str]:
        """Return what is wrong as a list of sentences; an empty list means that the pipeline can run.

        Checked is what may have changed since the pipeline was built: that each step's source directory can be
        captured. Whether data exists is not checked.
        """
        from refrain.storage.snapshot import take_snapshot

        problems = []
        for step in self.definition.steps:
            try:
                take_snapshot(str(step.source.directory), self.workspace.state.trees)
            except RefrainError as error:
                problems.append(f"Step {step.name}: {error}")
        return problems

    def run(self, pipeline_parameters: dict[str, Any] | None = None, **options: Any) -> PipelineRun:
        """Run the pipeline on this machine, show its progress, and return the finished run.

        :param pipeline_parameters: values by name; the others keep their defaults.
        :param options: as :func:`refrain.pipelines.local.run_pipeline`.
        :raises RunFailedError: when a step failed.
        """
        from refrain.execution.progress import show_progress
        from refrain.pipelines.local import run_pipeline

        return run_pipeline(self, pipeline_parameters or {}, **{"listener": show_progress(), **options})

    def submit(
        self,
        experiment_name: str,
        pipeline_parameters: dict[str, Any] | None = None,
        continue_on_step_failure: bool = False,
        regenerate_outputs: Wanted = False,
        **options: Any,
    ) -> PipelineRun:
        """Submit the pipeline to an experiment; see :meth:`refrain.pipelines.experiment.Experiment.submit`."""
        from refrain.pipelines.experiment import Experiment

        return Experiment(self.workspace, experiment_name).submit(
            self,
            pipeline_parameters=pipeline_parameters,
            continue_on_step_failure=continue_on_step_failure,
            regenerate_outputs=regenerate_outputs,
            **options,
        )

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, {len(self.definition.steps)} steps)"


@contextmanager
def defining() -> Iterator[list[Pipeline]]:
    """Mark that a file is loaded for its pipelines alone: ``pipeline_dag`` then makes no DAG and loads no Airflow.

    Yields those pipelines that would have become DAGs.
    """
    found: list[Pipeline] = []
    token = _defined.set(found)
    try:
        yield found
    finally:
        _defined.reset(token)


def is_defining() -> bool:
    """Say whether the caller runs inside :func:`defining`."""
    return _defined.get() is not None


def note_defined(pipeline: Pipeline) -> None:
    """Note, for whoever loads the file by :func:`defining`, a pipeline that would have become a DAG."""
    found = _defined.get()
    if found is not None:
        found.append(pipeline)
