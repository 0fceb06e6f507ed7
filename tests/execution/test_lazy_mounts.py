"""Steps whose remote inputs are mounted lazily: the results of the cache, and nothing left however a step ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.fuse import WAITS, mounting, mounts, need_fuse, view_servers
from fakes.project import COPIES, Heard, Project
from fakes.remote_stores import S3Server, s3_server
from refrain import Datastore, PipelineData
from refrain.execution import stage as stages

READS = """
    import os, sys
    found = sorted(os.path.join(p, n) for p, _, names in os.walk(sys.argv[1]) for n in names)
    open(sys.argv[2], "w").write("".join(open(path).read() for path in found))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(project: Project, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    need_fuse()
    monkeypatch.setenv("REFRAIN_MOUNT", "fuse")
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    project.workspace.state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
    store = Datastore.get(project.workspace, "objects")
    _send(project, store, {"a.csv": "a\n", "deep/b.csv": "b\n"})
    return store


def _send(project: Project, store: Datastore, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        path = project.folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    store.upload(str(project.folder / "raw"), "raw", overwrite=True, show_progress=False)


def _cached(folder: Path) -> list[Path]:
    return list((folder / "cache/data/objects").glob("*/*"))


def _require_nothing_left(project: Project) -> None:
    deadline = time.monotonic() + 60
    while view_servers(project.folder / "cache") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert view_servers(project.folder / "cache") == []
    assert mounts(project.folder) == []
    assert list((project.folder / "cache").glob("**/mounts/*")) == []
    assert project.leftovers() == []


def test_a_step_reads_what_the_cache_would_give_and_is_then_reused(
    project: Project, s3: Datastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = project.run(mounting(project, s3, READS))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("read", "out") == "a\nb\n"
    assert _cached(project.folder) == []
    _require_nothing_left(project)
    monkeypatch.delenv("REFRAIN_MOUNT")
    assert project.run(mounting(project, s3, READS)).reused() == ["read"]
    cached = project.run(mounting(project, s3, READS), force=True)
    assert cached.result("read").outputs["out"].digest == ran.result("read").outputs["out"].digest
    assert len(_cached(project.folder)) == 2


def test_what_a_step_wrote_is_mounted_for_the_next(project: Project, s3: Datastore) -> None:
    s3.set_as_default()
    made, copied = PipelineData("made"), PipelineData("copied")
    first = project.step("first", "import sys; open(sys.argv[1], 'w').write('hello')", [made])
    ran = project.run(first, project.step("second", COPIES, [made, copied], inputs=[made]))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.result("first").outputs["made"].digest == ran.result("second").outputs["copied"].digest
    assert _cached(project.folder) == []
    _require_nothing_left(project)


def test_nothing_is_left_of_a_step_that_failed(project: Project, s3: Datastore) -> None:
    ran = project.run(mounting(project, s3, "import os, sys; os.listdir(sys.argv[1]); sys.exit(3)"))
    assert ran.status == "Failed"
    _require_nothing_left(project)


def test_two_steps_at_once_have_a_view_each(project: Project, s3: Datastore) -> None:
    ran = project.run(mounting(project, s3, READS, "one"), mounting(project, s3, READS, "two"))
    assert ran.status == "Completed", ran.outcome.errors
    assert (ran.text("one", "out"), ran.text("two", "out")) == ("a\nb\n", "a\nb\n")
    _require_nothing_left(project)


def test_a_step_that_hides_that_its_input_changed_is_refused(project: Project, s3: Datastore) -> None:
    code = f"""
        import os, sys, time
        print("ready", flush=True)
        while not os.path.exists({str(project.folder / "go")!r}):
            time.sleep(0.02)
        try:
            text = open(sys.argv[1] + "/a.csv").read()
        except OSError as error:
            text = str(error)
        open(sys.argv[2], "w").write(text)
    """

    class Changing(Heard):
        def line(self, key: str, line: str) -> None:
            super().line(key, line)
            _send(project, s3, {"a.csv": "other\n"})
            (project.folder / "go").touch()

    ran = project.run(mounting(project, s3, code), listener=Changing())
    assert ran.error("read").startswith("Step 'read' was not given all of its input. s3://")
    assert "/raw/a.csv changed while it was being fetched" in ran.error("read")
    assert any("/raw/a.csv changed" in note for note in ran.heard.notes)
    assert project.reuse_records() == []
    _require_nothing_left(project)


def test_nothing_is_left_of_a_step_that_was_canceled(project: Project, s3: Datastore) -> None:
    class Telling(Heard):
        def line(self, key: str, line: str) -> None:
            super().line(key, line)
            (project.folder / "go").touch()

    waits = (
        f"import os, time\nwhile not os.path.exists({str(project.folder / 'go')!r}): time.sleep(0.02)\nraise OSError"
    )
    ran = project.run(mounting(project, s3, WAITS), project.step("fails", waits), listener=Telling())
    assert "['a.csv', 'deep']" in ran.heard.lines
    assert ran.error("read") == "Step 'read' was canceled."
    _require_nothing_left(project)


@pytest.mark.parametrize("is_server_killed", [False, True], ids=["the engine", "the engine and its servers"])
def test_nothing_is_left_of_what_was_killed(project: Project, s3: Datastore, is_server_killed: bool) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fakes.fuse import WAITS, mounting, view_servers
from fakes.project import Heard, Project
from refrain import Datastore

class Killing(Heard):
    def line(self, key, line):
        for server in view_servers(project.folder / "cache") if {is_server_killed} else ():
            os.kill(server, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

project = Project(Path({str(project.folder)!r}))
project.run(mounting(project, Datastore.get(project.workspace, "objects"), WAITS), listener=Killing())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    if not is_server_killed:
        _until(lambda: mounts(project.folder) == [])
    assert len(mounts(project.folder)) == is_server_killed
    assert len(stages.sweep(project.state)) == 1
    _require_nothing_left(project)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
