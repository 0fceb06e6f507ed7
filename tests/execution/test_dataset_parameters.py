"""Datasets as the values of parameters: runs choose them, and what they hold decides reuse."""

from __future__ import annotations

import json

import pytest

from fakes.project import Project, Ran
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.dataset import Dataset
from refrain.data.datastore import Datastore
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import PipelineData
from refrain.pipelines.pipeline import Pipeline
from refrain.reuse.decision import Verdict
from refrain.steps.definition import PipelineDefinition

TELLS = """
    import json, sys
    from refrain import Run
    table = Run.get_context().input_datasets["prices"]
    json.dump(table.to_pandas_dataframe().to_dict("list"), open(sys.argv[1], "w"))
"""


@pytest.fixture
def store(project: Project) -> Datastore:
    folder = project.state.datastores.get("workspaceblobstore").root
    folder.mkdir(parents=True)
    (folder / "one.csv").write_text("p\n1\n")
    (folder / "two.csv").write_text("p\n2\n")
    return Datastore(project.workspace)


def _table(store: Datastore, name: str):
    return Dataset.Tabular.from_delimited_files((store, f"{name}.csv"))


def _step(project: Project, store: Datastore):
    told = PipelineData("told")
    prices = DatasetConsumptionConfig("prices", PipelineParameter("which", _table(store, "one")))
    return project.step("tell", TELLS, [told], inputs=[prices], outputs=[told])


def _told(ran: Ran):
    assert ran.status == "Completed", ran.outcome.errors
    return json.loads(ran.text("tell", "told"))


def test_a_run_chooses_the_table(project: Project, store: Datastore) -> None:
    _table(store, "two").register(project.workspace, "prices")
    assert _told(project.run(_step(project, store))) == {"p": [1]}
    given = project.run(_step(project, store), parameters={"which": "prices"})
    assert (_told(given), given.record.parameters) == ({"p": [2]}, {"which": "prices:1"})
    chosen = project.run(_step(project, store), parameters={"which": _table(store, "two").take(0)})
    assert _told(chosen) == {"p": []}


def test_what_a_table_holds_and_how_it_is_read_decide_reuse(project: Project, store: Datastore) -> None:
    def verdict(table=None) -> Verdict:
        return project.run(_step(project, store), parameters={"which": table} if table else {}).verdict("tell")

    assert verdict() is Verdict.FIRST
    assert verdict(_table(store, "two")) is Verdict.CHANGED
    assert verdict(_table(store, "one")) is Verdict.REUSED
    assert verdict(_table(store, "one").keep_columns("p")) is Verdict.CHANGED


def test_files_are_a_path_for_the_script(project: Project, store: Datastore) -> None:
    copy, reads = PipelineData("copy"), "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"

    def run(**parameters) -> str:
        parameter = PipelineParameter("which", Dataset.File.from_files((store, "one.csv")))
        data = DatasetConsumptionConfig("data", parameter).as_mount()
        ran = project.run(project.step("read", reads, [data, copy], outputs=[copy]), parameters=parameters)
        return ran.text("read", "copy")

    assert run() == "p\n1\n"
    assert run(which=Dataset.File.from_files((store, "two.csv"))) == "p\n2\n"


def test_a_submitted_run_gets_a_dataset_that_is_not_registered(project: Project, store: Datastore) -> None:
    pipeline = Pipeline(project.workspace, [_step(project, store)])
    run = pipeline.submit("submitted", pipeline_parameters={"which": _table(store, "two")})
    assert run.wait_for_completion(show_output=False) == "Finished"
    told = next(run.get_steps()).get_output_data("told").place.in_place
    assert json.loads(told.read_text()) == {"p": [2]}


def test_a_definition_with_a_dataset_parameter_survives_being_stored(project: Project, store: Datastore) -> None:
    definition = Pipeline(project.workspace, [_step(project, store)]).definition
    assert PipelineDefinition.from_json(definition.to_json()) == definition
    assert "workspaceblobstore" in definition.datastores
