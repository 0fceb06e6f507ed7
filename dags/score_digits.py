"""Read handwritten digits from image files, in as many processes as there are cores.

    draw ──► images ─────────────┐
      └────► labels ─► train ──► model ─► score ─► report

`score` is a parallel run: each of its processes loads the model once, and is then given lists of image files. Its
result is one line for each file. A mini-batch with a file that cannot be read is tried three times; then its files have
failed, and more than ten failed files fail the run. The model is a version of the dataset "digits_model".
"""

from pathlib import Path

from refrain import (
    Environment,
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
model = OutputFileDatasetConfig("model")
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
    arguments=["--images", images.as_input("training_images"), "--labels", labels, "--output", model],
    inputs=[labels],
    outputs=[model.register_on_complete("digits_model", description="A classifier of 8 x 8 grey images")],
)
model_folder = model.as_input("digits_model").as_mount()
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
    side_inputs=[model_folder],
    arguments=["--model", model_folder],
    output=predictions,
)
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
