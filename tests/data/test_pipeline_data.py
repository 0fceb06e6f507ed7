"""PipelineData and the inputs made of it."""

import pytest

from refrain.data.pipeline_data import InputPortBinding, PipelineData
from refrain.errors import UserError


def test_the_output_is_called_like_the_data_unless_said_otherwise():
    assert PipelineData("model").output_name == "model"
    assert PipelineData("model", output_name="out").output_name == "out"


def test_inputs_have_azures_defaults():
    data = PipelineData("model")
    bindings = [data.as_mount(), data.as_download("d", "here", True), data.as_input("i"), data.create_input_binding()]
    assert [(b.name, b.bind_mode, b.path_on_compute, b.overwrite) for b in bindings] == [
        ("model", "mount", None, None),
        ("d", "download", "here", True),
        ("i", "mount", None, None),
        ("model", "mount", None, None),
    ]
    assert all(b.bind_object is data for b in bindings)


def test_the_variable_is_azures():
    assert PipelineData("model").get_env_variable_name() == "$AZUREML_DATAREFERENCE_model"


def test_data_is_known_by_identity():
    assert PipelineData("a") != PipelineData("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a-b"}, "'a-b' is no valid name for PipelineData"),
        ({"output_name": "a b"}, "'a b' is no valid name for the output of PipelineData 'a'"),
        ({"output_mode": "download"}, "PipelineData 'a': output_mode 'download' is not one of mount, upload"),
        ({"output_mode": "upload"}, "PipelineData 'a': output_mode 'upload' needs output_path_on_compute"),
        ({"datastore": "workspaceblobstore"}, "PipelineData 'a' needs a datastore, not 'workspaceblobstore'"),
        (
            {"training_output": object()},
            "PipelineData 'a': training_output belongs to steps that tune models; remove it",
        ),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(UserError, match=message):
        PipelineData(**{"name": "a", **options})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b", PipelineData("a")), "'a b' is no valid name for an input"),
        (("a", PipelineData("a"), "upload"), "Input 'a': mode 'upload' is not one of mount, download, direct"),
        (("a", "text"), "InputPortBinding 'a' binds a str; PipelineData is needed"),
    ],
)
def test_a_wrong_binding_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        InputPortBinding(*arguments)
