"""The Markdown behind Airflow's Docs buttons."""

from __future__ import annotations

from dataclasses import replace

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromParameter, FromStep, InputPort, OutputPort, Registration
from refrain.steps.command import InputPath, Interpreter, Literal, OutputPath, ParameterValue, SparkSubmit
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition
from refrain_operators.doc_pages import dag_page, parameters_of, task_page

FIT = StepDefinition(
    key="fit",
    name="fit_*all*",
    kind="python_script",
    source=SourceCode("somewhere"),
    command=(
        Interpreter(),
        Literal("fit me.py"),
        InputPath("table"),
        OutputPath("model"),
        ParameterValue("alpha"),
        Literal("two\nlines"),
    ),
    inputs=(InputPort("table", FromStep("extract", "table")), InputPort("raw", FromParameter("which"))),
    outputs=(OutputPort("model", "store", "path", registration=Registration("best.md")),),
    parameters=(("ALPHA", ParameterValue("alpha")), ("MODE", ParameterValue("mode"))),
    allow_reuse=False,
)


def test_the_parameters_of_a_step_are_those_of_its_command_its_environment_and_its_data() -> None:
    assert parameters_of(FIT) == {"alpha", "mode", "which"}


def test_a_tasks_page_shows_the_command_and_the_data() -> None:
    assert task_page(FIT).splitlines() == [
        "    python 'fit me.py' {input:table} {output:model} {parameter:alpha} 'two lines'",
        "",
        "- reads table, written by extract",
        "- reads raw, named by which",
        r"- writes model, registered as best\.md",
        "- never reused",
    ]


def test_a_spark_step_is_shown_as_its_launcher() -> None:
    spark = replace(FIT, command=(Interpreter(), SparkSubmit(), Literal("fit.py")))
    assert task_page(spark).splitlines()[0] == "    python spark-submit fit.py"


def test_a_dags_page_lists_the_steps_as_they_are_named_and_how_to_run_them_all() -> None:
    definition = PipelineDefinition("p", (FIT,), (PipelineParameter("alpha", 1.0),), description="What it is for.")
    page = dag_page(definition)
    assert page.startswith("What it is for.\n\n")
    assert r"trigger the DAG with **regenerate\_outputs**" in page
    assert page.endswith("\n\n1. **fit\\_\\*all\\*** reads table, raw, writes model, uses alpha, mode, which\n")
