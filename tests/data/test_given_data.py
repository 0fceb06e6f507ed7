"""Given data: what a run may give a parameter that names data."""

import pytest

from refrain.data.data_path import DataPath
from refrain.data.parameters import PipelineParameter, assign, parse, recorded
from refrain.data.ports import FromDatastore
from refrain.errors import ParameterError, UnknownNameError


@pytest.fixture
def give(store, workspace):
    """Gives a value to a parameter whose default is the path ``raw``."""
    declared = {"p": PipelineParameter("p", DataPath(store, "raw"))}
    return lambda value: assign(declared, {"p": value}, workspace)["p"]


@pytest.mark.parametrize(
    "form",
    [
        "workspacefilestore/new/data",
        "workspacefilestore//new/data/",
        {"DataStoreName": "workspacefilestore", "RelativePath": "new/data"},
        '{"DataStoreName": "workspacefilestore", "RelativePath": "new/data"}',
    ],
)
def test_a_path_has_a_text_and_a_json_form(give, form):
    assert give(form).source == FromDatastore("workspacefilestore", "new/data")


def test_a_path_may_be_given_as_an_object(give, store):
    assert give(DataPath(store, "new")).source == FromDatastore("workspaceblobstore", "new")


def test_a_datastores_name_alone_is_its_root(give):
    assert give("workspacefilestore").source == FromDatastore("workspacefilestore", "")


def test_what_is_recorded_reads_back(give):
    value = give("workspacefilestore/new")
    assert give(recorded({"p": value})["p"]) == value


def test_nothing_given_is_the_default(store, workspace):
    declared = {"p": PipelineParameter("p", DataPath(store, "raw"))}
    assert recorded(assign(declared, {}, workspace)) == {"p": "workspaceblobstore/raw"}


def test_the_command_line_gives_text(store):
    assert parse(PipelineParameter("p", DataPath(store, "raw")), "workspacefilestore/x") == "workspacefilestore/x"


def test_an_unknown_datastore_names_the_parameter_and_what_is_known(give):
    with pytest.raises(UnknownNameError, match=r"parameter 'p': Unknown datastore 'nowhere'. Known: .*workspaceblob"):
        give("nowhere/data")


@pytest.mark.parametrize("value", [5, None, True, {"RelativePath": "x"}, "{broken", "workspaceblobstore/../x", ["a"]])
def test_what_names_no_data_is_refused_with_the_way_out(give, value):
    message = r"parameter 'p' is a DataPath, and .* names none: give a text such as datastore/path, a DataPath or \{"
    with pytest.raises(ParameterError, match=message):
        give(value)


def test_data_always_counts(store):
    with pytest.raises(ParameterError, match="'p' names data, which always counts: omit affects_reuse"):
        PipelineParameter("p", DataPath(store, "raw"), affects_reuse=False)


def test_the_name_of_an_input_tells_no_values_apart(store):
    named, nameless = (PipelineParameter("p", DataPath(store, "raw", name)) for name in ("n", None))
    assert named == nameless
