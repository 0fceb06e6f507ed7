"""A workspace on S3, which several machines share: what one of them makes, the others reuse and can look at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.project import COPIES, WRITES, Project
from fakes.remote_stores import S3Server, s3_server
from refrain import Experiment, Model, ModelInput, Pipeline, PipelineData, PipelineRun, Workspace
from refrain.cli import main
from refrain.errors import DataError
from refrain.execution.stage import sweep
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunStatus

SPEAKS = """
    import os, sys
    from refrain import Run
    run = Run.get_context()
    run.log("accuracy", 0.5)
    run.parent.log("best", 0.75)
    os.makedirs("outputs")
    open("outputs/note.txt", "w").write("kept")
    print("spoken")
    open(sys.argv[1], "w").write("data")
"""
ELSEWHERE = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.project import COPIES, WRITES, Project
from refrain import PipelineData
project = Project(Path({folder!r}), {root!r})
made, copied = PipelineData("made"), PipelineData("copied")
first = project.step("first", WRITES, [made, "hello"])
ran = project.run(first, project.step("second", COPIES, [made, copied], inputs=[made]))
print(ran.id, ran.status, *ran.reused())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def root(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The workspace, seen from machine A."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "machine-a"))
    return f"s3://{server.make_bucket()}/team?conn_id=lake"


@pytest.fixture
def project(root: str, tmp_path: Path) -> Project:
    return Project(tmp_path, root)


def _chain(project: Project):
    made, copied = PipelineData("made"), PipelineData("copied")
    first = project.step("first", WRITES, [made, "hello"])
    return first, project.step("second", COPIES, [made, copied], inputs=[made])


def _on_machine_b(project: Project, tmp_path: Path) -> list[str]:
    code = ELSEWHERE.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path), root=project.workspace.root)
    environment = {**os.environ, "REFRAIN_CACHE": str(tmp_path / "machine-b")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _left_here(project: Project) -> list[str]:
    """Return the files of runs and stages that this machine still has."""
    folder = project.state.root
    found = [path for part in ("runs", "staging") for path in (folder / part).rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(folder)) for path in found)


def test_what_machine_a_made_is_reused_on_machine_b(project: Project, tmp_path: Path) -> None:
    ran = project.run(*_chain(project))
    assert ran.status == "Completed", ran.outcome.errors
    run_id, *found = _on_machine_b(project, tmp_path)
    assert found == ["Completed", "first", "second"]
    step = next(iter(PipelineRun.get(project.workspace, run_id).find_step_run("second")))
    assert step.get_stdout_log() == ""
    assert step.record.reused_from == ran.result("second").run_id


def test_a_run_leaves_nothing_on_its_machine_but_caches(project: Project) -> None:
    assert project.run(*_chain(project)).status == "Completed"
    assert _left_here(project) == []


def test_logs_metrics_and_files_can_be_had_on_another_machine(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = project.run(project.step("speaks", SPEAKS, [PipelineData("out")]))
    assert ran.status == "Completed", ran.outcome.errors
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "machine-b"))
    run = PipelineRun.get(Workspace(project.workspace.root), ran.id)
    (step,) = run.get_steps()
    assert step.get_stdout_log() == "spoken\n"
    assert step.get_metrics() == {"accuracy": 0.5}
    assert run.get_metrics() == {"best": 0.75}
    assert step.get_file_names() == ["outputs/note.txt", "user_logs/std_log.txt"]
    step.download_file("outputs/note.txt", str(tmp_path / "note.txt"))
    assert (tmp_path / "note.txt").read_text() == "kept"
    run.set_tags({"stage": "prod"})
    assert PipelineRun.get(project.workspace, ran.id).tags == {"stage": "prod"}


def test_the_commands_read_a_run_from_the_url(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ran = project.run(*_chain(project))
    named = ["--workspace", project.workspace.root]
    assert main(["runs", "log", f"{ran.id}.first", *named]) == 0
    assert capsys.readouterr().out == "writing\n"
    assert main(["runs", "show", f"{ran.id}.first", "--json", *named]) == 0
    url = project.state.address.url
    assert json.loads(capsys.readouterr().out)["log"] == f"{url}/runs/{ran.id}/steps/first.1/logs/std_log.txt"
    assert main(["runs", "list", "--workspace", f"{url}-other?conn_id=lake"]) == 2
    assert "There is no workspace" in capsys.readouterr().err


MODELS = """
    import os, sys
    from refrain import Model, Run
    if sys.argv[2] == "register":
        os.makedirs("outputs/net")
        open("outputs/net/weights", "w").write("weights")
        text = Run.get_context().register_model("net", "outputs/net").id
    else:
        text = open(os.path.join(Model.get_model_path("net"), "weights")).read()
    open(sys.argv[1], "w").write(text)
"""


def test_models_are_shared_verified_and_need_no_credentials_in_a_script(project: Project, tmp_path: Path) -> None:
    made, read, asked = PipelineData("made"), PipelineData("read"), PipelineData("asked")
    ran = project.run(project.step("made", MODELS, [made, "register"]))
    assert ran.status == "Completed", ran.outcome.errors
    model = Model(Workspace(project.workspace.root), "net")
    assert (model.version, model.run_id) == (1, ran.step("made").run_id)
    assert model.url.startswith("s3://")
    declared = project.step("read", MODELS, [read, "read"], outputs=[read], inputs=[ModelInput("net")])
    undeclared = project.step("asked", MODELS, [asked, "ask"])
    ran = project.run(declared, undeclared)
    assert ran.status == "Completed", ran.outcome.errors
    for key, output in (("read", "read"), ("asked", "asked")):
        place = project.state.stores.at(ran.result(key).outputs[output].uri)
        place.download(tmp_path / key)
        assert (tmp_path / key).read_text() == "weights"
    assert project.run(declared, undeclared).reused() == ["asked", "read"]
    models = project.state.objects.walk("datastores/workspaceblobstore/models")
    (stored,) = [found for found in models if found.key.endswith("/weights")]
    project.state.objects.put(stored.key, b"WEIGHTS")
    with pytest.raises(DataError, match=r"Version 1 of model 'net' at s3://.* is not what was registered"):
        model.download(tmp_path / "damaged")


def test_a_failing_step_names_its_log_in_the_workspace(project: Project) -> None:
    ran = project.run(project.step("fails", "print('why'); raise SystemExit(3)"))
    log = f"{project.state.address.url}/runs/{ran.id}/steps/fails.1/logs/std_log.txt"
    assert f"its script exited with code 3. Its log is {log} and ends with:\n    why" in ran.error("fails")
    assert project.state.objects.get(log.removeprefix(f"{project.state.address.url}/")) == b"why\n"
    assert _left_here(project) == []


def test_the_log_of_a_step_that_runs_is_brought_to_the_workspace_again_and_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("refrain.storage.repetition.SECONDS", 0.1)
    code = """
        import os, sys, time
        print("first line", flush=True)
        while not os.path.exists(sys.argv[1]): time.sleep(0.01)
        print("second line")
    """
    runner, run_id = project.runner(project.step("talks", code, [str(tmp_path / "go")]))
    key = f"runs/{run_id}/steps/talks.1/logs/std_log.txt"
    seen: list[bytes | None] = []

    def watch() -> None:
        other = WorkspaceState(project.workspace.root)
        while not seen or seen[-1] != b"first line\n":
            time.sleep(0.02)
            seen.append(other.objects.get(key))
        (tmp_path / "go").touch()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert runner.run().status is RunStatus.COMPLETED
    watcher.join()
    assert project.state.objects.get(key) == b"first line\nsecond line\n"


def test_a_submitted_run_goes_on_in_a_process_of_its_own(project: Project) -> None:
    experiment = Experiment(project.workspace, "trial")
    run = experiment.submit(Pipeline(project.workspace, list(_chain(project))))
    assert run.wait_for_completion(show_output=False) == "Finished"
    (step,) = run.find_step_run("first")
    assert step.get_stdout_log() == "writing\n"


def test_what_a_killed_engine_left_is_swept_and_its_log_brought(project: Project, tmp_path: Path) -> None:
    code = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}]
from pathlib import Path
from fakes.project import Project
project = Project(Path({str(tmp_path)!r}), {project.workspace.root!r})
project.run(project.step("hangs", "import time; print('half', flush=True); time.sleep(600)"))
"""
    killed = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    logs = project.state.root / "runs"
    while not any(path.read_text() for path in logs.rglob("std_log.txt")):
        time.sleep(0.02)
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (run_id,) = sweep(project.state)
    assert _left_here(project) == []
    files = project.workspace.state.objects
    assert files.get(f"runs/{run_id.split('.')[0]}/steps/hangs.1/logs/std_log.txt") == b"half\n"
