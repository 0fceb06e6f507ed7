"""DataTransferStep as it is declared: Azure ML's rules, and what is refused before anything runs."""

from __future__ import annotations

import pytest

from refrain import (
    DataReference,
    Dataset,
    Datastore,
    DataTransferStep,
    Pipeline,
    PipelineData,
    PythonScriptStep,
    SqlDataReference,
)
from refrain.data.ports import OutputKind
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Literal
from refrain.steps.definition import PipelineDefinition


@pytest.fixture
def store(workspace):
    return Datastore.get_default(workspace)


def _step(store, source="from", target="to", **how):
    return DataTransferStep(
        "move", DataReference(store, "source", source), DataReference(store, "there", target), **how
    )


def test_the_destination_is_a_hidden_output_and_the_source_an_input(workspace, store):
    (step,) = Pipeline(workspace, [_step(store, source_reference_type="FILE")], name="p").definition.steps
    assert [port.name for port in step.inputs] == ["source"]
    assert [(port.name, port.datastore, port.path) for port in step.outputs] == [
        ("_data_transfer_output", "workspaceblobstore", "to")
    ]
    assert step.command == ()
    assert dict(step.parameters) == {
        "source_reference_type": Literal("file"),
        "destination_reference_type": Literal(""),
    }


def test_its_definition_survives_json(workspace, store):
    definition = Pipeline(workspace, [_step(store)], name="p").definition
    assert PipelineDefinition.from_json(definition.to_json()) == definition


def test_who_reads_its_output_waits_for_it_and_brings_it_along(workspace, store, tmp_path):
    (tmp_path / "read.py").write_text("")
    moved = _step(store).get_output()
    read = PythonScriptStep("read.py", source_directory=str(tmp_path), arguments=[moved], inputs=[moved])
    definition = Pipeline(workspace, [read], name="p").definition
    assert [step.key for step in definition.steps] == ["move", "read"]
    assert definition.step("read").upstream == {"move"}


def test_the_output_of_a_step_can_be_its_source(workspace, store, tmp_path):
    (tmp_path / "write.py").write_text("")
    made = PipelineData("made")
    write = PythonScriptStep("write.py", source_directory=str(tmp_path), arguments=[made], outputs=[made])
    move = DataTransferStep("move", made, DataReference(store, "there", "to"))
    assert [step.key for step in Pipeline(workspace, [move], name="p").definition.steps] == ["write", "move"]
    assert write.name == "write.py"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"source_reference_type": "table"}, "source_reference_type 'table' is not one of file, directory"),
        ({"destination_reference_type": 3}, "destination_reference_type 3 is not one of file, directory"),
        ({"allow_reuse": "no"}, "allow_reuse must be True or False, not 'no'"),
        (
            {"source_reference_type": "Directory", "destination_reference_type": "file"},
            "a directory cannot be copied to a file",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(store, how, words):
    with pytest.raises(UserError, match=words):
        _step(store, **how)


def test_a_transfer_needs_both_ends(store):
    with pytest.raises(UserError, match="'move' needs a source_data_reference and a destination_data_reference"):
        DataTransferStep("move", DataReference(store, "source", "from"))
    with pytest.raises(UserError, match="the destination must be a DataReference or a SqlDataReference, not 'to'"):
        DataTransferStep("move", DataReference(store, "source", "from"), "to")
    with pytest.raises(
        UserError, match="the source must be a DataReference, a SqlDataReference or the output of a step, not 'from'"
    ):
        DataTransferStep("move", "from", DataReference(store, "there", "to"))


@pytest.mark.parametrize("target", ["from", "from/inside"])
def test_a_destination_inside_its_source_is_refused(workspace, store, target):
    with pytest.raises(PipelineError, match=f"its destination '{target}' of datastore .* is its source, or inside it"):
        _ = Pipeline(workspace, [_step(store, target=target)], name="p").definition


@pytest.fixture
def sales(workspace):
    return Datastore.register_sql(workspace, "sales", "postgresql://host/sales")


def test_a_table_is_an_output_that_no_step_reads_as_files(workspace, store, sales):
    table = SqlDataReference(sales, "rows", sql_table="shop.sold")
    step = DataTransferStep("load", DataReference(store, "files", "from"), table, destination_reference_type="file")
    (defined,) = Pipeline(workspace, [step], name="p").definition.steps
    (port,) = defined.outputs
    assert (port.kind, port.datastore, port.path) == (OutputKind.TABLE, "sales", "shop.sold")
    assert dict(defined.parameters)["destination_reference_type"] == Literal("")
    with pytest.raises(UserError, match=r"DataTransferStep 'load' fills a table, .* \(step\.run_after\(copy\)"):
        step.get_output()


def test_what_cannot_be_copied_of_a_database_or_into_it_is_refused(store, sales):
    files, table = DataReference(store, "files", "from"), SqlDataReference(sales, "rows", sql_table="sold")
    query = SqlDataReference(sales, "rows", sql_query="SELECT 1 AS a")
    with pytest.raises(UserError, match="'move': rows are copied into a table; give the destination a sql_table"):
        DataTransferStep("move", files, query)
    with pytest.raises(UserError, match="'move': its source and its destination are the same table, 'sold'"):
        DataTransferStep("move", table, SqlDataReference(sales, sql_table="sold"))
    with pytest.raises(UserError, match="'DROP TABLE sold' is no query"):
        DataTransferStep("move", SqlDataReference(sales, "rows", sql_query="DROP TABLE sold"), files)


def test_a_dataset_is_no_source(store, sales):
    rows = Dataset.Tabular.from_sql_query((sales, "SELECT 1 AS a"), validate=False).as_named_input("rows")
    with pytest.raises(UserError, match="the source must be a DataReference, a SqlDataReference or the output"):
        DataTransferStep("move", rows, DataReference(store, "there", "to"))
