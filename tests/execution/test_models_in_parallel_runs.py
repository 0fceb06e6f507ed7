"""Registered models in parallel runs, whose processes and tries must all be told the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project
from refrain import Dataset, Environment, Model, ModelInput, ParallelRunConfig, ParallelRunStep, PipelineData
from refrain.reuse.decision import Verdict

SCORE = """
    import os
    from azureml.core.model import Model
    def init():
        global text
        path = Model.get_model_path("net")
        assert os.path.basename(path) == "net.txt"
        text = open(path).read()
    def run(mini_batch):
        if os.path.exists(os.environ["BAD"]) and any(path.endswith("5") for path in mini_batch):
            raise ValueError("bad")
        return [f"{os.path.basename(path)}-{text}" for path in mini_batch]
"""


class Scoring:
    """A project whose one step scores six files with a model."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder)
        self.bad = folder / "bad"
        (folder / "data").mkdir()
        for number in range(6):
            (folder / "data" / f"f{number}").touch()

    def register(self, text: str) -> Model:
        path = self.project.folder / "net.txt"
        path.write_text(text)
        return Model.register(self.project.workspace, path, "net")

    def run(self, *side: Any, processes: int = 1) -> Any:
        config = ParallelRunConfig(
            environment=Environment(), entry_script="score.py", error_threshold=0, mini_batch_size=1,
            output_action="append_row", compute_target="local", node_count=1, process_count_per_node=processes,
            source_directory=self.project.source("score", SCORE), environment_variables={"BAD": str(self.bad)},
            run_max_try=1,
        )  # fmt: skip
        files = Dataset.File.from_files(str(self.project.folder / "data")).as_named_input("files")
        out = PipelineData("scores")
        return self.project.run(ParallelRunStep("score", config, [files], out, side_inputs=list(side)))

    def rows(self, ran: Any) -> list[str]:
        assert ran.status == "Completed", ran.outcome.errors
        return (ran.path("score", "scores") / "parallel_run_step.txt").read_text().split()


@pytest.fixture
def scoring(tmp_path: Path) -> Scoring:
    return Scoring(tmp_path)


def test_each_process_finds_the_model_among_the_side_inputs(scoring: Scoring) -> None:
    scoring.register("one")
    ran = scoring.run(ModelInput("net"), processes=2)
    assert scoring.rows(ran) == [f"f{number}-one" for number in range(6)]
    assert [use["how"] for use in ran.step("score").models] == ["input"]
    scoring.register("two")
    assert scoring.rows(scoring.run(ModelInput("net")))[0] == "f0-two"


def test_a_later_try_is_told_the_version_that_the_first_one_was(scoring: Scoring) -> None:
    scoring.register("one")
    scoring.bad.touch()
    assert scoring.run().status == "Failed"
    scoring.bad.unlink()
    scoring.register("two")
    again = scoring.run()
    assert scoring.rows(again) == [f"f{number}-one" for number in range(6)]
    assert [(use["asked"], use["version"]) for use in again.step("score").models] == [("latest", 1)]
    after = scoring.run()
    assert after.verdict("score") is Verdict.MODEL_CHANGED
    assert scoring.rows(after) == [f"f{number}-two" for number in range(6)]
    assert scoring.run().verdict("score") is Verdict.REUSED


def test_a_later_try_begins_anew_when_the_model_is_gone(scoring: Scoring) -> None:
    first = scoring.register("one")
    scoring.bad.touch()
    assert scoring.run().status == "Failed"
    scoring.bad.unlink()
    first.delete()
    scoring.register("two")
    again = scoring.run()
    assert scoring.rows(again) == [f"f{number}-two" for number in range(6)]
    (note,) = [note for note in again.heard.notes if "begins anew" in note]
    assert note.endswith(
        "not all of it would be made of the same: its script used version 1 of model 'net', which is gone"
    )
