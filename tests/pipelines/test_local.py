"""Runs in this process, and their options."""

from __future__ import annotations

import signal

import pytest

from fakes.project import WRITES, Heard, Project
from refrain import Pipeline, PipelineData
from refrain.errors import ParameterError, UnknownNameError, UserError
from refrain.pipelines.local import explain_pipeline, interrupted_by


def _pipeline(project: Project) -> Pipeline:
    return Pipeline(project.workspace, [project.step("write", WRITES, [PipelineData("out")])])


def test_a_pipeline_runs_and_tells_its_listener(project: Project) -> None:
    heard = Heard()
    run = _pipeline(project).run(listener=heard)
    assert run.status == "Completed"
    assert heard.ends == {"write": "Completed"}


@pytest.mark.parametrize("regenerate", [True, ["write"], ("write",)])
def test_steps_are_forced_all_or_by_name(project: Project, regenerate: object) -> None:
    pipeline = _pipeline(project)
    pipeline.run()
    heard = Heard()
    pipeline.run(regenerate_outputs=regenerate, listener=heard)
    assert heard.decisions["write"].sentence() == "runs: forced"


def test_wrong_options_are_refused_before_anything_runs(project: Project) -> None:
    pipeline = _pipeline(project)
    with pytest.raises(UserError, match="jobs must be 1 or more, not 0"):
        pipeline.run(jobs=0)
    with pytest.raises(UnknownNameError, match="There is no step 'wriet'"):
        pipeline.run(regenerate_outputs=["wriet"])
    with pytest.raises(ParameterError, match="does not exist"):
        pipeline.run({"x": 1})
    assert project.state.objects.names("runs") == []


def test_explaining_says_what_would_be_done(project: Project) -> None:
    pipeline = _pipeline(project)
    first = explain_pipeline(pipeline, {})["write"]
    pipeline.run()
    second = explain_pipeline(pipeline, {})["write"]
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    assert first.sentence() == "runs: first run"
    assert second.is_reused


def test_an_interrupt_stops_a_run_and_is_passed_on(project: Project) -> None:
    class Interrupts(Heard):
        def line(self, key: str, line: str) -> None:
            signal.raise_signal(signal.SIGTERM)

    step = project.step("slow", "import time; print(1, flush=True); time.sleep(25)")
    with interrupted_by(signal.SIGTERM), pytest.raises(KeyboardInterrupt):
        Pipeline(project.workspace, [step]).run(listener=Interrupts())
    assert project.leftovers() == []
