"""Parallel runs by the engine: reuse, what a later try goes on with, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fakes.project import Project
from fakes.remote_stores import s3_server
from fakes.waiting import eventually
from refrain import Dataset, Environment, ParallelRunConfig, ParallelRunStep, PipelineData, PipelineParameter
from refrain.compute.processes import marked
from refrain.execution.cleaning import Cleaning, WasteKind
from refrain.storage.unfinished import UNFINISHED, unfinished
from refrain.tracking.run_files import RunFiles

SCORE = """
    import os
    from pathlib import Path
    folder = Path(os.environ["NOTES"])
    def run(mini_batch):
        with open(folder / "runs", "a") as file:
            file.writelines(os.path.basename(path) + "\\n" for path in mini_batch)
        if (folder / "slow").exists() or (folder / "bad").exists():
            import time; time.sleep(0.12)  # so long that no other mini-batch waits in the process
        if (folder / "bad").exists() and any(path.endswith("7") for path in mini_batch):
            raise ValueError("bad")
        return [os.path.basename(path) for path in mini_batch]
"""


class Scoring:
    """A project whose one step scores files."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.notes = project.folder / "notes"
        self.notes.mkdir()
        self.data = project.folder / "data"
        self.data.mkdir()
        self.names = [f"f{number:03}" for number in range(20)]
        for name in self.names:
            (self.data / name).write_text(name)

    def step(self, code: str = SCORE, inputs: list[Any] | None = None, **settings: Any) -> ParallelRunStep:
        folder = self.project.source("score", code)
        usual = {
            "environment": Environment(), "entry_script": "score.py", "error_threshold": 0, "mini_batch_size": 2,
            "output_action": "append_row", "compute_target": "local", "node_count": 1, "process_count_per_node": 1,
            "source_directory": folder, "environment_variables": {"NOTES": str(self.notes)}, "run_max_try": 1,
        }  # fmt: skip
        files = Dataset.File.from_files(str(self.data)).as_named_input("files")
        allow_reuse = settings.pop("allow_reuse", True)
        config = ParallelRunConfig(**{**usual, **settings})
        return ParallelRunStep("score", config, inputs or [files], PipelineData("scores"), allow_reuse=allow_reuse)

    def run(self, step: ParallelRunStep | None = None, **options: Any) -> Any:
        return self.project.run(step or self.step(), **options)

    def rows(self, ran: Any) -> list[str]:
        return (ran.path("score", "scores") / "parallel_run_step.txt").read_text().split()

    def runs(self) -> list[str]:
        """The files that run() has seen since this was last asked."""
        path = self.notes / "runs"
        seen = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return seen

    def unfinished(self) -> list[Path]:
        return [folder for folder, _ in unfinished(self.project.state.root)]


@pytest.fixture
def scoring(project: Project) -> Scoring:
    return Scoring(project)


def test_a_result_is_made_reused_and_leaves_nothing_unfinished(scoring: Scoring) -> None:
    first, second = scoring.run(), scoring.run()
    assert (first.status, scoring.rows(first), scoring.runs()) == ("Completed", scoring.names, scoring.names)
    assert second.reused() == ["score"]
    assert scoring.unfinished() == []
    assert scoring.project.leftovers() == []


def test_more_processes_and_other_patience_change_no_result(scoring: Scoring) -> None:
    scoring.run()
    other = scoring.step(
        node_count=2, process_count_per_node=3, run_invocation_timeout=600, run_max_try=5, logging_level="ERROR"
    )
    assert scoring.run(other).reused() == ["score"]


@pytest.mark.parametrize(
    "settings", [{"mini_batch_size": 5}, {"append_row_file_name": "x.txt"}, {"error_threshold": 1}]
)
def test_what_decides_the_result_makes_the_step_run(scoring: Scoring, settings: dict[str, Any]) -> None:
    scoring.run()
    assert scoring.run(scoring.step(**settings)).reused() == []


def test_how_many_processes_may_be_a_parameter_that_does_not_count(scoring: Scoring) -> None:
    step = scoring.step(process_count_per_node=PipelineParameter("processes", 1))
    scoring.run(step)
    assert scoring.run(step, parameters={"processes": 3}).reused() == ["score"]


def test_a_step_that_failed_goes_on_where_it_was(scoring: Scoring) -> None:
    (scoring.notes / "bad").touch()
    failed = scoring.run()
    assert failed.status == "Failed"
    assert len(scoring.unfinished()) == 1
    seen = scoring.runs()
    (scoring.notes / "bad").unlink()
    again = scoring.run()
    assert (again.status, scoring.rows(again)) == ("Completed", scoring.names)
    assert scoring.runs() == scoring.names[6:]
    assert seen == scoring.names[:8]
    assert scoring.unfinished() == []


def test_the_error_of_a_failed_step_has_what_failed_and_the_counts(scoring: Scoring) -> None:
    (scoring.notes / "bad").touch()
    error = scoring.run().error("score")
    assert "mini-batch 3" in error
    assert "ValueError: bad" in error
    assert "Failed: 2 items failed; error_threshold allows 0." in error.splitlines()[-1]


def test_mini_batches_of_another_size_are_not_taken_for_those_that_are_done(scoring: Scoring) -> None:
    step = scoring.step(mini_batch_size=PipelineParameter("size", 3, affects_reuse=False))
    (scoring.notes / "bad").touch()
    scoring.run(step)  # f003 to f005 are done, as mini-batch 1
    (scoring.notes / "bad").unlink()
    again = scoring.run(step, parameters={"size": 17})  # f017 to f019 are mini-batch 1
    assert scoring.rows(again) == scoring.names


def test_another_script_does_not_go_on_with_what_this_one_has_done(scoring: Scoring) -> None:
    (scoring.notes / "bad").touch()
    scoring.run()
    (scoring.notes / "bad").unlink()
    scoring.runs()
    again = scoring.run(scoring.step(f"{SCORE}\n    # another one\n"))
    assert (scoring.rows(again), scoring.runs()) == (scoring.names, scoring.names)


@pytest.mark.parametrize(("options", "settings"), [({"force": True}, {}), ({}, {"allow_reuse": False})])
def test_a_step_that_is_to_run_anew_takes_nothing_from_earlier_runs(
    scoring: Scoring, options: dict[str, Any], settings: dict[str, Any]
) -> None:
    (scoring.notes / "bad").touch()
    scoring.run(scoring.step(**settings))
    (scoring.notes / "bad").unlink()
    scoring.runs()
    again = scoring.run(scoring.step(**settings), **options)
    assert (scoring.rows(again), scoring.runs()) == (scoring.names, scoring.names)


ENGINE = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from fakes.project import Project
from fakes.remote_stores import s3_server
from fakes.waiting import eventually
from execution.test_parallel_runs import Scoring
scoring = Scoring.__new__(Scoring)
scoring.project = Project(Path({folder!r}))
scoring.notes, scoring.data = Path({folder!r}, "notes"), Path({folder!r}, "data")
print(scoring.run().status)
"""


def test_a_killed_engine_loses_what_is_in_flight_and_no_more(scoring: Scoring) -> None:
    (scoring.notes / "slow").touch()
    tests, folder = str(Path(__file__).parents[1]), str(scoring.project.folder)
    code = textwrap.dedent(ENGINE.format(tests=tests, folder=folder))
    with subprocess.Popen([sys.executable, "-c", code]) as engine:
        deadline = time.monotonic() + 60
        while len(runs_of(scoring)) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(engine.pid, signal.SIGKILL)
    (run_id,) = [path.name for path in (scoring.project.state.root / "runs").iterdir()]
    assert eventually(lambda: not marked(f"{run_id}.score.1"))
    seen = scoring.runs()
    (scoring.notes / "slow").unlink()
    again = scoring.run()
    assert (again.status, scoring.rows(again)) == ("Completed", scoring.names)
    assert len(seen) >= 8
    assert len(seen) + len(scoring.runs()) - len(scoring.names) <= 2  # the mini-batch in flight, of two files
    assert scoring.project.leftovers() == []


def runs_of(scoring: Scoring) -> list[str]:
    path = scoring.notes / "runs"
    return path.read_text().split() if path.exists() else []


def test_a_try_on_another_machine_goes_on_with_what_this_one_has_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
        monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "machine-a"))
        root = f"s3://{server.make_bucket()}/team?conn_id=lake"
        scoring = Scoring(Project(tmp_path, root))
        (scoring.notes / "bad").touch()
        assert scoring.run().status == "Failed"
        (scoring.notes / "bad").unlink()
        scoring.runs()
        monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "machine-b"))
        scoring.project = Project(tmp_path, root)
        again = scoring.run()
        assert again.status == "Completed", again.outcome.errors
        assert scoring.runs() == scoring.names[6:]
        place = scoring.project.state.stores.at(again.result("score").outputs["scores"].uri)
        place.below("parallel_run_step.txt").download(tmp_path / "rows.txt")
        assert (tmp_path / "rows.txt").read_text().split() == scoring.names
        assert list(scoring.project.state.objects.walk(UNFINISHED)) == []


def test_logs_and_progress_are_kept_with_the_run(scoring: Scoring) -> None:
    ran = scoring.run()
    files = RunFiles(scoring.project.state, ran.step("score").run_id)
    assert "artifacts/logs/job_result.txt" in [f"artifacts/{name}" for name in files.names("artifacts")]
    assert "user/stdout/000/process000.stdout.txt" in files.names("artifacts/logs")
    events = [json.loads(line) for line in (files.folder / "events.jsonl").read_text().splitlines()]
    assert [(event["kind"], event["done"], event["all"]) for event in events][-1] == ("progress", 10, 10)
    assert any("10 of 10 mini-batches" in line for line in ran.heard.lines)


def test_unfinished_work_is_cleaned_away_when_nobody_goes_on_with_it(scoring: Scoring) -> None:
    (scoring.notes / "bad").touch()
    scoring.run()
    (folder,) = scoring.unfinished()
    assert Cleaning(scoring.project.state).clean() == []
    for path in (folder, *folder.iterdir()):
        os.utime(path, (1, 1))
    (waste,) = Cleaning(scoring.project.state).clean()
    assert (waste.kind, waste.name, waste.bytes > 0) == (WasteKind.UNFINISHED, folder.name, True)
    assert list((scoring.project.state.root / UNFINISHED).glob("*")) == []


def test_a_table_is_scored_and_counts_by_its_content(scoring: Scoring) -> None:
    path = scoring.project.folder / "table.csv"
    pd.DataFrame({"a": range(500), "b": ["x y"] * 500}).to_csv(path, index=False)
    table = Dataset.Tabular.from_delimited_files(str(path)).as_named_input("table")
    step = scoring.step("def run(mini_batch):\n    return mini_batch", [table], mini_batch_size="1KB")
    first, second = scoring.run(step), scoring.run(step)
    rows = (first.path("score", "scores") / "parallel_run_step.txt").read_text().splitlines()
    assert rows == [f'{number} "x y"' for number in range(500)]
    assert second.reused() == ["score"]


def test_a_table_is_scored_by_partition_keys(scoring: Scoring) -> None:
    folder = scoring.project.folder / "stores"
    for store in (2, 5):
        (folder / str(store)).mkdir(parents=True)
        pd.DataFrame({"sold": [store, store]}).to_csv(folder / str(store) / "x.csv", index=False)
    table = Dataset.Tabular.from_delimited_files(str(folder / "*/*.csv"), partition_format="/{store}/*.csv")
    step = scoring.step(
        "def run(mini_batch):\n    return mini_batch",
        [table.as_named_input("table")],
        mini_batch_size=None,
        partition_keys=["store"],
    )
    ran = scoring.run(step)
    assert (ran.path("score", "scores") / "parallel_run_step.txt").read_text() == "2 2\n2 2\n5 5\n5 5\n"
