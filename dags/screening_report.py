"""Report every month how well a tumour classifier screens: Refrain's steps among Airflow's own operators.

    check_source ─► extract ─► fit ─► report ─► choose_reader ─┬─► publish ──────┐
                                                               └─► ask_reviewer ─┴─► tell_where

`extract`, `fit` and `report` are steps: scripts in processes of their own, reused when nothing they depend on has
changed. They share `PipelineData`, and the order among them follows from it. Everything else is ordinary Airflow; it
runs every time, whether the steps before it ran or were reused.
"""

import json
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, ObjectStoragePath, task

from refrain import PipelineData
from refrain_operators import PythonScriptOperator

STEPS = Path(__file__).resolve().parent / "screening_report_steps"
LOWEST_RECALL = 0.95
# A reference travels through XCom: the output's URI and digest, never its bytes.
REPORT_URI = "{{ ti.xcom_pull(task_ids='report')['outputs']['report']['uri'] }}"


@task
def check_source() -> int:
    """Fail before any step starts when the installed data is not the 569 biopsies that this report is about."""
    from sklearn.datasets import load_breast_cancer

    biopsies = len(load_breast_cancer().data)
    if biopsies != 569:
        raise ValueError(f"scikit-learn gave {biopsies} biopsies, not 569. Check which release of it is installed.")
    return biopsies


@task.branch
def choose_reader(reference: dict[str, Any]) -> str:
    """Publish a good report at once; have a person look at a poor one first."""
    folder = ObjectStoragePath(reference["outputs"]["report"]["uri"])
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return "publish" if scores["recall"] >= LOWEST_RECALL else "ask_reviewer"


with DAG(
    dag_id="screening_report",
    schedule="@monthly",
    tags=["example"],
) as dag:
    table = PipelineData("table", is_directory=True)
    model = PipelineData("model", is_directory=True)
    report_folder = PipelineData("report", is_directory=True)

    extract = PythonScriptOperator(
        task_id="extract",
        script_name="extract.py",
        source_directory=str(STEPS / "extract"),
        arguments=["--output", table],
        outputs=[table],
    )
    fit = PythonScriptOperator(
        task_id="fit",
        script_name="fit.py",
        source_directory=str(STEPS / "fit"),
        arguments=["--data", table, "--regularisation", 1.0, "--output", model],
        inputs=[table],
        outputs=[model],
    )
    report = PythonScriptOperator(
        task_id="report",
        script_name="report.py",
        source_directory=str(STEPS / "report"),
        arguments=["--data", table, "--model", model, "--output", report_folder],
        inputs=[table, model],
        outputs=[report_folder],
    )

    publish = BashOperator(
        task_id="publish",
        bash_command='echo "Published from $REPORT_URI"',
        env={"REPORT_URI": REPORT_URI},
        append_env=True,
    )
    ask_reviewer = EmptyOperator(task_id="ask_reviewer")
    tell_where = BashOperator(
        task_id="tell_where",
        bash_command='echo "The report is at $REPORT_URI"',
        env={"REPORT_URI": REPORT_URI},
        append_env=True,
        trigger_rule="none_failed_min_one_success",  # one of the two readers is always skipped
    )

    check_source() >> extract
    choose_reader(report.output) >> [publish, ask_reviewer] >> tell_where
