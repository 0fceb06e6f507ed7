"""An example DAG of an acceptance test: its file, its steps' scripts, its runs, and what they left in the workspace."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from acceptance.running_airflow import PATIENCE, RunningAirflow
from fakes import waiting
from refrain.data.handle import DataHandle
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import root_id_for

eventually = partial(waiting.eventually, patience=PATIENCE)

PRELUDE = """\
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, TaskGroup, task

from refrain import (
    OutputFileDatasetConfig, Pipeline, PipelineData, PipelineParameter, PythonScriptStep, StepSequence, Workspace
)
from refrain_operators import Gathered, PythonScriptOperator, ReuseSensor, StepOperator, pipeline_dag

STEPS = Path({steps!r})


def step(name, *arguments, script=None, **ports):
    file = script or name
    return PythonScriptStep(
        f"{{file}}.py", name=name, arguments=list(arguments), source_directory=str(STEPS / file), **ports
    )


def operator(task_id, *arguments, script=None, **ports):
    file = script or task_id
    return PythonScriptOperator(
        task_id=task_id,
        script_name=f"{{file}}.py",
        source_directory=str(STEPS / file),
        arguments=list(arguments),
        **ports,
    )
"""


@dataclass(frozen=True)
class Example:
    """One DAG, whose file starts with :data:`PRELUDE`; each script is alone in a folder of its own name."""

    airflow: RunningAirflow
    dag_id: str

    @classmethod
    def write(cls, airflow: RunningAirflow, dag_id: str, body: str, scripts: Mapping[str, str]) -> Example:
        """Write the scripts and the DAG file; Airflow need not have read it when this returns."""
        example = cls(airflow, dag_id)
        for name, source in scripts.items():
            example.script(name, source)
        path = airflow.dags_folder / f"{dag_id}.py"
        path.write_text(PRELUDE.format(steps=str(example.steps)) + textwrap.dedent(body), encoding="utf-8")
        return example

    @classmethod
    def add(cls, airflow: RunningAirflow, dag_id: str, body: str, scripts: Mapping[str, str]) -> Example:
        """Write the files, wait until Airflow has read them and let the DAG run."""
        example = cls.write(airflow, dag_id, body, scripts)
        example.ready()
        return example

    @property
    def steps(self) -> Path:
        """The folder with one folder for each script."""
        return self.airflow.dags_folder.parent / "steps" / self.dag_id

    @property
    def runs(self) -> RunStore:
        """The run records of the workspace."""
        return RunStore(Workspace(self.airflow.workspace).state)

    def script(self, name: str, source: str) -> None:
        """Write a script anew."""
        path = self.steps / name / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")

    def ready(self) -> None:
        """Wait until Airflow has read the DAG file and let the DAG run."""
        self.airflow.client.wait_for_dag(self.dag_id, timeout=PATIENCE, filename=f"{self.dag_id}.py")
        self.airflow.client.unpause(self.dag_id)

    def trigger(self, **conf: Any) -> str:
        """Start a run and return its id."""
        return str(self.airflow.client.trigger(self.dag_id, conf=conf)["dag_run_id"])

    def wait(self, run_id: str) -> str:
        """Wait until a run has ended and return its state."""
        return str(self.airflow.client.wait_for_run(self.dag_id, run_id, timeout=PATIENCE)["state"])

    def run(self, **conf: Any) -> str:
        """Start a run, wait until it has succeeded and return its id."""
        run_id = self.trigger(**conf)
        assert self.wait(run_id) == "success", self.errors(run_id)
        return run_id

    def errors(self, run_id: str) -> dict[str, str]:
        """What went wrong, by step run, for the message of a failed assertion."""
        return {record.run_id: record.error for record in self.runs.steps(self.root_id(run_id)) if record.error}

    def root_id(self, run_id: str) -> str:
        """The id of a run in the workspace."""
        return root_id_for(self.dag_id, run_id)

    def records(self, run_id: str) -> dict[str, RunRecord]:
        """The latest attempt of each step, by step key."""
        return {record.key: record for record in self.runs.latest_steps(self.root_id(run_id))}

    def attempts(self, run_id: str, key: str) -> list[RunRecord]:
        """Every attempt of one step, the first one first."""
        return [record for record in self.runs.steps(self.root_id(run_id)) if record.key == key]

    def started(self, run_id: str) -> set[str]:
        """The steps of which a process was started."""
        return {record.key for record in self.runs.steps(self.root_id(run_id)) if record.reused_from is None}

    def states(self, run_id: str) -> dict[str, str]:
        """The state of each task; mapped tasks as ``name[index]``."""
        tasks = self.airflow.client.task_instances(self.dag_id, run_id)
        return {_task_name(task): task["state"] for task in tasks}

    def log(self, run_id: str, task_id: str, try_number: int | None = None) -> str:
        """The text of a task's log."""
        return "\n".join(self.airflow.client.task_log(self.dag_id, run_id, task_id, try_number))

    def path(self, run_id: str, key: str, output: str) -> Path:
        """Where a step's output is."""
        return DataHandle.from_json(self.records(run_id)[key].outputs[output]).path

    def text(self, run_id: str, key: str, output: str) -> str:
        """What a step wrote into an output that is one file."""
        return self.path(run_id, key, output).read_text(encoding="utf-8")


def _task_name(task: Mapping[str, Any]) -> str:
    index = task["map_index"]
    return str(task["task_id"]) if index < 0 else f"{task['task_id']}[{index}]"
