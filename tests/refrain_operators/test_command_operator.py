"""Command lines as operators: ordered by their data, refused while the DAG file is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from refrain import PipelineData, PipelineParameter
from refrain.errors import UserError
from refrain.steps.command import InputPath, ParameterValue
from refrain_operators import CommandOperator, PythonScriptOperator


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "work.py").write_text("")
    return str(tmp_path)


def test_a_command_is_ordered_by_its_data(source: str) -> None:
    made, sorted_rows, rate = PipelineData("made"), PipelineData("sorted"), PipelineParameter("rate", 1)
    with DAG("native", params={"rate": 1}):
        make = PythonScriptOperator(
            task_id="make", script_name="work.py", source_directory=source, arguments=[made], outputs=[made]
        )
        sort = CommandOperator(
            task_id="sort",
            command=["sort -n", made, ">", sorted_rows, "#", rate],
            source_directory=source,
            inputs=[made],
            outputs=[sorted_rows],
        )
    assert sort.upstream_task_ids == {"make"}
    assert sort.producers == {"made": make}
    assert list(sort.declared) == ["rate"]
    assert (sort.step.kind, sort.step.name) == ("command", "sort")
    assert [token for token in sort.step.command[4:] if isinstance(token, InputPath | ParameterValue)] == [
        InputPath("made"),
        ParameterValue("rate"),
    ]


def test_no_text_of_a_command_is_a_template(source: str) -> None:
    with DAG("native"):
        show = CommandOperator(task_id="show", command="echo '{{ ds }}'", source_directory=source)
    assert "command" not in show.template_fields
    assert show.step.command[2].text == "echo '{{ ds }}'"


def test_mistakes_are_told_while_the_file_is_read(source: str) -> None:
    with DAG("native"), pytest.raises(UserError, match="no closing quotation"):
        CommandOperator(task_id="show", command="echo '", source_directory=source)
