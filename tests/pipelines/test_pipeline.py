"""Pipeline: built at once, checked, and made of plain values."""

import json

import pytest

from refrain.data.datastore import Datastore
from refrain.data.pipeline_data import PipelineData
from refrain.errors import PipelineError, UnknownNameError
from refrain.pipelines.pipeline import Pipeline, defining, is_defining
from refrain.pipelines.workspace import Workspace
from refrain.steps.definition import PipelineDefinition


def test_building_a_pipeline_writes_nothing(pipeline, step, workspace):
    pipeline([step()])
    assert not workspace.state.root.exists()


def test_names_and_descriptions_are_kept(pipeline, step):
    found = pipeline([step()], name="mine", description="text")
    assert (found.name, found.definition.description, repr(found)) == ("mine", "text", "Pipeline('mine', 1 steps)")
    assert pipeline([step()]).name == "pipeline"


def test_a_pipeline_needs_a_workspace(step):
    with pytest.raises(PipelineError, match="A Pipeline needs a Workspace first, not 'ws'"):
        Pipeline("ws", [step()])


@pytest.mark.parametrize("steps", [[], (), [[]]])
def test_a_pipeline_needs_a_step(pipeline, steps):
    with pytest.raises(PipelineError, match="A Pipeline needs at least one step"):
        pipeline(steps)


def test_azures_only_other_keyword_is_accepted(pipeline, step):
    pipeline([step()], enable_email_notification=True)
    with pytest.raises(TypeError, match="unknown"):
        pipeline([step()], unknown=1)


def test_outputs_go_to_the_default_datastore(pipeline, step, workspace, tmp_path):
    made = step(outputs=[PipelineData("d")])
    Datastore.register_folder(workspace, "mine", tmp_path)
    assert [
        pipeline(made, default_datastore=store).definition.steps[0].outputs[0].datastore for store in _forms(workspace)
    ] == [
        "workspaceblobstore",
        "mine",
        "mine",
    ]
    workspace.set_default_datastore("mine")
    assert pipeline(made).definition.steps[0].outputs[0].datastore == "mine"


def _forms(workspace):
    return [None, "mine", Datastore(workspace, "mine")]


def test_a_datastore_of_another_workspace_is_refused(pipeline, step, tmp_path):
    foreign = Datastore.register_folder(Workspace(tmp_path / "other"), "theirs", tmp_path)
    for made in (step(outputs=[PipelineData("d", foreign)]), step(inputs=[foreign.path("a", "r")])):
        with pytest.raises(UnknownNameError, match=r"Unknown datastore 'theirs'. Known: workspaceblobstore"):
            pipeline(made)
    with pytest.raises(UnknownNameError, match="Unknown datastore 'nope'"):
        pipeline(step(), default_datastore="nope")


def test_the_default_source_directory_is_for_steps_without_one(pipeline, step, source, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/train.py").touch()
    found = pipeline(
        [step("a", source_directory=None), step("b", source_directory=tmp_path / "own")],
        default_source_directory=str(source),
    )
    assert [s.source.directory for s in found.definition.steps] == [str(source), str(tmp_path / "own")]


def test_a_sound_pipeline_has_nothing_to_complain_about(pipeline, step):
    assert pipeline([step()]).validate() == []


def test_validation_says_in_sentences_what_is_wrong(pipeline, step, source):
    found = pipeline([step("a"), step("b")])
    (source / "train.py").unlink()
    source.rmdir()
    assert found.validate() == [
        f"Step {name}: The source directory '{source}' does not exist or is not a directory." for name in "ab"
    ]


def test_a_chain_survives_json(pipeline, step):
    data = [PipelineData(f"d{n}") for n in range(20)]
    steps = [step(f"s{n}", inputs=data[n - 1 : n], outputs=[data[n]], arguments=[data[n]]) for n in range(20)]
    definition = pipeline(steps[-1]).definition
    assert PipelineDefinition.from_json(json.loads(json.dumps(definition.to_json()))) == definition
    assert len(definition.steps) == 20


def test_a_wide_pipeline_looks_at_each_step_a_bounded_number_of_times(pipeline, step):
    """Two hundred steps are built in milliseconds; here it is counted, not timed."""
    data = [PipelineData(f"d{n}") for n in range(200)]
    makers = [step("same", outputs=[item]) for item in data]
    asked = []
    for maker in makers:
        real = maker.produced_items
        maker.produced_items = lambda real=real: asked.append(1) or real()
    found = pipeline([*makers, step("join", inputs=data)])
    assert len(found.definition.steps) == 201
    assert len(asked) == 200


def test_defining_is_known_within_its_block():
    assert not is_defining()
    with defining():
        assert is_defining()
    assert not is_defining()
