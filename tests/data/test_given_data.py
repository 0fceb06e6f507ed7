"""Given data: what a run may give a parameter that names data."""

import pytest

from refrain.data.data_path import DataPath
from refrain.data.dataset import Dataset
from refrain.data.parameters import PipelineParameter, assign, parse, recorded
from refrain.data.ports import FromDatastore, FromFiles
from refrain.errors import ParameterClassError, ParameterError, UnknownNameError


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
    message = r"parameter 'p' is a DataPath, and .* names none: give datastore/path as text, a DataPath or \{"
    with pytest.raises(ParameterError, match=message):
        give(value)


def test_data_always_counts(store):
    with pytest.raises(ParameterError, match="'p' names data, which always counts: omit affects_reuse"):
        PipelineParameter("p", DataPath(store, "raw"), affects_reuse=False)


def test_the_name_of_an_input_tells_no_values_apart(store):
    named, nameless = (PipelineParameter("p", DataPath(store, "raw", name)) for name in ("n", None))
    assert named == nameless


# ---- datasets


@pytest.fixture
def tables(store, workspace):
    """Two tables on the datastore; the second is registered as ``prices``."""
    folder = workspace.state.datastores.get(store.name).root
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("a\n1\n")
    one, two = (Dataset.Tabular.from_delimited_files((store, f"{name}.csv")) for name in ("one", "two"))
    two.register(workspace, "prices")
    return one, two


@pytest.fixture
def give_table(tables, workspace):
    """Gives a value to a parameter whose default is the first table."""
    declared = {"p": PipelineParameter("p", tables[0])}
    return lambda value: assign(declared, {"p": value}, workspace)["p"]


@pytest.mark.parametrize(
    "form",
    [
        "prices",
        "prices:1",
        "prices:latest",
        {"Name": "prices"},
        {"Name": "prices", "Version": 1},
        '{"Name": "prices", "Version": "1"}',
    ],
)
def test_a_registered_dataset_has_a_text_and_a_json_form(give_table, form):
    value = give_table(form)
    assert (value.text, value.source) == ("prices:1", FromFiles((("workspaceblobstore", "two.csv"),)))


def test_a_dataset_may_be_given_as_an_object_and_reads_back_from_its_record(give_table, tables):
    value = give_table(tables[1].keep_columns("a"))
    assert value.source == FromFiles((("workspaceblobstore", "two.csv"),))
    assert "keep_columns" in value.recipe
    assert give_table(value.text) == value


def test_data_of_another_class_is_refused(give, give_table, tables, store, workspace):
    message = r"parameter 'p' is a TabularDataset \(its default is .*one.csv.*\), but the run gives it the FileDataset"
    with pytest.raises(ParameterClassError, match=message) as caught:
        give_table(Dataset.File.from_files((store, "two.csv")))
    assert isinstance(caught.value, TypeError)  # what Azure ML raises
    with pytest.raises(ParameterClassError, match=r"TabularDataset .* gives it the DataPath 'workspaceblobstore/x'"):
        give_table(DataPath(store, "x"))
    with pytest.raises(ParameterClassError, match=r"is a DataPath .* but the run gives it the TabularDataset"):
        give(tables[0])


def test_an_unknown_dataset_or_version_names_the_parameter(give_table):
    with pytest.raises(UnknownNameError, match=r"parameter 'p': Unknown dataset 'price'\. Known: prices"):
        give_table("price")
    with pytest.raises(UnknownNameError, match=r"parameter 'p': Dataset 'prices' has no version 7"):
        give_table("prices:7")


@pytest.mark.parametrize("value", [5, None, "prices:new", {"Version": 1}, '{"kind": "file"}', "{broken"])
def test_what_names_no_dataset_is_refused_with_the_way_out(give_table, value):
    message = r"parameter 'p' is a TabularDataset, and .* names none: give name or name:version of a registered dataset"
    with pytest.raises(ParameterError, match=message):
        give_table(value)
