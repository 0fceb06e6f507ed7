"""A DataTransferStep in the life of a step: reused, explained, noticed, canceled, gone on with."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.project import COPIES, Project, Ran
from fakes.remote_stores import S3Server, s3_server
from refrain import DataReference, Datastore, DataTransferStep, PipelineData, SqlDataReference
from refrain.errors import StepCanceledError
from refrain.reuse.decision import Decision, Verdict
from refrain.storage.parts import PART_BYTES, md5_of
from refrain.tracking.record import RunStatus


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(project: Project, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    project.workspace.state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
    return Datastore.get(project.workspace, "objects")


@pytest.fixture
def disk(project: Project, tmp_path: Path) -> Datastore:
    (tmp_path / "disk" / "raw" / "deep").mkdir(parents=True)
    for name in ("a.csv", "deep/b.csv"):
        (tmp_path / "disk" / "raw" / name).write_text(f"content of {name}")
    return Datastore.register_folder(project.workspace, "disk", tmp_path / "disk")


def _move(source: Datastore, target: Datastore, path: str = "raw", to: str = "moved", **how) -> DataTransferStep:
    return DataTransferStep("move", DataReference(source, "source", path), DataReference(target, "there", to), **how)


def _files(project: Project, store: str, path: str) -> list[str]:
    return project.state.stores.on(store, path).files()


def test_a_folder_is_copied_once_and_then_reused(project, disk, s3, server):
    ran = project.run(_move(disk, s3))
    assert ran.status == "Completed", ran.outcome.errors
    assert _files(project, "objects", "moved") == ["a.csv", "deep/b.csv"]
    record = ran.step("move")
    assert record.properties["StepType"] == "data_transfer"
    assert record.outputs["_data_transfer_output"]["files"] == 2
    server.requests.clear()
    again = project.run(_move(disk, s3))
    assert again.reused() == ["move"]
    assert server.requests["PUT"] == server.requests["GET"] == 0
    assert project.leftovers() == []


def test_the_content_is_the_same_wherever_it_went(project, disk, s3):
    there = project.run(_move(disk, s3)).result("move").outputs["_data_transfer_output"]
    back = project.run(_move(s3, disk, "moved", "back")).result("move").outputs["_data_transfer_output"]
    assert there.digest == back.digest == project.state.stores.on("disk", "raw").identify().digest


@pytest.mark.parametrize("change", ["delete", "replace"])
def test_a_destination_that_was_lost_or_changed_is_copied_again_and_explained(project, disk, s3, change):
    project.run(_move(disk, s3))
    place = project.state.stores.on("objects", "moved/a.csv")
    if change == "delete":
        place.store.remove(place.path)
    else:
        place.store.writing(place.path).put(b"other", md5_of(b"other"))
    runner, _ = project.runner(_move(disk, s3))
    decision = runner.explain()["move"]
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.OUTPUT_CHANGED
    assert "output _data_transfer_output at s3://" in decision.sentence()
    assert project.run(_move(disk, s3)).verdict("move") is Verdict.OUTPUT_CHANGED
    assert project.run(_move(disk, s3)).reused() == ["move"]
    assert _files(project, "objects", "moved") == ["a.csv", "deep/b.csv"]


def test_a_changed_source_another_destination_or_type_copies_again(project, disk, s3, tmp_path):
    def changes(step: DataTransferStep) -> list[str]:
        ran = project.run(step)
        assert ran.verdict("move") is Verdict.CHANGED, ran.outcome.errors
        return [str(change) for change in ran.heard.decisions["move"].changes]

    project.run(_move(disk, s3))
    (tmp_path / "disk/raw/a.csv").write_text("new")
    assert changes(_move(disk, s3)) == ["input source: changed a.csv"]
    assert "moved" in changes(_move(disk, s3, to="elsewhere"))[0]
    assert changes(_move(disk, s3, source_reference_type="directory")) == [
        "parameter source_reference_type: '' → 'directory'"
    ]


def test_a_script_reads_what_was_copied(project, disk, s3):
    move = _move(disk, s3, "raw/a.csv", "one/a.csv")
    moved, out = move.get_output(), PipelineData("out")
    ran = project.run(move, project.step("copy", COPIES, [moved, out], inputs=[moved]))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("copy", "out") == "content of a.csv"


def test_progress_is_in_the_log_and_in_the_events(project, disk, s3):
    ran = project.run(_move(disk, s3))
    folder = Path(ran.runs.folder(ran.step("move").run_id))
    log = (folder / "logs/std_log.txt").read_text().splitlines()
    assert log == ran.heard.lines
    assert log[-1].startswith("copied 2 files, 37 B, to s3://")
    assert "2 of 2 files, 37 B of 37 B" in log[-2]
    event = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert (event["kind"], event["files"], event["all_files"], event["bytes"]) == ("progress", 2, 2, 37)


def test_a_source_that_is_missing_or_of_another_type_is_named(project, disk, s3):
    ran = project.run(_move(disk, s3, "nothing"))
    assert "Step 'move': There is nothing at" in ran.error("move")
    assert "disk/nothing, so that nothing can be copied" in ran.error("move")
    ran = project.run(_move(disk, s3, source_reference_type="file"))
    assert "disk/raw is a directory, not a file." in ran.error("move")
    assert project.reuse_records() == []


def test_a_canceled_copy_is_gone_on_with_by_the_next_run(project, disk, s3, tmp_path, server, monkeypatch):
    (tmp_path / "disk/raw/large.bin").write_bytes(bytes(4 * PART_BYTES))
    for number in range(100):  # many more than there are hands
        (tmp_path / f"disk/raw/{number}.txt").write_text(f"number {number}")
    monkeypatch.setattr("refrain.execution.transfer_body._TOLD_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("refrain.storage.retry.PARALLEL", 1)  # else all parts may be on their way when it is canceled
    runner, root = project.runner(_move(disk, s3))
    engine = runner._engine
    heard = threading.Event()
    engine._listener.line = lambda key, line: (heard.set(), engine.cancel()) if " of 103 files" in line else None
    outcome = runner.run()
    assert heard.is_set()
    assert isinstance(outcome.errors["move"], StepCanceledError)
    assert str(outcome.errors["move"]) == "Step 'move' was canceled; the next run goes on from where it was."
    assert engine.runs.latest_steps(root)[0].status is RunStatus.CANCELED
    ran = project.run(_move(disk, s3))
    assert ran.status == "Completed", ran.outcome.errors
    assert len(_files(project, "objects", "moved")) == 103


def test_packages_and_python_do_not_count(project, disk, s3):
    ran: Ran = project.run(_move(disk, s3))
    runner, _ = project.runner(_move(disk, s3))
    decision = runner.explain()["move"]
    assert isinstance(decision, Decision)
    assert decision.preimage is not None
    assert decision.preimage["environment"]["python"] == ""
    assert ran.heard.decisions["move"].fingerprint == decision.fingerprint


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Datastore:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE sold (item TEXT, price REAL)")
        connection.execute("INSERT INTO sold VALUES ('pen', 1.5), ('ink', 4)")
    return Datastore.register_sql(project.workspace, "shop", f"sqlite:///{tmp_path / 'shop.db'}")


@pytest.mark.parametrize(
    ("rows", "to", "wanted"),
    [
        ({"sql_table": "sold"}, "out/sold.csv", ["out/sold.csv"]),
        ({"sql_query": "SELECT item FROM sold ORDER BY item"}, "out", ["out/rows.csv"]),
        ({"sql_table": "sold"}, "out/sold.parquet", ["out/sold.parquet"]),
    ],
)
def test_rows_become_a_file_and_are_copied_again_when_they_changed(project, disk, shop, tmp_path, rows, to, wanted):
    def move() -> DataTransferStep:
        return DataTransferStep("move", SqlDataReference(shop, "rows", **rows), DataReference(disk, "there", to))

    ran = project.run(move())
    assert ran.status == "Completed", ran.outcome.errors
    assert project.run(move()).reused() == ["move"]
    assert [f"out/{name}" for name in _files(project, "disk", "out")] == wanted
    text = (tmp_path / "disk" / wanted[0]).read_bytes()
    expected = {"out/sold.csv": b'"item","price"\n"pen",1.5\n"ink",4\n', "out/rows.csv": b'"item"\n"ink"\n"pen"\n'}
    assert text == expected.get(wanted[0], text)
    assert text.startswith(b"PAR1") == wanted[0].endswith(".parquet")
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
        connection.execute("UPDATE sold SET item = 'paper' WHERE price = 4")
    assert project.run(move()).verdict("move") is Verdict.CHANGED
    assert b"paper" in (tmp_path / "disk" / wanted[0]).read_bytes()
    assert project.leftovers() == []


def test_a_procedure_of_a_database_without_them_is_refused(project, disk, shop):
    rows = SqlDataReference(shop, "rows", sql_stored_procedure="report")
    ran = project.run(DataTransferStep("move", rows, DataReference(disk, "there", "out")))
    assert "SQLite has no stored procedures, so that 'report' cannot be called; give a query." in ran.error("move")
