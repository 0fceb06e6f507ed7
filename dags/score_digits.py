"""Read handwritten digits from image files, in as many processes as there are cores.

    draw ──► images ──────────────┐
      └────► labels ─► train ─ ─ ► score ─► report
                         └─► "digits_model" ─┘

`train` registers a model, and `score` takes the newest one of that name, whoever has registered it. It is a parallel
run: `init()` loads the model, once in each process, and `run()` is then given lists of image files and returns one line
for each. A mini-batch with a file that cannot be read is tried three times; then its files have failed, and more than
ten failed files fail the run.
"""

from pathlib import Path

from refrain import (
    Environment,
    ModelInput,
    OutputFileDatasetConfig,
    ParallelRunConfig,
    ParallelRunStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    Workspace,
)
from refrain_operators import pipeline_dag

STEPS = Path(__file__).resolve().parent / "score_digits_steps"

ws = Workspace.from_config()
images = OutputFileDatasetConfig("images")
labels = PipelineData("labels", is_directory=True)
predictions = PipelineData("predictions", is_directory=True)
report = PipelineData("report", is_directory=True)

draw = PythonScriptStep(
    "draw.py",
    name="draw",
    source_directory=str(STEPS / "draw"),
    arguments=["--images", images, "--labels", labels],
    outputs=[images, labels],
)
train = PythonScriptStep(
    "train.py",
    name="train",
    source_directory=str(STEPS / "train"),
    arguments=["--images", images.as_input("training_images"), "--labels", labels],
    inputs=[labels],
)
score = ParallelRunStep(
    "score",
    ParallelRunConfig(
        environment=Environment("user-managed"),
        entry_script="score.py",
        source_directory=str(STEPS / "score"),
        error_threshold=10,
        output_action="append_row",
        append_row_file_name="predictions.txt",
        compute_target="local",
        node_count=1,
        mini_batch_size=PipelineParameter("images_at_once", 100),
        process_count_per_node=PipelineParameter("processes", 2),
        run_invocation_timeout=60,
    ),
    inputs=[images.as_input("digits")],
    side_inputs=[ModelInput("digits_model")],
    output=predictions,
)
score.run_after(train)
judge = PythonScriptStep(
    "report.py",
    name="report",
    source_directory=str(STEPS / "report"),
    arguments=["--predictions", predictions, "--labels", labels, "--output", report],
    inputs=[predictions, labels],
    outputs=[report],
)

pipeline = Pipeline(ws, steps=[judge], name="score_digits", description="Batch scoring of image files")
dag = pipeline_dag(pipeline, schedule=None)  # an Airflow DAG
