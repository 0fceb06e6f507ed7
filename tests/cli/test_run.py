from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.sample import PIPELINE, Called, Refrain, write

PATHS = """
from refrain import *

workspace = Workspace.from_config()
pair = (PipelineParameter("p", DataPath(Datastore(workspace), "old.txt")), DataPathComputeBinding())
out = PipelineData("out")
step = PythonScriptStep("show.py", "show", [pair, out], inputs=[pair], outputs=[out], source_directory="show")
pipeline = Pipeline(workspace, [step])
"""


def _states(called: Called) -> dict[str, str]:
    return {step["key"]: step["state"] for step in called.document["steps"]}


def test_a_second_run_reuses_everything_and_says_what_that_saved(refrain: Refrain, project: Path) -> None:
    first = refrain("run", "pipeline.py", "--json")
    second = refrain("run", "pipeline.py", "--json")
    assert (first.code, _states(first)) == (0, {"prepare": "completed", "train": "completed"})
    assert (second.code, _states(second)) == (0, {"prepare": "reused", "train": "reused"})
    assert second.document["seconds_saved"] > 0
    assert second.document["steps"][0]["reused_from"] == first.document["steps"][0]["run_id"]


def test_progress_goes_to_standard_error_alone(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py")
    assert called.out == ""
    assert "prepare | preparing" in called.err
    assert "retrain: Completed in" in called.err


def test_a_parameter_gets_the_type_of_its_default(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--param", "alpha=1", "--json")
    assert called.document["parameters"] == {"alpha": 1.0}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("alpha=much", "Pipeline parameter 'alpha' is a number, not 'much'."),
        ("alfa=1", "Did you mean 'alpha'?"),
        ("alpha", "--param 'alpha' has no value; write --param alpha=VALUE."),
    ],
)
def test_a_wrong_parameter_is_wrong_use(refrain: Refrain, project: Path, word: str, says: str) -> None:
    called = refrain("run", "pipeline.py", "--param", word)
    assert called.code == 2
    assert says in called.err
    assert refrain("runs", "--json").document["runs"] == []


def test_a_failed_run_ends_with_1_the_log_s_tail_and_the_next_command(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--param", "alpha=-1", "--json")
    assert (called.code, called.document["status"]) == (1, "Failed")
    assert "Step 'train' failed: its script exited with code 3." in called.err
    assert "    alpha must not be negative\n" in called.err
    assert f"Look further: refrain runs show {called.document['run_id'][:8]}\n" in called.err
    assert called.document["steps"][1]["error"].startswith("Step 'train' failed")


def test_a_parameter_that_names_data_is_given_as_text(refrain: Refrain, project: Path) -> None:
    write(project, "paths.py", PATHS)
    write(project, "show/show.py", 'import sys\nopen(sys.argv[2], "w").write(open(sys.argv[1]).read())')
    write(project, ".refrain/workspace/datastores/workspacefilestore/new.txt", "new")
    called = refrain("run", "paths.py", "--param", "p=workspacefilestore/new.txt", "--json")
    assert called.document["parameters"] == {"p": "workspacefilestore/new.txt"}
    uri = called.document["steps"][0]["outputs"]["out"]["uri"]
    assert Path(uri.removeprefix("file://")).read_text() == "new"


def test_a_parameter_that_names_no_data_is_wrong_use(refrain: Refrain, project: Path) -> None:
    write(project, "paths.py", PATHS)
    write(project, "show/show.py", "")
    called = refrain("run", "paths.py", "--param", "p=nowhere/new.txt")
    assert called.code == 2
    assert "Pipeline parameter 'p': Unknown datastore 'nowhere'. Known: workspaceblobstore" in called.err


def test_force_without_a_step_runs_everything(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    called = refrain("run", "--force", "pipeline.py", "--json")
    assert _states(called) == {"prepare": "completed", "train": "completed"}


def test_force_runs_the_named_step(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    called = refrain("run", "pipeline.py", "--force", "train", "--json")
    assert _states(called) == {"prepare": "reused", "train": "completed"}


def test_an_unknown_step_is_wrong_use(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--force", "trian")
    assert called.code == 2
    assert "There is no step 'trian'. Known: prepare, train. Did you mean 'train'?" in called.err


def test_no_jobs_are_wrong_use(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--jobs", "0")
    assert (called.code, called.err) == (2, "refrain: jobs must be 1 or more, not 0.\n")


def test_an_experiment_s_name_is_checked_and_kept(refrain: Refrain, project: Path) -> None:
    assert refrain("run", "pipeline.py", "--experiment", "two words").code == 2
    assert refrain("run", "pipeline.py", "--experiment", "trial", "--json").document["experiment"] == "trial"


def test_keep_going_runs_what_does_not_depend_on_the_failure(refrain: Refrain, project: Path) -> None:
    more = '\nlast = PythonScriptStep("ok.py", name="last", source_directory="last")\nlast.run_after(prepare)\n'
    text = PIPELINE.replace("pipeline = ", more + "pipeline = ").replace("[train]", "[train, last]")
    write(project, "three.py", text)
    write(project, "last/ok.py", "import time; time.sleep(0.2)")
    stopped = refrain("run", "three.py", "--param", "alpha=-1", "--jobs", "1", "--json")
    kept = refrain("run", "three.py", "--param", "alpha=-1", "--jobs", "1", "--keep-going", "--json")
    assert (stopped.code, kept.code) == (1, 1)
    assert _states(kept) == {"prepare": "reused", "train": "failed", "last": "completed"}
    assert _states(stopped)["last"] != "completed"


def test_a_missing_source_directory_fails_the_run(refrain: Refrain, project: Path) -> None:
    (project / "train/train.py").unlink()
    (project / "train").rmdir()
    called = refrain("run", "pipeline.py")
    assert called.code in (1, 2)
    assert "train" in called.err
    assert "Traceback" not in called.err


def test_exit_codes_and_the_document_of_a_real_process(project: Path) -> None:
    command = [sys.executable, "-m", "refrain.cli", "run", "pipeline.py", "--json"]
    good = subprocess.run(command, capture_output=True, check=False)
    bad = subprocess.run([*command, "--param", "alpha=-1"], capture_output=True, check=False)
    wrong = subprocess.run([*command, "--param", "beta=1"], capture_output=True, check=False)
    assert (good.returncode, bad.returncode, wrong.returncode) == (0, 1, 2)
    assert all(ended.stdout.startswith(b"{") for ended in (good, bad, wrong))


def test_a_detached_run_goes_on_without_the_command(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py", "--detach")
    run_id = called.out.strip()
    assert f"refrain runs show {run_id[:8]}" in called.err
    record = project / ".refrain/workspace/runs" / run_id / "run.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (record.exists() and b'"Completed"' in record.read_bytes()):
        time.sleep(0.05)
    assert _states(refrain("runs", "show", run_id, "--json")) == {"prepare": "completed", "train": "completed"}


def test_a_broken_standard_error_does_not_stop_the_run(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "refrain.cli", "run", "pipeline.py", "--json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, check=False)
    os.close(writing)
    assert ended.returncode == 0
    assert b'"Completed"' in ended.stdout
