"""What the page of a run shows: of real runs, and of what scripts and other processes have left in their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refrain import Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace
from refrain.errors import RunFailedError
from refrain.pipelines.local import run_pipeline
from refrain.pipelines.run import PipelineRun
from refrain.runtime import events
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain_plugin import run_view as run_view_module
from refrain_plugin.pages import _templates, app
from refrain_plugin.run_view import chart, progress_view, run_view

HURT = "<script>alert('hurt')</script>"
TRAIN = """\
import sys
from refrain import Run
run = Run.get_context()
for number in range(5):
    run.log("loss", 1 / (number + 1))
run.log("note", sys.argv[2])
run.parent.log("share", 0.25)
open(sys.argv[1], "w").write(sys.argv[2])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def pipeline(workspace: Workspace, tmp_path: Path) -> Pipeline:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "fail.py").write_text(f"raise SystemExit({HURT!r})")
    model = PipelineData("model")
    train = PythonScriptStep(
        "train.py", name="train & test", source_directory=str(tmp_path),
        arguments=[model, PipelineParameter("note", HURT)], outputs=[model],
    )  # fmt: skip
    fail = PythonScriptStep("fail.py", name="fail", source_directory=str(tmp_path), inputs=[model])
    after = PythonScriptStep("fail.py", name="after", source_directory=str(tmp_path))
    after.run_after(fail)
    return Pipeline(workspace, [train, fail, after], name="seen")


def _run(pipeline: Pipeline, workspace: Workspace) -> PipelineRun:
    with pytest.raises(RunFailedError):
        run_pipeline(pipeline, {})
    return PipelineRun.get(workspace, RunStore(workspace.state).roots()[0].run_id)


def _html(run: PipelineRun, opened: list[str] | None = None) -> str:
    shown = {"dag_id": "d", "run_id": "r", "run": run_view(run, opened), "nonce": "n"}
    return _templates.get_template("run.html").render(shown)


def test_steps_come_in_the_pipelines_order_and_those_that_failed_are_open(pipeline, workspace):
    view = run_view(_run(pipeline, workspace))
    assert [(step["key"], step["state"], "is_open" in step) for step in view["steps"]] == [
        ("train_test", "completed", False),
        ("fail", "failed", True),
        ("after", "not run", False),
    ]
    assert view["states"] == {"completed": 1, "failed": 1, "not run": 1}
    assert view["is_over"]


def test_an_open_step_tells_its_metrics_its_outputs_and_what_it_depends_on(pipeline, workspace):
    train = run_view(_run(pipeline, workspace), ["train_test"])["steps"][0]
    assert [(metric["name"], metric["value"]) for metric in train["metrics"]] == [("loss", "0.2"), ("note", HURT)]
    assert (train["metrics"][0]["chart"]["low"], train["metrics"][0]["chart"]["high"]) == ("0.2", "1")
    assert [(output["name"], output["files"]) for output in train["outputs"]] == [("model", "1")]
    assert {"field": "argument 2", "now": "output 'model'", "change": ""} in train["fields"]


def test_the_run_tells_what_its_steps_logged_for_it_and_nothing_is_read_from_very_large_files(
    pipeline, workspace, monkeypatch
):
    run = _run(pipeline, workspace)
    assert [(metric["name"], metric["value"]) for metric in run_view(run)["metrics"]] == [("share", "0.25")]
    monkeypatch.setattr(run_view_module, "_MOST_EVENT_BYTES", 10)
    view = run_view(run, ["train_test"])
    assert (view["metrics"], view["steps"][0]["metrics"]) == ([], [])


def test_a_reused_step_leads_to_the_run_that_made_its_result(pipeline, workspace):
    first = _run(pipeline, workspace)
    runs = RunStore(workspace.state)
    runs.update(first.record, origin={"kind": "airflow", "dag_id": "a dag", "run_id": "first+run/2"})
    again = _run(pipeline, workspace)
    train = run_view(again, ["train_test"])["steps"][0]
    assert (train["state"], train["origin"]["dag_id"], train["origin"]["run_id"]) == ("reused", "a dag", "first+run/2")
    assert train["metrics"], "what the run that made the result has logged"
    assert 'href="../../a%20dag/runs/first%2Brun/2"' in _html(again, ["train_test"])


def test_the_origin_of_a_result_whose_run_is_gone_is_only_named(pipeline, workspace):
    first = _run(pipeline, workspace)
    again = _run(pipeline, workspace)
    workspace.state.objects.drop(f"runs/{first.id}")
    origin = run_view(again, ["train_test"])["steps"][0]["origin"]
    assert origin == {"title": f"{first.id[:8]}.train_test.1", "dag_id": "", "run_id": ""}


def test_what_scripts_and_people_wrote_is_text_and_never_a_part_of_the_page(pipeline, workspace):
    html = _html(_run(pipeline, workspace), ["train_test", "fail"])
    assert HURT not in html
    assert html.count("&lt;script&gt;alert") >= 3  # the parameter, the metric, the error
    assert html.count("<script") == 1


def test_every_route_asks_who_calls():
    assert {route.path for route in app.routes} == {"/dags/{dag_id}/runs/{run_id}"}
    asked = [dependency.dependency.__qualname__ for dependency in app.router.dependencies]
    assert asked == ["requires_access_dag.<locals>.inner"] * 4


# ---- how far


def _running(workspace: Workspace) -> tuple[PipelineRun, Path]:
    runs = RunStore(workspace.state)
    runs.put(RunRecord("0" * 32, "p", "p", "e", status=RunStatus.RUNNING, steps=("work", "next"), origin={"kind": "x"}))
    runs.put(RunRecord(f"{'0' * 32}.work.1", "work", "p", "e", status=RunStatus.RUNNING, key="work", started=1.0))
    return PipelineRun.get(workspace, "0" * 32), Path(runs.folder(f"{'0' * 32}.work.1")) / "events.jsonl"


COPY = {"files": 3, "all_files": 7, "bytes": 2**20, "all_bytes": 4 * 2**20, "rate": 2.0**20}
SCORING = {
    "done": 1250, "all": 5000, "kept": 250, "failed": 2, "retried": 1, "queued": 3748, "rate": 125.0, "eta": 30.0,
    "workers": [["process000", "running", 1.5], ["process001", "starting", 0.2]], "nodes": [],
}  # fmt: skip
SCORED = (
    "1,250 of 5,000 mini-batches · 250 by an earlier try · 2 failed · 1 retried · 3,748 queued · 125.0/s · 30.0 s left"
)


@pytest.mark.parametrize(
    ("event", "share", "facts"),
    [
        (COPY, 0.25, "3 of 7 files · 1.0 MiB of 4.0 MiB · 1.0 MiB/s · 3.0 s left"),
        (SCORING, 0.25, SCORED),
    ],
    ids=["a copy", "a parallel run"],
)
def test_a_step_that_runs_tells_how_far_it_is(workspace, event, share, facts):
    run, path = _running(workspace)
    events.append(str(path), events.OWN, [{"kind": "progress", **COPY, "bytes": 0}, {"kind": "progress", **event}])
    view = run_view(run)
    work = view["steps"][0]
    assert work["progress"]["done"] / work["progress"]["all"] == share
    assert " · ".join(work["progress"]["facts"]) == facts
    assert view["steps"][1]["state"] == "waiting"
    html = _html(run)
    assert "data-live" in html
    assert facts in html
    assert "&" not in facts


def test_the_workers_of_a_parallel_run_are_shown_with_what_they_do(workspace):
    run, path = _running(workspace)
    events.append(str(path), events.OWN, [{"kind": "progress", **SCORING}])
    assert '<td>process001</td><td>starting</td><td class="number">0.2 s</td>' in _html(run)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"bytes": "many", "all_bytes": 1, "rate": 1},
        {"done": None, "all": 3},
        {**SCORING, "workers": 7},
        {**SCORING, "workers": [["one", "two"]]},
        {**SCORING, "rate": []},
        {**COPY, "rate": float("inf"), "bytes": float("nan")},
    ],
)
def test_an_event_that_is_no_progress_is_passed_over(workspace, event):
    run, path = _running(workspace)
    path.write_text(json.dumps({"v": 1, "t": 0.0, "run": "", "kind": "progress", **event}) + "\n")
    _html(run, ["work"])


def test_the_latest_progress_is_found_at_the_end_of_a_long_file(workspace):
    run, path = _running(workspace)
    events.append(str(path), events.OWN, [{"kind": "metric", "name": "loss", "value": 0.5}] * 5000)
    events.append(str(path), events.OWN, [{"kind": "progress", **COPY}])
    assert run_view(run)["steps"][0]["progress"]["facts"][0] == "3 of 7 files"


def test_a_copy_of_nothing_is_no_division_by_zero():
    assert progress_view({**COPY, "bytes": 0, "all_bytes": 0, "rate": 0})["all"] > 0


# ---- charts


def test_a_chart_is_a_line_from_the_first_to_the_last_value():
    line = chart([0, 5, 10])
    assert line == {"points": "0.0,40.0 120.0,20.0 240.0,0.0", "low": "0", "high": "10", "count": "3"}


@pytest.mark.parametrize("values", [[], [1.0], ["a", "b"], [float("nan"), float("inf"), 1.0], [None, 2]])
def test_what_makes_no_line_has_no_chart(values):
    assert chart(values) is None


def test_the_same_value_again_and_again_is_a_line_as_well():
    line = chart([3, 3])
    assert line is not None
    assert line["points"] == "0.0,40.0 240.0,40.0"


def test_very_many_values_are_drawn_with_few_points_and_end_with_the_last():
    line = chart(list(range(100_001)))
    assert line is not None
    assert len(line["points"].split()) <= 402
    assert line["points"].endswith("240.0,0.0")
    assert line["count"] == "100,001"
