"""Try several strengths of a ridge regression at once: a mapped step, and one that gathers what it wrote.

    load ─► validate [0 … 4] ─► choose

Airflow runs `validate` once for each list of arguments. Each instance is reused by itself, so one more strength in
`ALPHAS` costs one validation and the choice.
"""

from pathlib import Path

from airflow.sdk import DAG

from refrain import PipelineData
from refrain_operators import Gathered, PythonScriptOperator

STEPS = Path(__file__).resolve().parent / "alpha_sweep_steps"
ALPHAS = [0.001, 0.01, 0.1, 1.0, 10.0]

with DAG(dag_id="alpha_sweep", schedule=None, tags=["example"]) as dag:
    table = PipelineData("table", is_directory=True)
    score = PipelineData("score", is_directory=True)
    best = PipelineData("best", is_directory=True)

    load = PythonScriptOperator(
        task_id="load",
        script_name="load.py",
        source_directory=str(STEPS / "load"),
        arguments=["--output", table],
        outputs=[table],
    )
    validate = PythonScriptOperator.partial(
        task_id="validate",
        script_name="validate.py",
        source_directory=str(STEPS / "validate"),
        inputs=[table],
        outputs=[score],
    ).expand(arguments=[["--data", table, "--alpha", alpha, "--output", score] for alpha in ALPHAS])

    scores = Gathered(validate, "score", name="scores")
    choose = PythonScriptOperator(
        task_id="choose",
        script_name="choose.py",
        source_directory=str(STEPS / "choose"),
        arguments=["--scores", scores, "--output", best],
        inputs=[scores],
        outputs=[best],
    )
