"""Queries as inputs of steps: what the script gets, and what counts for reuse."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project, Ran
from refrain import Dataset, Datastore, PipelineData
from refrain.data.sql.datastore import SqlDatastore

READS = """
    import json, os, sys
    from azureml.core import Run
    dataset = Run.get_context().input_datasets["sold"]
    rows = dataset.to_arrow().to_pylist()
    seen = [name for name in os.environ if "CONN" in name]
    json.dump({"rows": rows, "id": dataset.id, "argument": sys.argv[1], "seen": seen}, open(sys.argv[2], "w"))
"""
LISTS = """
    import json, os, sys
    found = {name: open(os.path.join(sys.argv[1], name)).read() for name in os.listdir(sys.argv[1])}
    json.dump(found, open(sys.argv[2], "w"))
"""


class Shop:
    """A database that a project reads."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.folder / "shop.db"
        self.sql("CREATE TABLE sold (item TEXT, price REAL)", "INSERT INTO sold VALUES ('pen', 1.5), ('ink', 4)")
        self.store: SqlDatastore = Datastore.register_sql(project.workspace, "shop", f"sqlite:///{self.path}")

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, text: str = "SELECT * FROM sold", **options: Any) -> Any:
        return Dataset.Tabular.from_sql_query((self.store, text), **options)

    def run(self, dataset: Any, code: str = READS, name: str = "read") -> Ran:
        data = dataset.as_named_input("sold") if code == READS else dataset.as_named_input("sold").as_mount()
        out = PipelineData("out")
        return self.project.run(self.project.step(name, code, [data, out], inputs=[data], outputs=[out]))

    def answer(self, ran: Ran) -> dict[str, Any]:
        assert ran.status == "Completed", (ran.outcome.errors, ran.heard.lines)
        found: dict[str, Any] = json.loads(ran.text("read", "out"))
        return found


@pytest.fixture
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "sqlite://me:top-secret@/")
    return Shop(project)


def test_the_script_gets_the_dataset_without_any_way_to_the_database(shop: Shop) -> None:
    dataset = shop.query()
    dataset = dataset.filter(dataset["price"] > 2)
    found = shop.answer(shop.run(dataset))
    assert found == {
        "rows": [{"item": "ink", "price": 4.0}],
        "id": dataset.id,
        "argument": dataset.id,
        "seen": [],
    }


def test_the_same_rows_are_reused_and_changed_ones_are_not(shop: Shop) -> None:
    assert shop.run(shop.query()).reused() == []
    shop.sql("DELETE FROM sold", "INSERT INTO sold VALUES ('ink', 4), ('pen', 1.5)")
    assert shop.run(shop.query()).reused() == ["read"]
    shop.sql("UPDATE sold SET price = 5 WHERE item = 'ink'")
    ran = shop.run(shop.query())
    assert ran.reused() == []
    assert {"item": "ink", "price": 5.0} in shop.answer(ran)["rows"]


def test_another_query_operation_or_order_is_not_reused(shop: Shop) -> None:
    shop.run(shop.query())
    assert shop.run(shop.query("SELECT item, price FROM sold")).reused() == []
    assert shop.run(shop.query().take(1)).reused() == []
    ordered = "SELECT * FROM sold ORDER BY rowid"
    shop.run(shop.query(ordered))
    shop.sql("UPDATE sold SET rowid = 9 WHERE item = 'pen'")
    assert shop.run(shop.query(ordered)).reused() == []
    assert shop.run(shop.query()).reused() == ["read"]


def test_by_definition_the_rows_do_not_count_and_are_not_asked_for(shop: Shop) -> None:
    shop.project.workspace.set_data_identity("definition")
    shop.project.workspace = type(shop.project.workspace)(shop.project.folder / "workspace")
    assert len(shop.answer(shop.run(shop.query()))["rows"]) == 2
    shop.sql("DELETE FROM sold")
    dataset = shop.query()
    shop.path.unlink()
    assert shop.run(dataset).reused() == ["read"]


def test_rows_that_change_while_the_step_runs_do_not_disturb_it(shop: Shop) -> None:
    code = (
        READS
        + f"""
    import sqlite3
    with sqlite3.connect({str(shop.path)!r}, isolation_level=None) as database:
        database.execute("DELETE FROM sold")
    """
    )
    data, out = shop.query().as_named_input("sold"), PipelineData("out")
    ran = shop.project.run(shop.project.step("read", code, [data, out], inputs=[data], outputs=[out]))
    assert len(shop.answer(ran)["rows"]) == 2
    shop.sql("INSERT INTO sold VALUES ('pen', 1.5), ('ink', 4)")
    data = shop.query().as_named_input("sold")
    again = shop.project.run(shop.project.step("read", code, [data, out], inputs=[data], outputs=[out]))
    assert again.reused() == ["read"]


def test_a_query_can_be_taken_as_files(shop: Shop) -> None:
    ran = shop.run(shop.query("SELECT item FROM sold ORDER BY item").to_csv_files(), LISTS)
    assert shop.answer(ran) == {"part-00000.csv": '"item"\n"ink"\n"pen"\n'}


def test_a_lost_answer_is_asked_for_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_CACHE_BYTES", "0")
    assert len(shop.answer(shop.run(shop.query()))["rows"]) == 2


def test_the_answer_is_kept_once(shop: Shop) -> None:
    shop.run(shop.query())
    shop.run(shop.query())
    kept = [path for path in (shop.project.folder / "cache/data/objects").rglob("*") if path.is_file()]
    assert len(kept) == 1


def test_a_database_that_cannot_answer_names_the_input(shop: Shop) -> None:
    dataset = shop.query()
    shop.sql("DROP TABLE sold")
    ran = shop.run(dataset)
    assert ran.status == "Failed"
    assert (
        "Step 'read', input 'sold': Cannot carry out the query 'SELECT * FROM sold' on datastore 'shop'"
        in ran.error("read")
    )
    assert "no such table: sold" in ran.error("read")


def test_a_step_leaves_nothing_of_the_database_in_its_records(shop: Shop) -> None:
    shop.run(shop.query())
    texts = [path.read_text(errors="replace") for path in Path(shop.project.state.root).rglob("*") if path.is_file()]
    assert not any("top-secret" in text for text in texts)
