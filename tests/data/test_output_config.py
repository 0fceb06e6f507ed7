"""OutputFileDatasetConfig: an output directory, and its copies."""

from pathlib import Path

import pytest

from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.ports import OutputMode, Registration
from refrain.errors import UserError


def test_the_destination_is_azures_default():
    assert OutputFileDatasetConfig("o").location() == ("workspaceblobstore", "dataset/{run-id}/{output-name}")


def test_a_destination_is_a_datastore_and_a_path(store):
    assert OutputFileDatasetConfig("o", (store, "/a/{run-id}/{x}")).location() == (
        "workspaceblobstore",
        "a/{run-id}/{x}",
    )
    for bare in (store, (store,), (store, None)):
        assert OutputFileDatasetConfig("o", bare).location() == ("workspaceblobstore", "dataset/{run-id}/{output-name}")


def test_methods_return_copies_of_one_output():
    original = OutputFileDatasetConfig("o")
    copies = [
        original.as_mount(),
        original.as_upload(True, ["*.csv"]),
        original.register_on_complete("d", "text", {"k": 1}),
    ]
    assert all(copy is not original and copy.origin is original.origin and copy.name == "o" for copy in copies)
    assert (original.mode, original.overwrite, original.source_globs, original.registration) == (
        OutputMode.MOUNT,
        False,
        (),
        None,
    )
    assert (copies[1].mode, copies[1].overwrite, copies[1].source_globs) == (OutputMode.UPLOAD, True, ("*.csv",))
    assert copies[2].registration == Registration("d", "text", (("k", "1"),))


def test_copies_keep_what_earlier_copies_said():
    copy = OutputFileDatasetConfig("o").register_on_complete("d").as_upload(source_globs=["*"]).as_mount()
    assert (copy.mode, copy.source_globs, copy.registration) == (OutputMode.MOUNT, ("*",), Registration("d"))


def test_one_pattern_alone_is_one_pattern():
    assert OutputFileDatasetConfig("o").as_upload(source_globs="*.csv").source_globs == ("*.csv",)


def test_an_output_without_a_name_has_none_until_a_step_gives_one():
    """A random name would be another one in each process that reads the DAG file."""
    output = OutputFileDatasetConfig()
    copy = output.as_upload()
    assert output.name is None
    output.origin.name = "output_1"
    assert (output.name, copy.name) == ("output_1", "output_1")


def test_it_can_be_consumed_under_a_name_or_none():
    output = OutputFileDatasetConfig("o")
    named = output.as_input("x")
    assert (named.name, named.mode, named.dataset) == ("x", "mount", output)
    assert output.as_input().name is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "1a"}, "'1a' is no valid name for an OutputFileDatasetConfig"),
        ({"destination": "somewhere"}, "OutputFileDatasetConfig 'o': destination needs a datastore, not 'somewhere'"),
        ({"destination": Path("somewhere")}, "OutputFileDatasetConfig 'o': destination needs a datastore"),
        ({"destination": ()}, r"destination \(\) is not understood; give \(datastore, 'path'\) or a datastore"),
        ({"destination": (1, 2)}, "is not understood"),
        ({"destination": (1, "a", "b")}, "is not understood"),
        ({"partition_format": "{a}"}, "OutputFileDatasetConfig 'o': partition_format is not supported; remove it"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(UserError, match=message):
        OutputFileDatasetConfig(**{"name": "o", **options})


def test_a_path_out_of_the_datastore_is_refused(store):
    with pytest.raises(UserError, match="leaves its datastore"):
        OutputFileDatasetConfig("o", (store, "../x"))


@pytest.mark.parametrize("name", ["", " ", None])
def test_a_registration_needs_a_name(name):
    with pytest.raises(UserError, match="OutputFileDatasetConfig 'o': register_on_complete needs a name"):
        OutputFileDatasetConfig("o").register_on_complete(name)
