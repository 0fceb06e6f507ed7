"""Steps as operators: data orders them, and mistakes are told while the DAG file is read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, task_group

from refrain import (
    DataPath,
    DataPathComputeBinding,
    Datastore,
    OutputFileDatasetConfig,
    PipelineData,
    PipelineParameter,
    Workspace,
)
from refrain.data.ports import FromParameter, InputPort
from refrain.errors import PipelineError, UserError
from refrain_operators import Gathered, PythonScriptOperator


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "work.py").write_text("")
    return str(tmp_path)


def _operator(task_id: str, source: str, *arguments: Any, **settings: Any) -> Any:
    return PythonScriptOperator(
        task_id=task_id, script_name="work.py", source_directory=source, arguments=list(arguments), **settings
    )


def test_shared_data_orders_operators_in_groups_too(source: str) -> None:
    data, model = PipelineData("data"), OutputFileDatasetConfig("model")
    with DAG("native"):
        make = _operator("make", source, data, outputs=[data])
        with TaskGroup("training"):
            train = _operator("train", source, data, model, inputs=[data])
        test = _operator("test", source, inputs=[model.as_input("tested")])
    assert train.upstream_task_ids == {"make"}
    assert test.upstream_task_ids == {"training.train"}
    assert test.producers == {"tested": train}
    assert make.upstream_task_ids == set()


def test_data_that_a_param_names_is_declared_with_the_operator(source: str, tmp_path: Path) -> None:
    path = DataPath(Datastore(Workspace(tmp_path / "workspace")), "raw", name="raw")
    pair = (PipelineParameter("which", path), DataPathComputeBinding())
    with DAG("native", params={"which": "workspaceblobstore/other"}):
        read = _operator("read", source, pair, inputs=[pair])
    assert list(read.declared) == ["which"]
    assert read.step.inputs == (InputPort("raw", FromParameter("which")),)


def _mapped(task_id: str, source: str) -> None:
    several = PythonScriptOperator.partial(task_id=task_id, script_name="work.py", source_directory=source)
    several.expand(arguments=[["a"], ["b"]])


def _grouped(task_id: str, source: str) -> None:
    @task_group(prefix_group_id=False)
    def both(name: str) -> None:
        _operator(task_id, source)

    both.expand(name=["a", "b"])


@pytest.mark.parametrize("several", [_mapped, _grouped])
def test_a_task_with_the_key_of_an_instance_of_a_mapped_one_is_refused(source: str, several: Any) -> None:
    with DAG("native") as dag:
        _operator("train-1", source)
        several("train", source)
    message = r"task 'train-1' would share .* instance 1 of the mapped task 'train'\. Give one of them another id"
    with pytest.raises(UserError, match=message):
        dag.resolve_template_files()  # as Airflow does, when it has read the file


def test_tasks_whose_ids_only_look_like_those_of_instances_are_not_refused(source: str) -> None:
    with DAG("native") as dag:
        for task_id in ("single", "single-1", "train-01", "train-1-0", "train-x"):
            _operator(task_id, source)
        _mapped("train", source)
        _mapped("train-2", source)
        EmptyOperator(task_id="train-1")
    dag.resolve_template_files()


def test_two_producers_of_one_output_are_refused(source: str) -> None:
    data = PipelineData("data")
    with DAG("native"):
        _operator("one", source, data, outputs=[data])
        with pytest.raises(PipelineError, match=r"output 'data' has two producers, 'one' and 'two'\. Give each task"):
            _operator("two", source, data, outputs=[data])


def test_the_same_data_objects_may_serve_two_dags(source: str) -> None:
    data = PipelineData("data")
    for name in ("one", "two"):
        with DAG(name):
            make = _operator("make", source, data, outputs=[data])
            read = _operator("read", source, data, inputs=[data])
        assert read.producers == {"data": make}


def test_data_that_no_operator_writes_is_refused(source: str) -> None:
    data = PipelineData("data")
    with DAG("native"), pytest.raises(PipelineError, match=r"'read' reads 'data', but no step .* among its outputs"):
        _operator("read", source, data, inputs=[data])


def test_a_missing_script_is_told_while_the_file_is_read(tmp_path: Path) -> None:
    with DAG("native"), pytest.raises(UserError, match=r"work\.py"):
        _operator("read", str(tmp_path))


def test_a_script_is_tried_again_only_where_retries_are_given(source: str) -> None:
    with DAG("native"):
        plain, given = _operator("plain", source), _operator("given", source, retries=1)
    with DAG("by_default", default_args={"retries": 3, "retry_delay": timedelta(seconds=1)}):
        default = _operator("default", source)
    assert [(o.retries, o._is_script_failure_final) for o in (plain, given, default)] == [
        (2, True),
        (1, False),
        (3, False),
    ]


def test_parameters_take_their_values_from_the_params_of_the_run(source: str) -> None:
    with DAG("native"):
        operator = _operator("train", source, PipelineParameter("alpha", 0.5))
    assert operator.declared == {"alpha": PipelineParameter("alpha", 0.5)}


def test_no_argument_is_a_template(source: str) -> None:
    with DAG("native"):
        operator = _operator("train", source, "{{ ds }}")
    assert operator.template_fields == ()


def test_registered_outputs_are_outlets(source: str) -> None:
    table = OutputFileDatasetConfig("table").register_on_complete("sales")
    with DAG("native"):
        operator = _operator("make", source, table)
    assert [(asset.name, asset.uri) for asset in operator.outlets] == [("sales", "refrain://datasets/sales")]


def test_gathered_needs_an_operator_and_a_name(source: str) -> None:
    with pytest.raises(UserError, match="Gathered needs an operator, not 'train'"):
        Gathered("train", "model")
    with DAG("native"):
        operator = _operator("train", source)
    with pytest.raises(UserError, match="no name"):
        Gathered(operator, "model", name="no name")
