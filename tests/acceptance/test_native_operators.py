"""Steps as operators of one's own DAG, beside Airflow's: ordered by data, in groups, mapped, gathered and reused."""

from __future__ import annotations

import json

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from fakes.spark_cluster import SMALL, require_spark
from refrain.compute.target import Target, TargetTable
from refrain.pipelines.workspace import Workspace

TRAIN = """
    import os, sys
    folder = sys.argv[1]
    open(os.path.join(folder, "alpha.txt"), "w").write(sys.argv[2])
"""
GATHER = """
    import json, os, sys
    folder, path = sys.argv[1:]
    found = {name: open(os.path.join(folder, name, "alpha.txt")).read() for name in sorted(os.listdir(folder))}
    json.dump(found, open(path, "w"))
"""
MANY = """
    import sys
    for number, path in enumerate(sys.argv[1:]):
        open(path, "w").write(f"output {number}")
"""
READ = """
    import sys
    open(sys.argv[2], "w").write(open(sys.argv[1]).read())
"""
NATIVE = """
with DAG("native", default_args={"retry_delay": timedelta(seconds=1)}) as dag:
    start = BashOperator(task_id="start", bash_command="echo starting")

    with TaskGroup("training"):
        model = PipelineData("model", is_directory=True)
        data = PipelineData("data", is_directory=True)
        make = operator("make", data, "all", script="train", outputs=[data])
        train = PythonScriptOperator.partial(
            task_id="train",
            script_name="train.py",
            source_directory=str(STEPS / "train"),
            inputs=[data],
            outputs=[model],
        ).expand(arguments=[[model, "0.1"], [model, "0.5"], [model, "2"]])

    best = PipelineData("best")
    models = Gathered(train, "model")
    gather = operator("gather", models, best, inputs=[models], outputs=[best])

    # More references than fit into an XCom.
    outputs = [PipelineData(f"output_with_a_rather_long_name_{number}") for number in range(60)]
    last = PipelineData("last")
    many = operator("many", *outputs, outputs=outputs)
    read = operator("read", outputs[-1], last, inputs=[outputs[-1]], outputs=[last])

    publish = BashOperator(
        task_id="publish",
        bash_command="cat ${URI#file://}",
        env={"URI": "{{ ti.xcom_pull(task_ids='gather')['outputs']['best']['uri'] }}"},
        append_env=True,
    )

    @task
    def count(reference):
        return reference["outputs"]["best"]["bytes"]

    start >> make
    gather >> publish
    count(gather.output)
"""
WORDS = """
    import sys
    open(sys.argv[1], "w").write("a\\nb\\na\\n")
"""
READ_FOLDER = """
    import pathlib, sys
    parts = pathlib.Path(sys.argv[1]).glob("part-*")
    pathlib.Path(sys.argv[2]).write_text("".join(sorted(line for part in parts for line in part.open())))
"""
COUNT = """
    import sys
    from pyspark.sql import SparkSession
    from refrain import Run
    spark = SparkSession.builder.getOrCreate()
    words = spark.sparkContext.textFile(sys.argv[1]).map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b)
    spark.createDataFrame(words, ["word", "count"]).coalesce(1).write.csv(sys.argv[2])
    Run.get_context().log("words", words.count())
"""
ON_SPARK = """
from refrain import HDFSOutputDatasetConfig
from refrain_operators import SparkOperator

with DAG("on_spark", default_args={"retry_delay": timedelta(seconds=1)}) as dag:
    text, counted, last = PipelineData("text"), HDFSOutputDatasetConfig("counted"), PipelineData("last")
    words = operator("words", text, outputs=[text])
    count = SparkOperator(
        task_id="count",
        file="count.py",
        source_directory=str(STEPS / "count"),
        compute_target="here",
        arguments=[text, counted],
        inputs=[text],
        outputs=[counted],
    )
    given = counted.as_input("given")
    read = operator("read", given, last, inputs=[given], outputs=[last])
"""
STEPS = {"training.make", "training.train-0", "training.train-1", "training.train-2", "gather", "many", "read"}


@pytest.fixture(scope="module")
def native(airflow: RunningAirflow) -> Example:
    scripts = {"train": TRAIN, "gather": GATHER, "many": MANY, "read": READ}
    return Example.add(airflow, "native", NATIVE, scripts)


@pytest.fixture(scope="module")
def first_run(native: Example) -> str:
    return native.run()


@pytest.fixture(scope="module")
def second_run(native: Example, first_run: str) -> str:
    return native.run()


def test_a_mapped_step_runs_once_for_each_value_and_is_gathered_in_order(native: Example, first_run: str) -> None:
    assert native.started(first_run) == STEPS
    assert json.loads(native.text(first_run, "gather", "best")) == {"0": "0.1", "1": "0.5", "2": "2"}


def test_every_step_is_reused_and_ordinary_tasks_run_as_ever(native: Example, second_run: str) -> None:
    assert native.started(second_run) == set()
    assert set(native.states(second_run).values()) == {"success"}
    assert '{"0": "0.1", "1": "0.5", "2": "2"}' in native.log(second_run, "publish")
    assert native.airflow.client.xcom("native", second_run, "count") == 34


def test_a_reference_stays_small_however_many_outputs_a_step_has(native: Example, first_run: str) -> None:
    reference = native.airflow.client.xcom("native", first_run, "many")
    assert len(json.dumps(reference)) < 8 * 1024
    assert len(native.records(first_run)["many"].outputs) == 60
    assert native.text(first_run, "read", "last") == "output 59"


def test_an_instance_that_was_only_marked_as_success_is_missed(native: Example, second_run: str) -> None:
    client = native.airflow.client
    client.clear_task_instances("native", second_run, [("training.train", 1), "gather"])
    native.wait(second_run)
    client._json(
        "DELETE", f"/dags/native/dagRuns/{second_run}/taskInstances/training.train/xcomEntries/return_value?map_index=1"
    )
    client.clear_task_instances("native", second_run, ["gather"])
    native.wait(second_run)
    assert native.states(second_run)["gather"] == "failed"
    log = native.log(second_run, "gather")
    assert "Of the 3 instances of task 'training.train', 2 have published their outputs" in log
    assert "missing: training.train-1" in log


@pytest.mark.spark
@pytest.mark.timeout(300)
def test_a_spark_application_is_a_task_among_others_and_is_reused(airflow: RunningAirflow) -> None:
    require_spark()
    registry = Workspace(airflow.workspace).state.registry
    TargetTable(registry).put(Target("here", "spark", {"master": "local[1]", "conf": SMALL}))
    scripts = {"words": WORDS, "count": COUNT, "read": READ_FOLDER}
    example = Example.add(airflow, "on_spark", ON_SPARK, scripts)

    first = example.run()

    assert example.text(first, "read", "last") == "a,2\nb,1\n"
    assert example.records(first)["count"].properties["StepType"] == "spark"
    assert "local[1]" in example.log(first, "count")
    second = example.run()
    assert example.started(second) == set()
