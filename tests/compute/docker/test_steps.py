"""Steps on a compute target that is a Docker engine: what a process of this machine gets, a container gets as well."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.docker_engine import DockerEngine
from fakes.fuse import need_fuse
from fakes.project import COPIES, Project
from fakes.remote_stores import S3Server, s3_server
from refrain import Dataset, Datastore, Environment, OutputFileDatasetConfig, PipelineData, RunConfiguration
from refrain.execution.stage import sweep

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

TELLS = """
    import os, sys
    from refrain import Run
    Run.get_context().log("answer", 42)
    os.makedirs("outputs", exist_ok=True)
    open("outputs/kept.txt", "w").write("kept")
    open(sys.argv[1], "w").write("made in " + ("a container" if os.getpid() < 100 else "no container"))
    print("told")
"""
READS = """
    import os, sys
    found = [os.path.join(p, n) for p, _, names in os.walk(sys.argv[1], followlinks=True) for n in names]
    open(sys.argv[2], "w").write("".join(open(path).read() for path in sorted(found) or [sys.argv[1]]))
"""
NOTES = """
    import sys
    open(sys.argv[1], "w").write(open("/note").read())
"""
WRITES_BELOW = """
    import os, sys
    os.makedirs(sys.argv[1], exist_ok=True)
    open(os.path.join(sys.argv[1], "made"), "w").write("made")
"""


@pytest.fixture
def box(engine: DockerEngine, project: Project) -> str:
    return engine.target(project.state)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two files, one of which is elsewhere.

    ::

        raw/a.csv
        raw/deep/b.csv -> ../../far/b.csv
    """
    raw = tmp_path / "raw"
    (raw / "deep").mkdir(parents=True)
    (raw / "a.csv").write_text("a\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "b.csv").write_text("b\n")
    (raw / "deep" / "b.csv").symlink_to("../../far/b.csv")
    return raw


def _reads(project: Project, box: str, given: Any) -> str:
    out = PipelineData("out")
    ran = project.run(project.step("read", READS, [given, out], inputs=[given], outputs=[out], compute_target=box))
    assert ran.status == "Completed", ran.outcome.errors
    return ran.text("read", "out")


def test_a_step_in_a_container_leaves_what_it_would_leave_here(
    project: Project, box: str, engine: DockerEngine
) -> None:
    made, copied = PipelineData("made"), PipelineData("copied")
    tell = project.step("tell", TELLS, [made], compute_target=box)
    copy = project.step("copy", COPIES, [made, copied], inputs=[made], compute_target=box)

    ran = project.run(tell, copy)

    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("copy", "copied") == "made in a container"
    assert ran.path("copy", "copied").stat().st_uid == os.getuid()
    assert ran.heard.lines == ["told"]
    folder = ran.runs.files(ran.step("tell").run_id).folder
    assert (folder / "artifacts" / "outputs" / "kept.txt").read_text() == "kept"
    assert '"answer"' in (folder / "events.jsonl").read_text()
    assert project.leftovers() == []
    assert engine.containers() == []
    assert project.run(tell, copy).reused() == ["copy", "tell"]


def test_another_image_under_the_same_name_lets_the_step_run_again(project: Project, engine: DockerEngine) -> None:
    name = engine.image_with("first")
    box = engine.target(project.state, image=name)
    step = project.step("note", NOTES, [PipelineData("out")], compute_target=box)
    assert project.run(step).text("note", "out") == "first"
    assert project.run(step).reused() == ["note"]

    engine.image_with("second", name)
    ran = project.run(step)
    engine.remove_image(name)

    assert ran.text("note", "out") == "second"
    assert "image sha256:" in ran.step("note").decision["sentence"]


def test_the_image_of_the_environment_rules_over_that_of_the_target(
    project: Project, box: str, engine: DockerEngine
) -> None:
    name = engine.image_with("of the environment")
    config = RunConfiguration()
    config.environment = Environment.from_docker_image("noted", name)
    ran = project.run(project.step("note", NOTES, [PipelineData("out")], compute_target=box, runconfig=config))
    engine.remove_image(name)
    assert ran.text("note", "out") == "of the environment"


def test_an_environment_that_is_a_dockerfile_is_built_once(project: Project, box: str, engine: DockerEngine) -> None:
    config = RunConfiguration()
    config.environment = Environment.from_dockerfile(
        "built", f"FROM {engine.image}\nRUN [\"python\", \"-c\", \"open('/note', 'w').write('{project.folder}')\"]\n"
    )
    step = project.step("note", NOTES, [PipelineData("out")], compute_target=box, runconfig=config)

    first, second = project.run(step), project.run(step, force=True)

    assert first.text("note", "out") == str(project.folder)
    assert sum("building the image refrain-env:" in note for note in first.heard.notes) == 1
    assert not any("building the image" in note for note in second.heard.notes)


def test_a_dockerfile_that_cannot_be_built_fails_the_step_with_what_the_engine_said(
    project: Project, box: str, engine: DockerEngine
) -> None:
    config = RunConfiguration()
    config.environment = Environment.from_dockerfile("broken", f'FROM {engine.image}\nRUN ["python", "-c", "1/0"]\n')
    ran = project.run(project.step("note", NOTES, [PipelineData("out")], compute_target=box, runconfig=config))
    assert "The image of the environment cannot be built: " in ran.error("note")
    assert "ZeroDivisionError" in ran.error("note")
    assert project.leftovers() == []


def test_the_interpreter_in_the_image_counts(project: Project, engine: DockerEngine) -> None:
    step = project.step("write", arguments=[PipelineData("out")], compute_target=engine.target(project.state))
    project.run(step)
    engine.target(project.state, python="/usr/bin/python")
    ran = project.run(step)
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.reused() == []
    assert "/usr/bin/python of image sha256:" in ran.step("write").decision["sentence"]


def test_packages_of_an_environment_are_put_into_its_image_once(
    project: Project, box: str, engine: DockerEngine, tmp_path: Path
) -> None:
    wheels = engine.image_with_wheel("refrain_trial", "1.2")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("--no-index\n--find-links=/wheels\nrefrain-trial==1.2\n")
    config = RunConfiguration()
    config.environment = Environment.from_docker_image("packed", wheels, pip_requirements=str(requirements))
    code = "import refrain_trial, sys\nopen(sys.argv[1], 'w').write(refrain_trial.VERSION)"
    step = project.step("import", code, [PipelineData("out")], compute_target=box, runconfig=config)

    first, second = project.run(step), project.run(step, force=True)
    engine.remove_image(wheels)

    assert first.status == "Completed", first.outcome.errors
    assert first.text("import", "out") == "1.2"
    assert any("building the image refrain-env:" in note for note in first.heard.notes)
    assert not any("building the image" in note for note in second.heard.notes)


def test_an_image_that_is_not_there_fails_the_step_before_anything_is_started(
    project: Project, engine: DockerEngine
) -> None:
    box = engine.target(project.state, image="nobody/has-this:1")
    ran = project.run(project.step("note", NOTES, [PipelineData("out")], compute_target=box))
    assert "There is no image 'nobody/has-this:1' on the Docker engine, and it is not fetched" in ran.error("note")
    assert project.leftovers() == []


def test_an_engine_that_does_not_answer_fails_the_step(project: Project, engine: DockerEngine) -> None:
    box = engine.target(project.state, engine="unix:///no/such/docker.sock")
    ran = project.run(project.step("note", NOTES, [PipelineData("out")], compute_target=box))
    assert "The Docker engine at unix:///no/such/docker.sock does not answer" in ran.error("note")


def test_a_step_that_needs_too_much_memory_says_so(project: Project, engine: DockerEngine) -> None:
    box = engine.target(project.state, memory="64m")
    ran = project.run(project.step("grow", "x = b'1' * 500_000_000; print(len(x))", compute_target=box))
    assert ran.error("grow").startswith("Step 'grow' failed: its container needed more memory than the 64m of its")
    assert engine.containers() == []


@pytest.mark.parametrize("how", ["mount", "download", "mount at a path", "download to a path", "absolute path"])
def test_files_are_there_however_they_are_asked_for(project: Project, box: str, raw: Path, how: str) -> None:
    named = Dataset.File.from_files(str(raw)).as_named_input("raw")
    given = {
        "mount": named.as_mount(),
        "download": named.as_download(),
        "mount at a path": named.as_mount("data/raw"),
        "download to a path": named.as_download("data/raw"),
        "absolute path": named.as_mount("/data/raw"),
    }[how]
    assert _reads(project, box, given) == "a\nb\n"


@pytest.mark.parametrize("mode", ["as_mount", "as_download"])
def test_a_reference_to_a_datastore_is_there(project: Project, box: str, raw: Path, mode: str) -> None:
    store = Datastore.register_folder(project.workspace, "files", raw.parent)
    assert _reads(project, box, getattr(store.path("raw"), mode)()) == "a\nb\n"


@pytest.mark.parametrize("count", [3, 40])
def test_files_that_are_put_together_are_there(project: Project, box: str, tmp_path: Path, count: int) -> None:
    (tmp_path / "many").mkdir()
    for number in range(count):
        (tmp_path / "many" / f"{number:02}.csv").write_text(f"{number}\n")
    (tmp_path / "many" / "left-out.txt").write_text("no\n")
    files = Dataset.File.from_files(str(tmp_path / "many" / "*.csv")).as_named_input("many").as_mount()
    assert _reads(project, box, files) == "".join(f"{number}\n" for number in range(count))


def test_outputs_are_uploaded_and_mounted(project: Project, box: str) -> None:
    up = OutputFileDatasetConfig("up").as_upload()
    down = OutputFileDatasetConfig("down").as_mount()
    for name, output in (("uploads", up), ("mounts", down)):
        ran = project.run(project.step(name, WRITES_BELOW, [output], compute_target=box))
        assert ran.status == "Completed", ran.outcome.errors
        (path,) = [path for path in ran.path(name, output.name).rglob("*") if path.is_file()]
        assert (path.read_text(), path.stat().st_uid) == ("made", os.getuid())


def test_an_input_cannot_be_written_to(project: Project, box: str, raw: Path) -> None:
    files = Dataset.File.from_files(str(raw)).as_named_input("raw").as_mount()
    code = "import sys\nopen(sys.argv[1] + '/new', 'w')"
    ran = project.run(project.step("spoil", code, [files], inputs=[files], compute_target=box))
    assert "Read-only file system" in ran.error("spoil")
    assert not (raw / "new").exists()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def objects(project: Project, server: S3Server, raw: Path, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    project.state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
    store = Datastore.get(project.workspace, "objects")
    store.upload(str(raw), "raw", overwrite=True, show_progress=False)
    return store


def test_remote_files_come_through_the_worker_s_cache(project: Project, box: str, objects: Datastore) -> None:
    for given in (objects.path("raw").as_mount(), objects.path("raw").as_download()):
        assert _reads(project, box, given) == "a\nb\n"
    assert len([path for path in (project.folder / "cache/data/objects").glob("??/*") if path.is_file()]) == 2


def test_remote_files_are_seen_through_a_lazy_mount(
    project: Project, box: str, objects: Datastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_fuse()
    monkeypatch.setenv("REFRAIN_MOUNT", "fuse")
    assert _reads(project, box, objects.path("raw").as_mount()) == "a\nb\n"
    assert project.leftovers() == []


def test_what_neither_the_engine_nor_its_guard_could_end_the_next_run_ends(
    project: Project, box: str, engine: DockerEngine
) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fakes.project import Heard, Project
from refrain.compute.watchman import watchman

class Killing(Heard):
    def line(self, key, line):
        watchman()._guard.kill()
        os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path({str(project.folder)!r}))
sleeps = "import time; print('sleeping', flush=True); time.sleep(600)"
project.run(project.step("sleep", sleeps, compute_target={box!r}), listener=Killing())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    assert len(engine.containers()) == 1

    (run_id,) = sweep(project.state)

    assert engine.containers() == []
    assert project.leftovers() == []
    assert run_id.endswith(".sleep.1")


def test_while_the_engine_cannot_be_asked_what_a_step_left_stays(project: Project, engine: DockerEngine) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fakes.project import Heard, Project

class Killing(Heard):
    def line(self, key, line):
        os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path({str(project.folder)!r}))
sleeps = "import time; print('sleeping', flush=True); time.sleep(600)"
project.run(project.step("sleep", sleeps, compute_target="box"), listener=Killing())
"""
    engine.target(project.state)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    _until(lambda: engine.containers() == [])  # its guard has done that

    engine.target(project.state, engine="unix:///no/such/docker.sock")
    assert sweep(Project(project.folder).state) == []
    assert project.leftovers() != []
    engine.target(project.state)
    assert len(sweep(Project(project.folder).state)) == 1
    assert project.leftovers() == []


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert holds()
