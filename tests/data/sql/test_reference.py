"""SqlDataReference: exactly one thing of a database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from refrain import Datastore, SqlDataReference, StoredProcedureParameter, StoredProcedureParameterType
from refrain.errors import UserError
from refrain.storage.sql.relation import SqlProcedure, SqlQuery, SqlSource, SqlTable


@pytest.fixture
def sales(workspace):
    return Datastore.register_sql(workspace, "sales", "postgresql://db.example/sales")


def test_a_table_a_query_and_a_procedure_can_be_named(sales):
    assert SqlDataReference(sales, sql_table="dbo.t").source == SqlSource("sales", SqlTable("dbo.t"))
    assert SqlDataReference(sales, "rows", sql_query="SELECT 1").relation == SqlQuery("SELECT 1")
    parameters = [StoredProcedureParameter("@n", 3, "int")]
    procedure = SqlDataReference(sales, sql_stored_procedure="p", sql_stored_procedure_params=parameters).relation
    assert isinstance(procedure, SqlProcedure)
    assert [item.bound() for item in procedure.arguments] == [3]


def test_it_is_called_like_its_datastore_unless_it_has_a_name(sales):
    assert SqlDataReference(sales, sql_table="t").name == "sales"
    assert SqlDataReference(sales, sql_table="t").path(data_reference_name="other").name == "other"


def test_a_query_may_come_from_a_file(sales, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 'é'", encoding="utf-8")
    assert SqlDataReference(sales, sql_query_file=str(tmp_path / "q.sql")).relation == SqlQuery("SELECT 'é'")
    with pytest.raises(UserError, match=r"the query's file '.*no.sql' cannot be read: .*No such file"):
        SqlDataReference(sales, sql_query_file=str(tmp_path / "no.sql"))


@pytest.mark.parametrize(
    ("given", "got"), [({}, "none"), ({"sql_table": "t", "sql_query": "SELECT 1"}, "sql_table and sql_query")]
)
def test_none_or_two_of_them_are_refused(sales, given, got):
    with pytest.raises(UserError, match=rf"SqlDataReference 'sales': give exactly one of sql_table, .*; got {got}"):
        SqlDataReference(sales, **given)


def test_parameters_belong_to_a_procedure(sales):
    with pytest.raises(UserError, match="sql_stored_procedure_params needs sql_stored_procedure"):
        SqlDataReference(sales, sql_table="t", sql_stored_procedure_params=[StoredProcedureParameter("a", 1)])


def test_a_datastore_of_files_is_refused(workspace):
    with pytest.raises(UserError, match="needs a datastore that is a database, not Datastore"):
        SqlDataReference(Datastore(workspace), sql_table="t")


@pytest.mark.parametrize("mode", ["as_mount", "as_download", "as_upload"])
def test_rows_are_no_files(sales, mode):
    with pytest.raises(UserError, match=rf"'sales' has no {mode}\(\): it names rows and no files"):
        getattr(SqlDataReference(sales, sql_table="t"), mode)()


@pytest.mark.parametrize(
    ("kind", "value", "bound"),
    [
        (None, 5, "5"),
        ("Int", "5", 5),
        (StoredProcedureParameterType.DECIMAL, "1.50", Decimal("1.50")),
        ("boolean", True, True),
        ("Boolean", "0", False),
        ("Date", "2020-01-31", date(2020, 1, 31)),
        ("Guid", "12345678123456781234567812345678", "12345678-1234-5678-1234-567812345678"),
        ("Int", None, None),
    ],
)
def test_a_parameter_is_bound_as_its_type(kind, value, bound):
    assert StoredProcedureParameter("p", value, kind).argument.bound() == bound


@pytest.mark.parametrize(
    ("kind", "value"), [("Int", "x"), ("Decimal", "x"), ("Boolean", "maybe"), ("Date", "31.1.2020"), ("Guid", "1")]
)
def test_a_value_of_another_type_is_named(kind, value):
    with pytest.raises(UserError, match=f"Parameter 'p': '{value}' is no {kind}"):
        StoredProcedureParameter("p", value, kind)


def test_an_unknown_type_is_named():
    with pytest.raises(UserError, match="Parameter 'p': the type 'Float' is not one of Boolean, Date, Decimal, Guid"):
        StoredProcedureParameter("p", 1, "Float")
