"""Retrain the diabetes model every week: a DAG on Airflow, `refrain run dags/retrain_diabetes.py` anywhere else.

    ingest ─► prepare ─┬─► train_ridge ───────┐
                       ├─► train_lasso ───────┼─► compare ─► evaluate ─► keep_best
                       └─► train_elastic_net ─┘

Each script has a source directory of its own, so an edit reaches its own step and no other. `compare` has two outputs:
only the table names every candidate; the chosen model is an output of its own, so a candidate that changes and still
loses leaves `evaluate` and `keep_best` as they were.
"""

from pathlib import Path
from typing import Any

from refrain import (
    OutputFileDatasetConfig,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    Workspace,
)
from refrain_operators import pipeline_dag

STEPS = Path(__file__).resolve().parent / "retrain_diabetes_steps"


def script_step(name: str, arguments: list[Any], **ports: Any) -> PythonScriptStep:
    """One step of this pipeline: the script of the same name in a source directory of its own."""
    return PythonScriptStep(
        name=name,
        script_name=f"{name}.py",
        source_directory=str(STEPS / name),
        arguments=arguments,
        **ports,
    )


def data_steps(raw: PipelineData, prepared: PipelineData) -> list[PythonScriptStep]:
    """Fetch the data, then split and scale it."""
    seed = PipelineParameter("seed", 7)
    holdout_share = PipelineParameter("holdout_share", 0.2)
    return [
        script_step("ingest", ["--output", raw], outputs=[raw]),
        script_step(
            "prepare",
            ["--raw", raw, "--seed", seed, "--holdout-share", holdout_share, "--output", prepared],
            inputs=[raw],
            outputs=[prepared],
        ),
    ]


def train_step(kind: str, alpha: float, prepared: PipelineData, model: PipelineData) -> PythonScriptStep:
    """Train one candidate; its regularisation is the pipeline parameter `<kind>_alpha`."""
    return script_step(
        f"train_{kind}",
        ["--data", prepared, "--alpha", PipelineParameter(f"{kind}_alpha", alpha), "--output", model],
        inputs=[prepared],
        outputs=[model],
    )


def choice_steps(prepared: PipelineData, candidates: list[PipelineData]) -> list[PythonScriptStep]:
    """Choose the best candidate, score it on data it has never seen, and keep it."""
    best = PipelineData("best", is_directory=True)
    comparison = PipelineData("comparison", is_directory=True)
    evaluation = PipelineData("evaluation", is_directory=True)
    kept = OutputFileDatasetConfig(name="kept_model").register_on_complete(name="diabetes-model")
    return [
        script_step(
            "compare",
            ["--models", *candidates, "--best", best, "--comparison", comparison],
            inputs=candidates,
            outputs=[best, comparison],
        ),
        script_step(
            "evaluate",
            ["--model", best, "--data", prepared, "--output", evaluation],
            inputs=[best, prepared],
            outputs=[evaluation],
        ),
        script_step(
            "keep_best",
            ["--model", best, "--data", prepared, "--evaluation", evaluation, "--output", kept],
            inputs=[best, prepared, evaluation],
        ),
    ]


def build_pipeline(workspace: Workspace) -> Pipeline:
    """The whole pipeline; order follows from who reads whose output."""
    raw = PipelineData("raw", is_directory=True)
    prepared = PipelineData("prepared", is_directory=True)
    ridge = PipelineData("ridge", is_directory=True)
    lasso = PipelineData("lasso", is_directory=True)
    elastic_net = PipelineData("elastic_net", is_directory=True)
    steps = [
        *data_steps(raw, prepared),
        train_step("ridge", 1.0, prepared, ridge),
        train_step("lasso", 1.0, prepared, lasso),
        train_step("elastic_net", 0.1, prepared, elastic_net),
        *choice_steps(prepared, [ridge, lasso, elastic_net]),
    ]
    return Pipeline(workspace, steps=steps, description="Retrain the diabetes model", name="retrain_diabetes")


pipeline = build_pipeline(Workspace.from_config())

dag = pipeline_dag(
    pipeline,
    dag_id="retrain_diabetes",
    schedule="@weekly",
    tags=("example",),
)
