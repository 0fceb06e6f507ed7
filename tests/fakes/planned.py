"""Planned: a pipeline that has run once, as a DAG with a planning task, and what Airflow would tell that task."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from refrain import Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace
from refrain.tracking.record import RunStore
from refrain.tracking.run_id import root_id_for
from refrain_operators import StepOperator, pipeline_dag
from refrain_operators.planner import Planner

COPY = "import sys; open(sys.argv[1], 'w').write(' '.join(open(path).read() for path in sys.argv[2:]))"


class Planned:
    """A pipeline `first > second > third` and a lone step, `alone`, that has run once; and the plans of its DAG."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("first", "second", "third", "alone"):
            self.write(name, COPY)
        one, two, three, four = (PipelineData(name) for name in ("one", "two", "three", "four"))
        steps = [self._step("first", one), self._step("second", two, one), self._step("third", three, two)]
        alone = PythonScriptStep(
            "work.py",
            name="alone",
            source_directory=str(folder / "alone"),
            arguments=[four],
            outputs=[four],
            params={"size": PipelineParameter("size", 1)},
        )
        self.workspace = Workspace(folder / "workspace")
        self.pipeline = Pipeline(self.workspace, [*steps, alone], name="planned")
        self.pipeline.run()
        self.dag: Any = pipeline_dag(self.pipeline)
        self.states: dict[str, str] = {}

    def _step(self, name: str, output: PipelineData, *read: PipelineData) -> PythonScriptStep:
        folder = str(self.folder / name)
        return PythonScriptStep(
            "work.py",
            name=name,
            source_directory=folder,
            arguments=[output, *read],
            inputs=list(read),
            outputs=[output],
        )

    def write(self, name: str, script: str) -> None:
        """Write a step's script anew."""
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "work.py").write_text(script)

    @property
    def runs(self) -> RunStore:
        """The run records of the workspace."""
        return RunStore(self.workspace.state)

    @property
    def root_id(self) -> str:
        """The id of the DAG run in the workspace."""
        return root_id_for("planned", "run")

    def context(self, **params: Any) -> dict[str, Any]:
        """What Airflow gives the planning task to execute with."""
        self.instance = _Instance(self.states)
        given = {"size": 1, "regenerate_outputs": False, **params}
        return {
            "ti": self.instance,
            "dag": self.dag,
            "dag_run": SimpleNamespace(conf=params),
            "params": given,
            "task_state_store": _Store(),
        }

    def planner(self, is_being_made: Any = lambda *_: False, **params: Any) -> Planner:
        """Return a planner that has decided."""
        names = ("first", "second", "third", "alone")
        steps: dict[str, StepOperator] = {name: self.dag.get_task(name) for name in names}
        planner = Planner(steps, self.context(**params), self.states, is_being_made)
        planner.decide()
        return planner


class _Store(dict[str, Any]):
    """What Airflow keeps for a task from one process to the next."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class _Instance(SimpleNamespace):
    """The planning task's instance, which remembers what is pushed."""

    def __init__(self, states: dict[str, str]) -> None:
        super().__init__(dag_id="planned", run_id="run", task_id="plan", map_index=-1, try_number=1)
        self.states = states
        self.pushed: dict[str, Any] = {}

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: {name: self.states.get(name) for name in task_ids}}

    def get_first_reschedule_date(self, context: Any) -> None:
        assert context["ti"] is self

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value
