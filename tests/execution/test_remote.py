"""Pipelines whose data is on a remote store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from fakes.project import COPIES, WRITES, Project
from fakes.remote_stores import FlakyFileSystem, S3Server, s3_server
from refrain import DataReference, Dataset, Datastore, OutputFileDatasetConfig, PipelineData, PipelineRun
from refrain.execution import stage as stages
from refrain.reuse.decision import Verdict
from refrain.storage.cache import MARK_NS
from refrain.storage.filling import SIGN
from refrain.storage.parts import md5_of


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(project: Project, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    project.workspace.state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
    store = Datastore.get(project.workspace, "objects")
    store.set_as_default()
    return store


def _chain(project: Project, text: str = "hello", note: str = ""):
    made, copied = PipelineData("made"), PipelineData("copied")
    first = project.step("first", WRITES + note, [made, text])
    return first, project.step("second", COPIES, [made, copied], inputs=[made])


def _bytes(project: Project, uri: str) -> bytes:
    place = project.state.stores.at(uri)
    target = project.folder / uuid.uuid4().hex
    place.download(target)
    return target.read_bytes()


def _objects(project: Project) -> list[str]:
    return project.state.stores.on("objects", "").files()


def test_a_pipeline_on_s3_runs_and_is_then_reused(project: Project, s3: Datastore, server: S3Server) -> None:
    ran = project.run(*_chain(project))
    assert ran.status == "Completed", ran.outcome.errors
    uri = ran.result("second").outputs["copied"].uri
    assert uri == f"{s3.root}/azureml/{ran.result('second').run_id}/copied"
    assert _bytes(project, uri) == b"hello"
    server.requests.clear()
    assert project.run(*_chain(project)).reused() == ["first", "second"]
    assert server.requests["GET"] == 0
    assert server.requests["PUT"] == 0
    assert project.leftovers() == []


def test_outputs_are_known_by_content_on_any_store(project: Project, s3: Datastore) -> None:
    remote = project.run(*_chain(project)).result("first").outputs["made"]
    project.workspace.set_default_datastore("workspaceblobstore")
    local = project.run(*_chain(project)).result("first").outputs["made"]
    assert remote.digest == local.digest
    assert local.uri.startswith("file://")


def test_a_step_that_makes_the_same_again_does_not_disturb_the_next(project: Project, s3: Datastore) -> None:
    project.run(*_chain(project))
    ran = project.run(*_chain(project, note="    # another comment\n"))
    assert ran.verdict("first") is Verdict.CHANGED
    assert ran.reused() == ["second"]


@pytest.mark.parametrize("change", ["delete", "replace"])
def test_an_output_that_was_lost_or_changed_is_made_again(project: Project, s3: Datastore, change: str) -> None:
    uri = project.run(*_chain(project)).result("first").outputs["made"].uri
    place = project.state.stores.at(uri)
    if change == "delete":
        place.store.remove(place.path)
    else:
        (project.folder / "other").write_text("HELLO")
        place.store.put([(project.folder / "other", place.path)])
    ran = project.run(*_chain(project))
    assert ran.status == "Completed"
    assert ran.verdict("first") is (Verdict.OUTPUT_MISSING if change == "delete" else Verdict.OUTPUT_CHANGED)
    assert ran.reused() == ["second"]
    assert _bytes(project, ran.result("first").outputs["made"].uri) == b"hello"


def test_files_on_s3_are_read_through_the_cache(project: Project, s3: Datastore, server: S3Server) -> None:
    for name in ("a.csv", "deep/b.csv", "c.txt"):
        (project.folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / "data" / name).write_text(f"{name}\n")
    s3.upload(str(project.folder / "data"), "raw", show_progress=False)
    code = """
        import os, sys
        found = sorted(os.path.join(p, n) for p, _, names in os.walk(sys.argv[1]) for n in names)
        open(sys.argv[2], "w").write("".join(open(path).read() for path in found))
    """

    def read(pattern: str, note: str = ""):
        files = Dataset.File.from_files((s3, pattern)).as_named_input("files").as_mount()
        out = PipelineData("out")
        return project.step("read", code + note, [files, out], inputs=[files], outputs=[out])

    ran = project.run(read("raw"))
    assert ran.status == "Completed", ran.outcome.errors
    assert _bytes(project, ran.result("read").outputs["out"].uri) == b"a.csv\nc.txt\ndeep/b.csv\n"
    server.requests.clear()
    ran = project.run(read("raw/**/*.csv", note="        # changed\n"))
    assert ran.status == "Completed", ran.outcome.errors
    assert server.requests["GET"] == 0
    assert _bytes(project, ran.result("read").outputs["out"].uri) == b"a.csv\ndeep/b.csv\n"
    (project.folder / "c.txt").write_text("other\n")
    s3.upload_files([str(project.folder / "c.txt")], target_path="raw", overwrite=True, show_progress=False)
    assert project.run(read("raw/**/*.csv", note="        # changed\n")).reused() == ["read"]
    ran = project.run(read("raw"))
    assert _bytes(project, ran.result("read").outputs["out"].uri) == b"a.csv\nother\ndeep/b.csv\n"


def test_nothing_new_is_read_below_a_folder_that_is_being_filled(
    project: Project, s3: Datastore, server: S3Server
) -> None:
    def run():
        data, out = DataReference(s3, "data", "in/deep").as_mount(), PipelineData("out")
        return project.run(project.step("list", WRITES, [out, data], inputs=[data], outputs=[out]))

    def write(name: str) -> None:
        place = project.state.stores.on("objects", name)
        place.store.writing(place.path).put(name.encode(), md5_of(name.encode()))

    write("in/deep/a.txt")
    assert run().status == "Completed"
    server.requests.clear()
    assert run().reused() == ["list"]
    asked = server.requests.copy()
    write(f"in/{SIGN}")
    server.requests.clear()
    assert run().reused() == ["list"]
    assert server.requests == asked
    write("in/deep/b.txt")
    error = run().error("list")
    assert error.startswith(f"Step 'list', input 'data': {s3.root}/in is not complete: a copy into it is under way")


def test_a_script_that_writes_to_its_mounted_input_fails(project: Project, s3: Datastore) -> None:
    made = PipelineData("made")
    first = project.step("first", WRITES, [made, "hello"])
    code = "import os, sys; os.chmod(sys.argv[1], 0o644); open(sys.argv[1], 'a').write('!'); open(sys.argv[2], 'w')"
    second = project.step("second", code, [made, PipelineData("out")], inputs=[made])
    ran = project.run(first, second)
    assert "Step 'second' changed its input at" in ran.error("second")
    assert project.run(*_chain(project)).status == "Completed"
    objects = (project.folder / "cache/data/objects").glob("*/*")
    assert {path.stat().st_mtime_ns for path in objects} == {MARK_NS}


def test_nothing_is_uploaded_when_an_output_is_missing(project: Project, s3: Datastore) -> None:
    step = project.step("half", WRITES, [PipelineData("there"), PipelineData("missing")])
    assert "was not written to" in project.run(step).error("half")
    assert _objects(project) == []
    assert project.leftovers() == []


def test_objects_of_a_killed_upload_are_swept(project: Project, s3: Datastore) -> None:
    """A runner that is killed after the upload and before any record leaves objects that no record names."""
    code = f"""
import os, signal
from pathlib import Path
from fakes.project import Project, WRITES
from refrain import PipelineData
from refrain.execution.commit import Commit
done = Commit.publish
Commit.publish = lambda commit: (done(commit), os.kill(os.getpid(), signal.SIGKILL))
project = Project(Path({str(project.folder)!r}))
project.run(project.step("write", WRITES, [PipelineData("out")]))
"""
    import subprocess
    import sys

    import refrain

    paths = [str(Path(__file__).parents[1]), str(Path(refrain.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    project.workspace.name  # noqa: B018  # makes the workspace
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    assert len(_objects(project)) == 1
    assert len(stages.sweep(project.state)) == 1
    assert _objects(project) == []
    assert project.leftovers() == []


def test_a_shared_place_is_merged_and_its_files_are_not_replaced(project: Project, s3: Datastore) -> None:
    def shared(name: str, file: str, text: str = "x") -> object:
        out = OutputFileDatasetConfig("out", destination=(s3, "shared")).as_upload()
        return project.step(name, f"import sys; open(sys.argv[1] + '/{file}', 'w').write('{text}')", [out])

    assert project.run(shared("one", "a")).status == "Completed"
    assert project.run(shared("two", "b")).status == "Completed"
    assert _objects(project) == ["shared/a", "shared/b"]
    third = shared("three", "b", "y")
    assert "would replace" in project.run(third).error("three")
    assert _objects(project) == ["shared/a", "shared/b"]


def test_no_credential_is_in_any_file_of_the_workspace_or_any_line(
    project: Project, s3: Datastore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "refrain")
    ran = project.run(*_chain(project))
    stored = [path for path in project.folder.rglob("*") if path.is_file()]
    assert len(stored) > 10
    assert [path for path in stored if b"top-secret-word" in path.read_bytes()] == []
    said = [repr(s3), repr(project.state.stores.on("objects", "x")), caplog.text, *ran.heard.lines, *ran.heard.notes]
    assert not any("top-secret-word" in text for text in said)


def test_a_registered_output_is_found_by_its_name(project: Project, s3: Datastore) -> None:
    out = OutputFileDatasetConfig("out", destination=(s3, "named/{run-id}")).register_on_complete("numbers")
    first = project.step("first", "import sys; open(sys.argv[1] + '/n', 'w').write('1')", [out])
    assert project.run(first).status == "Completed"
    taken = Dataset.get_by_name(project.workspace, "numbers").as_named_input("numbers").as_mount()
    look = project.step("look", "import os, sys; print(os.listdir(sys.argv[1]))", [taken], inputs=[taken])
    assert project.run(look).heard.lines == ["['n']"]


def test_the_output_of_a_run_can_be_downloaded(project: Project, s3: Datastore, tmp_path: Path) -> None:
    ran = project.run(*_chain(project))
    run = PipelineRun.get(project.workspace, ran.id)
    (step,) = run.find_step_run("first")
    data = step.get_output_data("made")
    assert (data.datastore_name, data.path_on_datastore) == ("objects", f"azureml/{step.id}/made")
    assert data.download(str(tmp_path / "back")) == 1
    assert (tmp_path / "back" / data.path_on_datastore).read_text() == "hello"


def test_a_store_that_cannot_be_reached_fails_the_step_and_says_so(
    project: Project, s3: Datastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = None
    project.state.datastores.register_url("gone", "s3://gone-bucket/x", "objects")
    Datastore.get(project.workspace, "gone").set_as_default()
    ran = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert "s3://gone-bucket/x" in ran.error("write")
    assert "top-secret-word" not in ran.error("write")
    assert project.reuse_records() == []
    assert project.leftovers() == []


def test_on_a_store_that_fails_often_the_result_is_right(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    project.state.datastores.register_url("flaky", f"flaky://{uuid.uuid4().hex}")
    place = (Datastore.get(project.workspace, "flaky"), "{run-id}/{output-name}")
    FlakyFileSystem.calls = 0
    code = "import sys\nfor i in range(50): open(f'{sys.argv[1]}/{i}', 'w').write(str(i))"
    copies = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)"
    made, copied = OutputFileDatasetConfig("made", place), OutputFileDatasetConfig("copied", place)
    taken = made.as_input("taken")

    def steps():
        yield project.step("first", code, [made])
        yield project.step("second", copies, [taken, copied], inputs=[taken], outputs=[copied])

    ran = project.run(*steps())
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.result("first").outputs["made"].digest == ran.result("second").outputs["copied"].digest
    assert project.run(*steps()).reused() == ["first", "second"]
    assert FlakyFileSystem.calls > 100
