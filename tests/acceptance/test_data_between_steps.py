"""Data between steps, and data as parameters: every kind of it in one DAG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acceptance.example import Example
from acceptance.running_airflow import RunningAirflow
from refrain.data.dataset import Dataset
from refrain.data.datastore import Datastore
from refrain.pipelines.run import PipelineRun
from refrain.pipelines.workspace import Workspace

SCRIPTS = {
    "clean": """
        import os, sys
        raw, files, parts = sys.argv[1:]
        os.makedirs(files)
        for part in (files, parts):
            for name in sorted(os.listdir(raw)):
                open(os.path.join(part, name), "w").write(open(os.path.join(raw, name)).read())
        open(os.path.join(files, "notes.txt"), "w").write("no table")
    """,
    "choose": """
        from refrain import Run
        run = Run.get_context()
        run.output_datasets["chosen"].link(run.input_datasets["prices"].take(2))
    """,
    "report": """
        import json, sys
        from refrain import Run
        tables = Run.get_context().input_datasets
        found = {name: tables[name].to_pandas_dataframe().to_dict("list") for name in ("clean", "parts", "chosen")}
        json.dump(found, open(sys.argv[1], "w"))
    """,
}
DAG = """
from refrain import Dataset, DatasetConsumptionConfig, DataPath, DataPathComputeBinding, Datastore
from refrain import LinkTabularOutputDatasetConfig

workspace = Workspace()
store = Datastore(workspace)
raw = (PipelineParameter("raw", DataPath(store, "raw/one", name="raw")), DataPathComputeBinding())
prices = PipelineParameter("prices", Dataset.Tabular.from_delimited_files((store, "prices/one.csv")))
clean = PipelineData("clean").as_dataset().register("acceptance-clean")
parts = OutputFileDatasetConfig("parts").read_delimited_files().keep_columns(["b"])
chosen, report = LinkTabularOutputDatasetConfig("chosen"), PipelineData("report")
steps = [
    step("clean", raw, clean, parts, inputs=[raw], outputs=[clean]),
    step("choose", inputs=[DatasetConsumptionConfig("prices", prices)], outputs=[chosen]),
    step(
        "report",
        report,
        inputs=[clean.parse_delimited_files(), parts.as_input("parts"), chosen.as_input("chosen")],
        outputs=[report],
    ),
]
dag = pipeline_dag(Pipeline(workspace, steps, name="between"))
"""


@pytest.fixture(scope="module")
def between(airflow: RunningAirflow) -> Example:
    store = Path(Datastore(Workspace(airflow.workspace)).root)
    for path, text in {
        "raw/one/data.csv": "a,b\n1,2\n",
        "raw/two/data.csv": "a,b\n3,4\n",
        "prices/one.csv": "p\n1\n2\n3\n",
        "prices/two.csv": "p\n7\n8\n9\n",
    }.items():
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_text(text)
    return Example.add(airflow, "between", DAG, SCRIPTS)


def _report(between: Example, run_id: str) -> dict[str, dict[str, list[int]]]:
    return dict(json.loads(between.text(run_id, "report", "report")))


def test_data_reaches_scripts_as_it_was_declared_and_runs_choose_what_is_read(between: Example) -> None:
    workspace = Workspace(between.airflow.workspace)
    first = between.run()
    assert _report(between, first) == {"clean": {"a": [1], "b": [2]}, "parts": {"b": [2]}, "chosen": {"p": [1, 2]}}

    other = Dataset.Tabular.from_delimited_files((Datastore(workspace), "prices/two.csv"))
    other.register(workspace, "acceptance-prices")
    second = between.run(raw="workspaceblobstore/raw/two", prices="acceptance-prices")
    assert _report(between, second) == {"clean": {"a": [3], "b": [4]}, "parts": {"b": [4]}, "chosen": {"p": [7, 8]}}

    third = between.run(raw={"DataStoreName": "workspaceblobstore", "RelativePath": "raw/one"}, prices=None)
    assert between.started(third) == set()

    record = PipelineRun.get(workspace, between.root_id(first))
    (clean,) = record.find_step_run("clean")
    (dataset,) = (d["dataset"] for d in clean.get_details()["outputDatasets"] if d["name"] == "parts")
    assert dataset.to_pandas_dataframe().to_dict("list") == {"b": [2]}
    assert [version.name for version in Dataset.get_all(workspace).values()] >= ["acceptance-clean"]
