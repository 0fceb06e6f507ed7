from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.sample import Refrain
from refrain import Dataset, Model, Workspace

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


def try_out(*words: str) -> subprocess.CompletedProcess[str]:
    """Call the command as a person does: the script runs in a process that has its terminal."""
    command = [sys.executable, "-m", "refrain.cli", "parallel", "try", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def script(project: Path, code: str = SCRIPT) -> str:
    (project / "scoring").mkdir(exist_ok=True)
    (project / "scoring" / "score.py").write_text(code)
    return "scoring/score.py"


def test_the_script_finds_registered_models(project: Path, data: Path) -> None:
    (project / "net.txt").write_text("weights")
    Model.register(Workspace(), project / "net.txt", "net")
    code = """
from azureml.core.model import Model
def init():
    global text
    text = open(Model.get_model_path("net")).read()
def run(mini_batch):
    return [text for path in mini_batch]
"""
    tried = try_out(script(project, code), str(data), "--count", "1")
    assert tried.returncode == 0, tried.stderr
    assert "weights" in tried.stdout
    assert not (project / "scoring" / "azureml-models").exists()
    broken = try_out(script(project, code.replace('"net"', '"nett"')), str(data))
    assert "ModelNotFoundException: Unknown model 'nett'. Known: net. Did you mean 'net'?" in broken.stderr


def test_the_first_mini_batches_are_run_in_the_foreground(project: Path, data: Path) -> None:
    tried = try_out(script(project), str(data), "--count", "2")
    out = tried.stdout
    assert tried.returncode == 0, tried.stderr
    assert out.startswith("init\n--- mini-batch 0 (")
    assert "\nf00\nf01\n" in out
    assert "\nf19\n" in out
    assert "f20" not in out
    assert out.endswith("shutdown\n2 mini-batches, 0 items without a result\n")
    assert sorted(path.name for path in (project / "scoring").iterdir() if path.suffix) == ["score.py"]


def test_what_run_raises_is_seen_with_its_place(project: Path, data: Path) -> None:
    path = script(project, "def run(mini_batch):\n    raise ValueError('bad pixel')")
    tried = try_out(path, str(data))
    assert tried.returncode == 1
    error = tried.stderr
    assert "ValueError: bad pixel" in error
    assert "score.py" in error


def test_items_without_a_result_are_counted(project: Path, data: Path) -> None:
    path = script(project, "def run(mini_batch):\n    return None")
    tried = try_out(path, str(data), "--count", "1", "--mini-batch-size", "4")
    assert tried.returncode == 1
    out = tried.stdout
    assert "run() returned a NoneType; return a list" in out
    assert "1 mini-batches, 4 items without a result" in out


def test_a_file_can_be_read_as_a_table_and_arguments_reach_the_script(project: Path) -> None:
    (project / "table.csv").write_text("a,b\n1,x\n2,y\n")
    path = script(project, "import sys\ndef run(mini_batch):\n    return [sys.argv[-1]] * len(mini_batch)")
    tried = try_out("--table", path, "table.csv", "--", "--model", "iris")
    assert tried.returncode == 0, tried.stderr
    out = tried.stdout
    assert "rows 1 to 2 of " in out
    assert "\niris\niris\n2 results in " in out


def test_a_registered_dataset_is_found_by_its_name(project: Path, data: Path) -> None:
    Dataset.File.from_files(str(data)).register(Workspace.from_config(), "images")
    tried = try_out(script(project), "images:1", "--count", "1")
    assert tried.returncode == 0, tried.stderr
    assert "\nf09\n" in tried.stdout


def test_a_script_that_is_not_there_is_named(project: Path, refrain: Refrain, data: Path) -> None:
    called = refrain("parallel", "try", "score.py", str(data))
    assert (called.code, called.err) == (2, "refrain: There is no entry script 'score.py'.\n")


def test_data_that_is_not_there_is_named(project: Path, refrain: Refrain) -> None:
    called = refrain("parallel", "try", script(project), "nothing")
    assert called.code == 2
    assert "'nothing'" in called.err
