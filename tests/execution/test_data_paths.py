"""Data paths as inputs: runs choose them, scripts find them, and what is there decides reuse."""

import pytest

from fakes.project import COPIES, Project
from refrain.data.data_path import DataPath, DataPathComputeBinding
from refrain.data.datastore import Datastore
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import PipelineData
from refrain.pipelines.workspace import Workspace
from refrain.reuse.decision import Verdict


@pytest.fixture
def store(project: Project) -> Datastore:
    store = Datastore(project.workspace)
    folder = project.state.datastores.get(store.name).root
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        (folder / name / "data.txt").write_text(name)
    return store


READS = """
    import os, sys
    assert sys.argv[1] == os.environ["AZUREML_DATAREFERENCE_" + sys.argv[3]]
    path = os.path.join(sys.argv[1], "data.txt")
    open(sys.argv[2], "w").write(open(path).read() if os.path.exists(path) else "nothing there")
"""


@pytest.fixture
def reads(project: Project, store: Datastore):
    """A step that copies what is at the path of parameter ``p``."""

    def make(path="one", mode="mount", input_name="raw"):
        parameter = PipelineParameter("p", DataPath(store, path, input_name))
        binding = DataPathComputeBinding(mode)
        # Written twice, as people do who do not keep the pair in a name.
        out = PipelineData("out")
        arguments = [(parameter, binding), out, input_name or "input_1"]
        return project.step("reads", READS, arguments, inputs=[(parameter, binding)], outputs=[out])

    return make


def test_a_run_chooses_the_path(project: Project, reads) -> None:
    assert project.run(reads()).text("reads", "out") == "one"
    given = project.run(reads(), parameters={"p": "workspaceblobstore/two"})
    assert given.text("reads", "out") == "two"
    assert given.record.parameters == given.step("reads").parameters == {"p": "workspaceblobstore/two"}


@pytest.mark.parametrize("mode", ["mount", "download"])
@pytest.mark.parametrize("name", ["raw", None])
def test_the_script_finds_the_path_in_every_mode_and_under_every_name(project, reads, mode, name) -> None:
    assert project.run(reads("two", mode, name)).text("reads", "out") == "two"


def test_the_data_decides_reuse_not_its_path(project: Project, reads, store: Datastore) -> None:
    project.run(reads())
    folder = project.state.datastores.get(store.name).root
    assert project.run(reads(), parameters={"p": "workspaceblobstore/two"}).verdict("reads") is Verdict.CHANGED
    (folder / "two" / "data.txt").write_text("one")
    assert project.run(reads(), parameters={"p": "workspaceblobstore/two"}).verdict("reads") is Verdict.REUSED
    (folder / "one" / "data.txt").write_text("changed")
    assert project.run(reads()).text("reads", "out") == "changed"


def test_nothing_need_be_at_the_path(project: Project, reads) -> None:
    ran = project.run(reads(), parameters={"p": "workspaceblobstore/not/yet"})
    assert ran.text("reads", "out") == "nothing there"


def test_a_path_that_is_no_parameter_is_read_too(project: Project, store: Datastore) -> None:
    pair, out = (DataPath(store, "two/data.txt"), DataPathComputeBinding()), PipelineData("out")
    assert (
        project.run(project.step("copy", COPIES, [pair, out], inputs=[pair], outputs=[out])).text("copy", "out")
        == "two"
    )


def test_a_definition_with_a_data_path_survives_being_stored(project: Project, reads, store: Datastore) -> None:
    from refrain.pipelines.pipeline import Pipeline
    from refrain.steps.definition import PipelineDefinition

    definition = Pipeline(project.workspace, [reads()]).definition
    assert PipelineDefinition.from_json(definition.to_json()) == definition
    assert definition.datastores == {"workspaceblobstore"}


def test_a_submitted_run_gets_the_path(project: Project, reads, store: Datastore) -> None:
    from refrain.pipelines.pipeline import Pipeline

    pipeline = Pipeline(Workspace(project.workspace.root), [reads()])
    run = pipeline.submit("submitted", pipeline_parameters={"p": DataPath(store, "two")})
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.record.parameters == {"p": "workspaceblobstore/two"}
    assert next(run.get_steps()).get_output_data("out").place.in_place.read_text() == "two"
