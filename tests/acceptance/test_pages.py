"""What a user sees of a pipeline on Airflow's own pages, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from acceptance.browser import PATIENCE_MS, chromium, signed_in
from acceptance.running_airflow import RunningAirflow
from refrain.pipelines.workspace import Workspace
from refrain.tracking.record import RunRecord, RunStore
from refrain.tracking.run_id import root_id_for

pytestmark = pytest.mark.browser

DAG_ID = "seen"
SCRIPT = """\
import pathlib, sys
print("called with", sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text("written")
"""
SOURCE = """
    from refrain import Pipeline, PipelineData, PipelineParameter, PythonScriptStep, Workspace
    from refrain_operators import pipeline_dag

    raw, scored = PipelineData("raw"), PipelineData("scored")
    fetch = PythonScriptStep(
        "write.py",
        name="fetch",
        arguments=[
            raw,
            PipelineParameter("seed", 7),
            PipelineParameter("share", 1.0),
            PipelineParameter("note", ""),
        ],
        outputs=[raw],
        source_directory={steps!r},
    )
    score = PythonScriptStep(
        "write.py",
        name="score | all",
        arguments=[
            scored,
            raw,
            PipelineParameter("loud", False),
            PipelineParameter("level", "info", affects_reuse=False),
        ],
        inputs=[raw],
        outputs=[scored],
        source_directory={steps!r},
    )
    pipeline = Pipeline(Workspace(), steps=[fetch, score], name="seen", description="A pipeline to look at")
    dag = pipeline_dag(pipeline)
"""
LIVE = """
    from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
    from refrain_operators import pipeline_dag

    rows = PipelineData("rows")
    work = PythonScriptStep("work.py", arguments=[rows], outputs=[rows], source_directory={steps!r}, allow_reuse=False)
    dag = pipeline_dag(Pipeline(Workspace(), steps=[work], name="live"))
"""
WORK = """
import pathlib, sys, time
from refrain import Run
run = Run.get_context()
for number in range(4):
    run.log("loss", 1 / (number + 1))
while not pathlib.Path({sign!r}).exists():
    time.sleep(0.1)
pathlib.Path(sys.argv[1]).write_text("rows")
"""
ORIGINAL = "first+run"  # a plus has to be escaped in addresses
SCORE = "score_all"


@pytest.fixture(scope="module")
def seen(airflow: RunningAirflow, tmp_path_factory: pytest.TempPathFactory) -> RunningAirflow:
    """The Airflow, with a pipeline that has run once."""
    steps = tmp_path_factory.mktemp("steps")
    (steps / "write.py").write_text(SCRIPT, encoding="utf-8")
    airflow.add_dag(DAG_ID, SOURCE.format(steps=str(steps)))
    airflow.client.trigger(DAG_ID, run_id=ORIGINAL)
    assert airflow.client.wait_for_run(DAG_ID, ORIGINAL)["state"] == "success"
    return airflow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for all tests of this module."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def session(browser: Browser, seen: RunningAirflow) -> Page:
    """A page that is signed in."""
    expect.set_options(timeout=PATIENCE_MS)
    return signed_in(browser, seen)


@pytest.fixture
def page(session: Page, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """The page; what it shows when a test fails is kept in the test's folder."""
    failed_before = request.session.testsfailed
    yield session
    if request.session.testsfailed > failed_before:
        session.screenshot(path=tmp_path / "page.png", full_page=True)
        print(f"{session.url} looks like {tmp_path / 'page.png'}")


def open_form(page: Page) -> Locator:
    """Open the DAG's trigger form."""
    page.goto(f"/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog")
    expect(field(form, "seed")).to_be_visible()
    return form


def field(form: Locator, name: str) -> Locator:
    """The input of a parameter."""
    return form.locator(f"input[name=element_{name}]")


def submit(form: Locator) -> str:
    """Start the run and return its id, which the page then shows."""
    form.get_by_test_id("trigger-dag-submit").click()
    form.page.wait_for_url(re.compile(r"/runs/[^/]+$"))
    return unquote(form.page.url.rpartition("/")[2])


def ended(seen: RunningAirflow, run_id: str) -> tuple[RunRecord, dict[str, RunRecord]]:
    """Wait for a run's success and return its record and those of its steps, by key."""
    assert seen.client.wait_for_run(DAG_ID, run_id)["state"] == "success"
    runs = RunStore(Workspace(seen.workspace).state)
    root_id = root_id_for(DAG_ID, run_id)
    return runs.get(root_id), {step.key: step for step in runs.latest_steps(root_id)}


def test_the_trigger_form_offers_the_parameters_with_their_types_and_uses(page: Page) -> None:
    form = open_form(page)
    for name, value in {"seed": "7", "share": "1", "note": "", "level": "info"}.items():
        expect(field(form, name)).to_have_value(value)
    assert field(form, "loud").get_attribute("type") == "checkbox"
    expect(form.locator("textarea[name=element_regenerate_outputs]")).to_have_value("false")
    expect(form.get_by_text("Used by fetch.")).to_have_count(3)
    expect(form.get_by_text("Used by score | all. Does not affect reuse.")).to_be_visible()
    expect(form.get_by_text("Run every step, whatever could be reused.")).to_be_visible()
    field(form, "seed").fill("seven")
    expect(field(form, "seed")).not_to_have_value("seven")


def test_a_run_from_the_form_has_the_entered_values(page: Page, seen: RunningAirflow) -> None:
    form = open_form(page)
    field(form, "share").fill("0.5")
    field(form, "note").fill("by hand; {{ ds }} $HOME")
    field(form, "loud").locator("xpath=ancestor::label").click()
    run, steps = ended(seen, submit(form))
    entered = {"seed": 7, "share": 0.5, "note": "by hand; {{ ds }} $HOME", "loud": True}
    assert {name: run.parameters[name] for name in entered} == entered
    changes = steps["fetch"].decision["sentence"]
    assert "share" in changes, changes
    assert "note" in changes, changes
    page.goto(f"{page.url}/tasks/fetch")
    expect(page.get_by_text("called with ['7', '0.5', 'by hand; {{ ds }} $HOME']")).to_be_visible()


def test_a_run_from_the_untouched_form_is_reused_and_leads_to_its_origin(page: Page, seen: RunningAirflow) -> None:
    run_id = submit(open_form(page))
    run, steps = ended(seen, run_id)
    assert run.parameters["note"] == ""
    original = root_id_for(DAG_ID, ORIGINAL)
    assert {key: step.reused_from for key, step in steps.items()} == {
        "fetch": f"{original}.fetch.1",
        SCORE: f"{original}.{SCORE}.1",
    }
    task = f"/dags/{DAG_ID}/runs/{run_id}/tasks/{SCORE}"
    page.goto(f"/dags/{DAG_ID}/runs/{run_id}/tasks/plan")
    expect(page.get_by_text(f"Step {SCORE} reused from {original}.{SCORE}.1")).to_be_visible()
    page.goto(f"{task}/details")
    expect(page.get_by_text("Skipped").first).to_be_visible()
    page.get_by_text("Reused from", exact=True).click()
    expect(page.get_by_text(f"Step {SCORE} runs: first run")).to_be_visible()


def test_a_task_that_ran_has_no_link_to_an_origin(page: Page) -> None:
    page.goto(f"/dags/{DAG_ID}/runs/first%2Brun/tasks/{SCORE}/details")
    expect(page.get_by_text("Extra Links")).to_be_visible()
    expect(page.get_by_text("Reused from", exact=True)).to_have_count(0)
    page.goto(f"/dags/{DAG_ID}/runs/first%2Brun/tasks/{SCORE}/xcom")
    expect(page.get_by_role("cell", name="return_value")).to_be_visible()
    expect(page.get_by_text("_link_ReusedFrom")).to_have_count(0)


def test_the_docs_tell_the_steps_and_how_to_run_them_again(page: Page) -> None:
    page.goto(f"/dags/{DAG_ID}")
    page.get_by_role("button", name="Dag Docs").click()
    docs = page.get_by_role("dialog")
    expect(docs.get_by_text("trigger the DAG with regenerate_outputs")).to_be_visible()
    assert docs.get_by_role("listitem").all_inner_texts() == [
        "fetch writes raw, uses note, seed, share",
        "score | all reads raw, writes scored, uses level, loud",
    ]
    page.goto(f"/dags/{DAG_ID}/tasks/{SCORE}")
    page.get_by_role("button", name="Documentation").click()
    expect(
        docs.get_by_text("python write.py {output:scored} {input:raw} {parameter:loud} {parameter:level}")
    ).to_be_visible()


def run_page(page: Page, dag_id: str, run_id: str) -> FrameLocator:
    """Open the tab of a run that Refrain adds."""
    page.goto(f"/dags/{dag_id}/runs/{run_id}")
    page.get_by_role("link", name="Refrain", exact=True).click()
    return page.frame_locator("iframe[title=Refrain]")


def step(frame: FrameLocator, name: str) -> Locator:
    """A step on the page of a run."""
    return frame.locator("details").filter(has=frame.locator(".name", has_text=name))


def test_the_page_of_a_run_tells_what_was_decided_and_leads_to_the_origin(page: Page, seen: RunningAirflow) -> None:
    seen.client.trigger(DAG_ID, run_id="again")
    ended(seen, "again")
    frame = run_page(page, DAG_ID, "again")
    score = step(frame, "score | all")
    expect(score.locator("summary .mark")).to_have_text("reused")
    score.locator("summary").click()
    expect(score.get_by_role("cell", name="scored", exact=True)).to_be_visible()
    score.get_by_role("link", name=f"{DAG_ID}, {ORIGINAL}").click()
    score = step(frame, "score | all")
    expect(score.locator("summary .mark")).to_have_text("completed")
    score.locator("summary").click()
    expect(score.get_by_role("row", name="argument 1 'write.py'")).to_be_visible()


def test_the_page_of_a_run_follows_it_without_being_loaded_again(
    page: Page, seen: RunningAirflow, tmp_path: Path
) -> None:
    sign = tmp_path / "go"
    (tmp_path / "work.py").write_text(WORK.format(sign=str(sign)))
    seen.add_dag("live", LIVE.format(steps=str(tmp_path)))
    run_id = seen.client.trigger("live")["dag_run_id"]
    try:
        frame = run_page(page, "live", run_id)
        work = step(frame, "work.py")
        expect(work.locator("summary .mark")).to_have_text("running")
        work.locator("summary").click()
        expect(work.get_by_role("img", name="loss: 4 values from 0.25 to 1")).to_be_visible()
    finally:
        sign.touch()
    expect(work.locator("summary .mark")).to_have_text("completed")
    expect(work.get_by_role("cell", name="rows", exact=True)).to_be_visible()  # it is still open
    expect(frame.get_by_text("Completed", exact=True)).to_be_visible()


def test_the_page_of_a_run_that_is_no_pipelines_says_so(page: Page, seen: RunningAirflow) -> None:
    page.goto(f"/refrain/dags/{DAG_ID}/runs/never")
    expect(page.get_by_text(f"Nothing is known of the run never of {DAG_ID} here.")).to_be_visible()
