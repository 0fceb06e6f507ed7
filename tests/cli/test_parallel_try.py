from __future__ import annotations

from pathlib import Path

import pytest

from cli.sample import Refrain
from refrain import Dataset, Workspace

SCRIPT = """
import argparse, os
from azureml_user.parallel_run import EntryScript
def init():
    EntryScript().logger.info("begun")
    print("init")
def run(mini_batch):
    return [os.path.basename(path) for path in mini_batch]
def shutdown():
    print("shutdown")
"""


@pytest.fixture
def data(project: Path) -> Path:
    folder = project / "images"
    folder.mkdir()
    for number in range(25):
        (folder / f"f{number:02}").touch()
    return folder


def script(project: Path, code: str = SCRIPT) -> str:
    (project / "scoring").mkdir(exist_ok=True)
    (project / "scoring" / "score.py").write_text(code)
    return "scoring/score.py"


def test_the_first_mini_batches_are_run_in_the_foreground(
    project: Path, refrain: Refrain, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    called = refrain("parallel", "try", script(project), str(data), "--count", "2")
    out = capfd.readouterr().out
    assert called.code == 0
    assert out.startswith("init\n--- mini-batch 0 (")
    assert "\nf00\nf01\n" in out
    assert "\nf19\n" in out
    assert "f20" not in out
    assert out.endswith("shutdown\n2 mini-batches, 0 items without a result\n")
    assert sorted(path.name for path in (project / "scoring").iterdir() if path.suffix) == ["score.py"]


def test_what_run_raises_is_seen_with_its_place(
    project: Path, refrain: Refrain, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = script(project, "def run(mini_batch):\n    raise ValueError('bad pixel')")
    assert refrain("parallel", "try", path, str(data)).code == 1
    error = capfd.readouterr().err
    assert "ValueError: bad pixel" in error
    assert "score.py" in error


def test_items_without_a_result_are_counted(
    project: Path, refrain: Refrain, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = script(project, "def run(mini_batch):\n    return None")
    assert refrain("parallel", "try", path, str(data), "--count", "1", "--mini-batch-size", "4").code == 1
    out = capfd.readouterr().out
    assert "run() returned a NoneType; return a list" in out
    assert "1 mini-batches, 4 items without a result" in out


def test_a_file_can_be_read_as_a_table_and_arguments_reach_the_script(
    project: Path, refrain: Refrain, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "table.csv").write_text("a,b\n1,x\n2,y\n")
    path = script(project, "import sys\ndef run(mini_batch):\n    return [sys.argv[-1]] * len(mini_batch)")
    assert refrain("parallel", "try", path, "table.csv", "--table", "--", "--model", "iris").code == 0
    out = capfd.readouterr().out
    assert "rows 1 to 2 of " in out
    assert "\niris\niris\n2 results in " in out


def test_a_registered_dataset_is_found_by_its_name(
    project: Path, refrain: Refrain, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Dataset.File.from_files(str(data)).register(Workspace.from_config(), "images")
    assert refrain("parallel", "try", script(project), "images:1", "--count", "1").code == 0
    assert "\nf09\n" in capfd.readouterr().out


def test_a_script_that_is_not_there_is_named(project: Path, refrain: Refrain, data: Path) -> None:
    called = refrain("parallel", "try", "score.py", str(data))
    assert (called.code, called.err) == (2, "refrain: There is no entry script 'score.py'.\n")


def test_data_that_is_not_there_is_named(project: Path, refrain: Refrain) -> None:
    called = refrain("parallel", "try", script(project), "nothing")
    assert called.code == 2
    assert "'nothing'" in called.err
