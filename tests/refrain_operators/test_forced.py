"""The param by which a run of a DAG is told to run steps whatever could be reused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refrain.errors import UnknownNameError, UserError
from refrain_operators.forced import force_param, is_forced

pytest.importorskip("airflow")
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from refrain import Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace
from refrain_operators import pipeline_dag
from refrain_operators.python_script_operator import PythonScriptOperator


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/work.py").write_text("")
    return str(tmp_path / "source")


@pytest.fixture
def dag(source: str, tmp_path: Path) -> Any:
    """Load, then an ordinary task, then train for several seeds; beside them, a report on what load wrote."""
    table = PipelineData("table")
    with DAG("mixed") as dag:
        load = PythonScriptOperator(
            task_id="load", script_name="work.py", source_directory=source, arguments=[table], outputs=[table]
        )
        check = BaseOperator(task_id="check")
        train = PythonScriptOperator.partial(task_id="train", script_name="work.py", source_directory=source).expand(
            arguments=[["1"], ["2"]]
        )
        PythonScriptOperator(
            task_id="report", script_name="work.py", source_directory=source, arguments=[table], inputs=[table]
        )
        load >> check >> train
    return dag


def _covered(dag: Any, wanted: Any) -> list[str]:
    return sorted(task.task_id for task in dag.tasks if is_forced(wanted, task, dag))


@pytest.mark.parametrize(
    ("wanted", "covered"),
    [
        (None, []),
        (False, []),
        (True, ["check", "load", "report", "train"]),
        ([], []),
        (["load"], ["load"]),
        (["load+"], ["check", "load", "report", "train"]),
        (["check+"], ["check", "train"]),
        (["train", "report"], ["report", "train"]),
    ],
    ids=str,
)
def test_steps_are_forced_all_or_by_name_or_with_what_airflow_puts_after_them(
    dag: Any, wanted: Any, covered: list[str]
) -> None:
    assert _covered(dag, wanted) == covered


def test_every_task_refuses_a_name_that_is_not_there(dag: Any) -> None:
    for task in dag.tasks:
        with pytest.raises(UnknownNameError, match=r"There is no step 'trian'\. Known: check, load, report, train"):
            is_forced(["trian"], task, dag)


def test_the_param_takes_a_switch_or_a_list_of_names_and_nothing_else() -> None:
    param = force_param()
    assert [param.resolve(value) for value in (True, False, ["train+"])] == [True, False, ["train+"]]
    for wrong in ("train", 1, [1]):
        with pytest.raises(Exception, match="is not of type"):
            param.resolve(wrong)


def test_steps_of_a_pipeline_are_known_by_their_names_too(source: str, tmp_path: Path) -> None:
    step = PythonScriptStep("work.py", name="Train it", source_directory=source)
    dag = pipeline_dag(Pipeline(Workspace(tmp_path / "workspace"), [step], name="p"))
    assert _covered(dag, ["Train it"]) == ["Train_it"]


def test_a_pipeline_s_own_parameter_of_that_name_is_refused(source: str, tmp_path: Path) -> None:
    step = PythonScriptStep(
        "work.py", source_directory=source, arguments=[PipelineParameter("regenerate_outputs", "no")]
    )
    pipeline = Pipeline(Workspace(tmp_path / "workspace"), [step], name="p")
    with pytest.raises(UserError, match="The pipeline 'p' has a parameter 'regenerate_outputs'"):
        pipeline_dag(pipeline)
