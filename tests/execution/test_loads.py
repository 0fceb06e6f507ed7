"""Files and rows that are copied into a table: once, whole, and again when the table is no longer what was loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from fakes.databases import Bench
from fakes.project import Project, Ran
from refrain import DataReference, Datastore, DataTransferStep, SqlDataReference, StoredProcedureParameter
from refrain.data.sql.datastore import SqlDatastore
from refrain.errors import DataError, StepCanceledError, UserError
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.verification import Verification
from refrain.tracking.record import RunStatus

ROWS = pa.table({"item": ["pen", "ink", "cup"], "price": [1.5, 4.0, None]})


class Shop:
    """A folder of files and a database to load them into."""

    def __init__(self, project: Project, bench: Bench) -> None:
        self.project, self.bench = project, bench
        self.folder = project.folder / "disk"
        self.folder.mkdir()
        self.disk = Datastore.register_folder(project.workspace, "disk", self.folder)
        location = bench.database.location
        self.store: SqlDatastore = Datastore.register_sql(
            project.workspace, "sales", location.address, location.conn_id
        )

    def write(self, name: str, table: pa.Table = ROWS) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".parquet"):
            pa.parquet.write_table(table, path)
        else:
            separator = "\t" if name.endswith(".tsv") else ","
            pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter=separator))

    def load(self, source: str = "raw") -> DataTransferStep:
        return DataTransferStep("load", DataReference(self.disk, "files", source), self.table())

    def table(self, name: str = "sold") -> SqlDataReference:
        return SqlDataReference(self.store, "rows", sql_table=name)

    def run(self, step: DataTransferStep | None = None, **options: Any) -> Ran:
        ran = self.project.run(step or self.load(), **options)
        assert ran.status == "Completed", ran.outcome.errors
        return ran

    def rows(self, columns: str = "item, price") -> list[tuple[Any, ...]]:
        return sorted(self.bench.run(f"SELECT {columns} FROM sold"), key=str)

    def decision(self) -> Decision:
        decision = self.project.runner(self.load())[0].explain()["load"]
        assert isinstance(decision, Decision)
        return decision


@pytest.fixture
def shop(project: Project, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    return Shop(project, bench)


@pytest.fixture
def small_shop(project: Project, sqlite_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    return Shop(project, sqlite_bench)


WANTED = [("cup", None), ("ink", 4.0), ("pen", 1.5)]


@pytest.mark.parametrize("name", ["sold.csv", "sold.tsv", "sold.parquet"])
def test_a_file_becomes_a_table_once(shop, name):
    shop.write(f"raw/{name}")
    ran = shop.run(shop.load(f"raw/{name}"))
    assert shop.rows() == WANTED
    assert ran.heard.lines[-1].startswith("loaded 3 rows, ")
    assert "into table 'sold' of datastore 'sales'" in ran.heard.lines[-1]
    assert shop.run(shop.load(f"raw/{name}")).reused() == ["load"]
    assert shop.run(shop.load(f"raw/{name}"), verification=Verification(1.0)).reused() == ["load"]


def test_a_changed_source_takes_the_place_of_the_rows_and_doubles_none(shop):
    shop.write("raw/a.csv")
    shop.write("raw/b.csv", ROWS.slice(0, 1))
    shop.write("raw/_hidden.txt")
    shop.run()
    assert shop.rows() == [*WANTED, ("pen", 1.5)]
    shop.write("raw/b.csv", ROWS.slice(1, 1))
    ran = shop.run()
    assert [str(change) for change in ran.heard.decisions["load"].changes] == ["input files: changed b.csv"]
    assert shop.rows() == [WANTED[0], WANTED[1], WANTED[1], WANTED[2]]
    shop.run(force=True)
    assert len(shop.rows()) == 4


@pytest.mark.parametrize(
    ("statement", "verdict", "words"),
    [
        ("UPDATE sold SET price = 9 WHERE item = 'pen'", Verdict.OUTPUT_CHANGED, "is not what its step wrote"),
        ("INSERT INTO sold VALUES ('pen', 1.5)", Verdict.OUTPUT_CHANGED, "is not what its step wrote"),
        ("DROP TABLE sold", Verdict.OUTPUT_MISSING, "is no longer at database://sales/sold"),
    ],
)
def test_a_table_that_was_changed_or_dropped_is_loaded_again_and_explained(shop, statement, verdict, words):
    shop.write("raw/a.csv")
    shop.run()
    shop.bench.run(statement)
    decision = shop.decision()
    assert decision.verdict is verdict
    assert words in decision.sentence()
    assert shop.run().verdict("load") is verdict
    assert shop.rows() == WANTED
    assert shop.run().reused() == ["load"]


def test_the_same_rows_in_another_order_are_the_same_table(shop):
    shop.write("raw/a.csv")
    shop.run()
    shop.bench.run("DELETE FROM sold", *(f"INSERT INTO sold VALUES ('{i}', {p or 'NULL'})" for i, p in WANTED))
    assert shop.run().reused() == ["load"]


def test_a_table_that_is_there_keeps_its_columns_and_text_stays_as_it_is_written(shop):
    shop.bench.run("CREATE TABLE sold (id INTEGER DEFAULT 7, item VARCHAR(20), price DECIMAL(20, 2))")
    (shop.folder / "sold.csv").write_text('item,price\n007,123456789012345678.90\n"a\nb",\n')
    shop.run(shop.load("sold.csv"))
    found = shop.rows("id, item, price")
    assert [row[:2] for row in found] == [(7, "007"), (7, "a\nb")]
    if shop.bench.product != "sqlite":  # which has no decimals
        assert [row[2] for row in found] == [Decimal("123456789012345678.90"), None]


def test_a_value_that_does_not_fit_leaves_the_rows_that_were_there(shop):
    shop.write("raw/a.csv")
    shop.run()
    shop.write("raw/a.csv", pa.table({"item": ["x"] * 1500, "price": ["1.5"] * 1499 + ["much"]}))
    ran = shop.project.run(shop.load())
    assert ran.status == "Failed"
    assert "Step 'load': " in ran.error("load")
    assert "a.csv" in ran.error("load")
    assert "'much'" in ran.error("load")
    assert shop.rows() == WANTED


def test_columns_that_the_table_has_not_are_named(shop):
    shop.bench.run("CREATE TABLE sold (item VARCHAR(20), prise INTEGER)")
    shop.write("raw/a.csv")
    error = shop.project.run(shop.load()).outcome.errors["load"]
    assert isinstance(error, UserError)
    assert str(error).startswith("Step 'load': Table 'sold' has no column 'price'.")


def test_a_canceled_load_leaves_the_rows_that_were_there(shop, monkeypatch):
    shop.write("raw/a.csv")
    shop.run()
    monkeypatch.setattr("refrain.execution.transfer_body._TOLD_EVERY_SECONDS", 0.0)
    shop.write("raw/a.csv", pa.table({"item": ["x"] * 300_000, "price": [1.5] * 300_000}))
    runner, root = shop.project.runner(shop.load())
    engine = runner._engine
    engine._listener.line = lambda key, line: engine.cancel() if " rows, " in line else None
    outcome = runner.run()
    assert isinstance(outcome.errors["load"], StepCanceledError)
    assert str(outcome.errors["load"]) == "Step 'load' was canceled; the table is as it was."
    assert engine.runs.latest_steps(root)[0].status is RunStatus.CANCELED
    assert shop.rows() == WANTED
    assert len(shop.run() and shop.rows()) == 300_000


KILLED = """
import sys, time
from pathlib import Path
from refrain import DataReference, Datastore, DataTransferStep, Pipeline, SqlDataReference, Workspace
from refrain.execution import transfer_body
from refrain.execution.listener import Listener
from refrain.execution.runner import RunOptions
from refrain.pipelines.local import make_runner

class Stops(Listener):
    def line(self, key, line):
        if line.endswith("B") and " rows, " in line:
            print("loading", flush=True)
            time.sleep(600)

transfer_body._TOLD_EVERY_SECONDS = 0.0
workspace = Workspace(sys.argv[1])
files = DataReference(Datastore.get(workspace, "disk"), "files", "raw")
step = DataTransferStep("load", files, SqlDataReference(Datastore.get(workspace, "sales"), "rows", sql_table="sold"))
definition = Pipeline(workspace, [step], name="project").definition
make_runner(workspace, definition, {}, "experiment", RunOptions(), Stops())[0].run()
"""


def test_a_load_that_is_killed_leaves_the_rows_that_were_there(shop):
    shop.write("raw/a.csv")
    shop.run()
    shop.write("raw/a.csv", pa.table({"item": ["x"] * 100_000, "price": [1.5] * 100_000}))
    command = [sys.executable, "-c", KILLED, str(shop.project.folder / "workspace")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ), start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        os.killpg(process.pid, signal.SIGKILL)
    assert shop.rows() == WANTED
    assert len(shop.run() and shop.rows()) == 100_000


def test_rows_go_from_one_table_to_another(shop):
    shop.bench.run("CREATE TABLE source (item VARCHAR(20), price REAL)", "INSERT INTO source VALUES ('pen', 1.5)")

    def step() -> DataTransferStep:
        return DataTransferStep("load", shop.table("source"), shop.table())

    shop.run(step())
    assert shop.rows() == [("pen", 1.5)]
    assert shop.run(step()).reused() == ["load"]
    shop.bench.run("UPDATE source SET item = 'ink'")
    assert shop.run(step()).verdict("load") is Verdict.CHANGED
    assert shop.rows() == [("ink", 1.5)]
    assert shop.project.leftovers() == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.txt"], "a.txt is no file of rows: its name ends in none of .csv, .csv.gz, .tsv, .parquet"),
        (["a.csv", "b.parquet"], "a.csv and .*b.parquet are of different kinds. Put files of each kind into a folder"),
        (["_SUCCESS"], "There is no file at .*raw whose rows could be read"),
    ],
)
def test_files_that_are_no_rows_are_named(small_shop, names, words):
    for name in names:
        small_shop.write(f"raw/{name}")
    error = small_shop.project.run(small_shop.load()).outcome.errors["load"]
    with pytest.raises(DataError, match=f"^Step 'load': .*{words}"):
        raise error
    assert small_shop.bench.run("SELECT name FROM sqlite_master") == []


def test_what_was_loaded_is_a_dataset_of_the_run(small_shop):
    small_shop.write("raw/a.csv")
    ran = small_shop.run()
    record = ran.step("load")
    handle = record.outputs["_data_transfer_output"]
    assert (handle["uri"], handle["files"]) == ("database://sales/sold", 1)
    assert handle["bytes"] > 0
    definition = record.datasets["wrote"]["_data_transfer_output"]
    assert definition["source"]["options"] == {"table": "sold", "timeout": 0}
    place = small_shop.project.state.stores.at(handle["uri"])
    with pytest.raises(DataError, match=r"A table of a database has no files\. Read its rows with Dataset\.Tabular"):
        place.files()


PROCEDURES = {
    "postgresql": "CREATE FUNCTION dear(at_least NUMERIC) RETURNS TABLE (item TEXT, price REAL) LANGUAGE sql AS "
    "'SELECT item, price FROM source WHERE price >= at_least'",
    "mysql": "CREATE PROCEDURE dear(at_least DECIMAL(9, 2)) SELECT item, price FROM source WHERE price >= at_least",
}


@pytest.mark.parametrize(
    "product",
    [pytest.param("postgresql", marks=pytest.mark.postgres), pytest.param("mysql", marks=pytest.mark.mariadb)],
)
def test_the_rows_of_a_stored_procedure_become_a_file(project, request, product, monkeypatch):
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    bench: Bench = request.getfixturevalue(f"{product}_bench")
    shop = Shop(project, bench)
    bench.run("CREATE TABLE source (item VARCHAR(20), price REAL)", PROCEDURES[product])
    bench.run("INSERT INTO source VALUES ('pen', 1.5), ('ink', 4)")

    def step(least: int) -> DataTransferStep:
        parameters = [StoredProcedureParameter("at_least", least, "Decimal")]
        rows = SqlDataReference(shop.store, "rows", sql_stored_procedure="dear", sql_stored_procedure_params=parameters)
        return DataTransferStep("report", rows, DataReference(shop.disk, "there", "out/dear.csv"))

    shop.run(step(2))
    path = Path(shop.folder, "out/dear.csv")
    assert path.read_text() == '"item","price"\n"ink",4\n'
    assert shop.run(step(2)).reused() == ["report"]
    assert shop.run(step(1)).verdict("report") is Verdict.CHANGED
    assert len(path.read_text().splitlines()) == 3
