import json
from pathlib import Path

import pytest

from refrain.runtime.run import Run
from refrain.tracking.metrics import Labels, Point, read_pipeline_log, read_step_log, tail_events

CONTEXT = {"schema": 1, "experiment": "e", "workspace": {"name": "ws", "root": "/ws"}, "parent": {"run_id": "r1"}}


def step(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run that a script of step *name* gets; its folder is *folder*."""
    folder.mkdir()
    (folder / "context.json").write_text(json.dumps({**CONTEXT, "run_id": f"r1.{name}.0", "name": name}))
    monkeypatch.setenv("REFRAIN_RUN_DIR", str(folder))
    run = Run.get_context()
    assert isinstance(run, Run)
    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train" / "events.jsonl"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return step(tmp_path / "train", "train", monkeypatch)


def test_metrics_read_as_the_script_itself_reads_them(run, path):
    run.log("loss", 0.5, step=1)
    run.log("loss", float("inf"), description="of the fold")
    run.log_table("t", {"x": [1, 2]})
    run.log_confusion_matrix("c", {})

    log = read_step_log(path, run.id).own

    assert log.metrics == run.get_metrics()
    assert [(point.value, point.step) for point in log.series["loss"]] == [(0.5, 1), (float("inf"), None)]
    assert isinstance(log.series["loss"][0], Point)
    assert log.tables == {"t": ({"x": 1}, {"x": 2})}
    assert log.descriptions == {"loss": "of the fold"}
    assert (log.documents["c"].type, log.documents["c"].artifact) == ("confusion_matrix", "c")
    assert log.artifacts == ("c",)
    assert list(log.series) == ["loss"]


def test_tags_build_on_what_the_run_was_started_with(run, path):
    run.set_tags({"a": "1"})
    run.remove_tags(["old"])
    run.add_properties({"p": "1"})
    run.display_name = "Shown"

    log = read_step_log(path, run.id, Labels(tags={"old": "x", "kept": None}, properties={"q": "2"})).own

    assert log.tags == {"kept": None, "a": "1"}
    assert log.properties == {"q": "2", "p": "1"}
    assert log.display_name == "Shown"


def test_child_runs_are_read_by_id_at_any_depth(run, path):
    child = run.child_run("fold")
    child.log("acc", 1)
    grandchild = child.child_run(run_id="deep")
    grandchild.fail("no data")

    log = read_step_log(path, run.id)

    assert log.own.children == {child.id: "train>fold"}
    assert log.children[child.id].metrics == {"acc": 1}
    assert log.children[child.id].children == {"deep": grandchild.name}
    assert log.children[child.id].status == "Running"
    assert log.children["deep"].status == "Failed"
    assert log.children["deep"].error == {"code": "UserError", "message": "no data"}


def test_the_pipeline_run_gathers_what_its_steps_logged_for_it(tmp_path, monkeypatch):
    first = step(tmp_path / "first", "first", monkeypatch)
    second = step(tmp_path / "second", "second", monkeypatch)
    for run, value in ((second, 1), (first, 2), (second, 3)):
        run.parent.log("m", value)
        run.log("own", value)
    first.parent.tag("by", "first")

    log = read_pipeline_log(
        [tmp_path / name / "events.jsonl" for name in ("first", "second", "missing")], "r1", Labels(tags={"by": "user"})
    )

    assert log.metrics == {"m": [1, 2, 3]}
    assert log.tags == {"by": "first"}
    assert log.run_id == "r1"


def test_a_script_without_events_has_an_empty_log(tmp_path):
    log = read_step_log(tmp_path / "events.jsonl", "r1.train.0")

    assert (log.own.metrics, log.children, log.problems) == ({}, {}, ())


def test_a_broken_line_is_reported_and_the_rest_is_read(run, path):
    run.log("m", 1)
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b"{broken\n")
    run.log("m", 2)
    with path.open("ab") as stream:
        stream.write(b'{"v":1,"t":1,"ru')

    log = read_step_log(path, run.id)

    assert log.own.metrics == {"m": [1, 2]}
    assert [str(problem) for problem in log.problems] == [f"{path}, byte {size}: not a line of JSON"]


def test_events_are_followed_as_they_are_appended(run, path):
    empty = tail_events(path)
    run.log("m", 1, step=3)
    first = tail_events(path, empty.offset)
    run.tag("a", "b")
    run.parent.log("n", 2)
    second = tail_events(path, first.offset)

    assert (empty.events, empty.offset) == ((), 0)
    assert [(event.run, event.kind, event.fields) for event in first.events] == [
        ("", "metric", {"name": "m", "value": 1, "step": 3})
    ]
    assert [(event.run, event.kind) for event in second.events] == [("", "tag"), ("..", "metric")]
    assert second.events[0].time <= second.events[1].time
    assert tail_events(path, second.offset).events == ()
