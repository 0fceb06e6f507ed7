"""Cleaning: what nobody needs goes, in two visits, and nothing else ever does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.project import WRITES, Project
from refrain import Model, OutputFileDatasetConfig, PipelineData
from refrain.errors import UserError, WorkspaceError
from refrain.execution.cleaning import Cleaning, Waste, WasteKind
from refrain.execution.marking import Marks
from refrain.execution.stage import open_stage
from refrain.reuse.decision import Verdict
from refrain.reuse.record import RecordStore
from refrain.reuse.verification import set_verification
from refrain.storage.objects import LocalObjectStore
from refrain.storage.retention import Retention, retention, set_retention
from refrain.tracking.record import RunStatus
from refrain.tracking.run_id import StepRunId

DAY = 24 * 3600.0
OLD = Retention(days=30)


def age(project: Project, days: float) -> None:
    """Let everything that is stored have been written *days* earlier."""
    for path in project.state.root.rglob("*"):
        status = path.lstat()
        os.utime(path, (status.st_atime - days * DAY, status.st_mtime - days * DAY), follow_symlinks=False)


def made(project: Project, text: str = "hello", name: str = "project"):
    return project.run(project.step("made", WRITES, [PipelineData("out"), text]), name=name)


def visit(project: Project, limits: Retention = OLD) -> list[Waste]:
    return Cleaning(project.state, limits).clean()


def names(wastes: list[Waste], kind: WasteKind = WasteKind.STEP) -> list[str]:
    return sorted(waste.name for waste in wastes if waste.kind is kind)


def kinds(wastes: list[Waste]) -> set[WasteKind]:
    return {waste.kind for waste in wastes}


def stored(project: Project) -> dict[str, tuple[int, int]]:
    root = project.state.root
    return {str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


def test_only_the_bytes_of_models_without_a_version_go(project: Project, tmp_path: Path) -> None:
    def register(text: str) -> Model:
        (tmp_path / "net").write_text(text)
        return Model.register(project.workspace, tmp_path / "net", "net")

    kept, gone, again = register("kept"), register("gone"), register("again")
    gone.delete()
    again.delete()
    assert names(visit(project), WasteKind.MODEL) == []  # young
    age(project, 8)
    planned = [waste for waste in Cleaning(project.state, OLD).plan() if waste.kind is WasteKind.MODEL]
    assert sorted(waste.bytes for waste in planned) == [4, 5]
    assert {waste.reason for waste in planned} == {"no registered version has it"}
    registered = register("again")
    assert len(names(visit(project), WasteKind.MODEL)) == 1
    left = [Path(model.download(tmp_path / model.id)).read_text() for model in (kept, registered)]
    assert left == ["kept", "again"]
    assert not Path(gone.url.removeprefix("file://")).exists()


def test_a_model_that_is_registered_while_it_is_cleaned_stays(project: Project, tmp_path: Path) -> None:
    (tmp_path / "net").write_text("net")
    Model.register(project.workspace, tmp_path / "net", "net").delete()
    age(project, 8)
    cleaning = Cleaning(project.state, OLD)
    (waste,) = [waste for waste in cleaning.plan() if waste.kind is WasteKind.MODEL]
    model = Model.register(project.workspace, tmp_path / "net", "net")
    assert not cleaning._remove(waste, Marks(project.state, OLD, time.time()))
    assert Path(model.download(tmp_path / "here")).read_text() == "net"


def test_no_model_goes_while_a_version_cannot_be_read(project: Project, tmp_path: Path) -> None:
    (tmp_path / "net").write_text("net")
    Model.register(project.workspace, tmp_path / "net", "net").delete()
    Model.register(project.workspace, tmp_path / "net", "other")
    (record,) = (project.state.root / "registry" / "models" / "other").iterdir()
    record.write_text("damaged")
    age(project, 8)
    assert names(visit(project), WasteKind.MODEL) == []


def test_without_limits_every_run_stays(project: Project) -> None:
    made(project)
    age(project, 1000)
    assert kinds(visit(project, Retention())) == {WasteKind.LEASE}
    assert made(project).reused() == ["made"]


def test_a_plan_changes_nothing(project: Project) -> None:
    made(project)
    age(project, 31)
    before = stored(project)
    assert Cleaning(project.state, OLD).plan() != []
    assert stored(project) == before


def test_an_old_run_goes_in_two_visits(project: Project) -> None:
    ran = made(project)
    age(project, 31)
    (step,) = (waste for waste in visit(project) if waste.kind is WasteKind.STEP)
    assert (step.name, step.reason, step.is_due) == (ran.result("made").run_id, "older than 30 days", False)
    assert step.bytes > len("hello")
    assert ran.text("made", "out") == "hello"
    record = RecordStore(project.state.objects).get(ran.step("made").fingerprint)
    assert record is not None
    assert record.dead is not None
    assert record.dead.detail == "its data is being cleaned away: older than 30 days"
    age(project, 6)
    assert [waste.is_due for waste in visit(project) if waste.kind is WasteKind.STEP] == [False]
    assert ran.text("made", "out") == "hello"
    age(project, 2)
    done = visit(project)
    assert names(done) == [step.name]
    assert names(done, WasteKind.RUN) == [ran.id]
    visit(project)
    left = {Path(name).parts[0] for name in stored(project)}
    assert left <= {"workspace.json", "gc"}
    assert project.state.objects.names("runs") == []


def test_what_is_young_stays_whatever_the_limits_say(project: Project) -> None:
    for text in ("one", "two", "three"):
        made(project, text)
    assert visit(project, Retention(days=0, runs=1, bytes=0)) == []


def test_the_latest_runs_of_each_pipeline_stay(project: Project) -> None:
    runs = []
    for text, name in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "a")):
        runs.append(made(project, text, name).result("made").run_id)
        age(project, 10)
    assert names(visit(project, Retention(runs=1))) == sorted(runs[:2])
    assert {made(project, text).verdict("made") for text in ("three", "four")} == {Verdict.REUSED}


def test_the_latest_bytes_stay(project: Project) -> None:
    runs = []
    for text in ("1" * 100, "2" * 100, "3" * 100):
        runs.append(made(project, text).result("made").run_id)
        age(project, 10)
    assert names(visit(project, Retention(bytes=200))) == [runs[0]]


def test_a_result_that_a_younger_run_uses_stays(project: Project) -> None:
    first = made(project)
    age(project, 31)
    second = made(project)
    assert second.reused() == ["made"]
    done = visit(project)
    assert names(done) == []
    assert names(done, WasteKind.RUN) == []
    age(project, 8)
    visit(project)
    assert made(project).reused() == ["made"]
    assert first.text("made", "out") == "hello"


def test_a_result_that_somebody_used_between_the_visits_stays(project: Project) -> None:
    """As a run does that had looked just before the first visit."""
    ran = made(project)
    age(project, 31)
    (record,) = project.reuse_records()
    content = record.read_bytes()
    set_verification(project.state.registry, "full")
    visit(project)
    record.write_bytes(content)
    assert made(project).reused() == ["made"]
    record.unlink()
    age(project, 8)
    assert names(visit(project)) == []
    assert project.state.objects.names("gc/condemned") == []
    assert ran.text("made", "out") == "hello"


def test_data_that_was_registered_stays(project: Project) -> None:
    out = OutputFileDatasetConfig("out").register_on_complete("kept")
    code = "import os, sys; open(os.path.join(sys.argv[1], 'a'), 'w').write('data')"
    ran = project.run(project.step("made", code, [out], outputs=[out]))
    assert ran.status == "Completed", ran.outcome.errors
    for _ in range(3):
        age(project, 31)
        visit(project)
    assert (ran.path("made", "out") / "a").read_text() == "data"
    assert ran.step("made").status is RunStatus.COMPLETED


def test_a_pinned_result_stays(project: Project) -> None:
    ran = made(project)
    fingerprint = ran.step("made").fingerprint
    project.state.objects.put(f"reuse/pinned/{fingerprint}", b"{}")
    for _ in range(3):
        age(project, 31)
        visit(project)
    assert made(project).reused() == ["made"]


def test_data_of_users_is_never_touched(project: Project, tmp_path: Path) -> None:
    store = project.workspace.get_default_datastore()
    out = OutputFileDatasetConfig("out", (store, "results/latest"))
    code = "import os, sys; open(os.path.join(sys.argv[1], 'a'), 'w').write('data')"
    ran = project.run(project.step("made", code, [out], outputs=[out]))
    assert ran.status == "Completed", ran.outcome.errors
    own = project.state.datastores.get("workspaceblobstore").root
    for name in ("azureml/data.v2.1/mine", "azureml/notes.txt", "raw/a.csv"):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text("mine")
    for _ in range(3):
        age(project, 31)
        visit(project)
    assert names(visit(project)) == []
    files = {str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()}
    assert files == {"azureml/data.v2.1/mine", "azureml/notes.txt", "raw/a.csv", "results/latest/a"}


def test_a_run_that_goes_on_is_left_alone_even_without_a_grace_period(project: Project, tmp_path: Path) -> None:
    code = """
        import os, sys, time
        while not os.path.exists(sys.argv[2]): time.sleep(0.01)
        open(sys.argv[1], "w").write("data")
    """
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(
            project.run, project.step("slow", code, [PipelineData("out"), str(tmp_path / "go")]), jobs=1
        )
        while not list(project.state.root.glob("runs/*/steps/*/logs")):
            time.sleep(0.01)
        assert names(visit(project, Retention(days=0, runs=1, bytes=0, grace_days=0))) == []
        (tmp_path / "go").touch()
        ran = going.result()
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("slow", "out") == "data"
    assert ran.heard.notes == [], "its lease stayed, too, so that its result is kept"


def test_what_a_record_that_cannot_be_read_may_name_stays(project: Project) -> None:
    ran = made(project)
    path = project.state.root / f"runs/{ran.id}/steps/made.1/run.json"
    path.write_text(json.dumps({"schema": 99}))
    for _ in range(3):
        age(project, 31)
        assert kinds(visit(project)) <= {WasteKind.LEASE}
    assert ran.text("made", "out") == "hello"


def test_a_run_that_only_reused_goes_at_one_visit_and_what_it_reused_at_two(project: Project) -> None:
    first, second = made(project), made(project)
    assert second.reused() == ["made"]
    age(project, 31)
    done = visit(project)
    assert names(done, WasteKind.RUN) == [second.id]
    assert names(done) == [first.result("made").run_id]
    assert project.state.objects.names("runs") == [first.id]


def test_what_a_younger_run_has_noted_as_reused_stays_as_long_as_that_run(project: Project) -> None:
    first = made(project)
    age(project, 20)
    second = made(project)
    for _ in range(3):
        age(project, 9)
        assert names(visit(project)) == []
    assert first.text("made", "out") == "hello"
    assert second.step("made").reused_from == first.result("made").run_id


@pytest.mark.parametrize("content", ['{"schema": 99}', "damaged"])
def test_nothing_goes_while_notes_that_may_name_it_cannot_be_read(project: Project, content: str) -> None:
    ran = made(project)
    made(project)
    (note,) = project.state.root.glob("runs/*/reused/*")
    note.write_text(content)
    for _ in range(3):
        age(project, 31)
        assert kinds(visit(project)) <= {WasteKind.LEASE}
    assert ran.text("made", "out") == "hello"


def test_objects_that_nobody_names_go_and_those_in_use_stay(project: Project) -> None:
    ran = made(project)
    lost = {f"{kind}/ab/ab{'0' * 62}" for kind in ("blobs", "manifests", "receipts")}
    for key in (*lost, f"leases/ab/{'ab' * 32}/7", "probes/x", f"reuse/ab/ab{'0' * 62}.json"):
        project.state.objects.put(key, b"{}")
    orphan = f"datastores/workspaceblobstore/azureml/{'ab' * 16}.lost.1"
    project.state.objects.put(f"{orphan}/out/file", b"half")
    age(project, 8)
    fresh = f"blobs/cd/cd{'0' * 62}"
    project.state.objects.put(fresh, b"being captured")
    done = visit(project, Retention())
    assert {waste.name for waste in done if waste.kind is not WasteKind.LEASE} == {
        *lost,
        orphan,
        f"reuse/ab/ab{'0' * 62}.json",
    }
    assert f"leases/ab/{'ab' * 32}/7" in names(done, WasteKind.LEASE)
    assert project.state.objects.exists(fresh)
    assert visit(project, Retention()) == []
    assert made(project).reused() == ["made"]
    changed = project.run(project.step("made", WRITES + "\n# changed\n", [PipelineData("out"), "hello"]))
    assert changed.heard.decisions["made"].sentence() == "runs: changed: source: changed made.py"
    assert ran.text("made", "out") == "hello"


def test_what_killed_writers_had_begun_goes_when_it_is_old(project: Project) -> None:
    run = f"runs/{made(project).id}"
    folders = (
        "blobs/ab",
        "gc/condemned",
        "manifests/ab",
        "registry/datastore/x",
        "reuse/ab",
        run,
        f"{run}/steps/made.1",
    )
    begun = sorted([".tmp-0123-7-1", *(f"{folder}/.tmp-0123-7-1" for folder in folders)])
    for key in begun:
        project.state.objects.put(key, b"half")
    assert visit(project, Retention()) == []
    age(project, 8)
    assert names(visit(project, Retention()), WasteKind.BEGUN) == begun
    assert project.leftovers() == []
    assert made(project).reused() == ["made"]


def test_the_empty_folder_of_a_run_goes_when_it_is_old(project: Project) -> None:
    """As a cleaning leaves it that is killed between a run's last file and its folder."""
    folder = project.state.root / "runs" / ("ab" * 16)
    (folder / "steps" / "made.1").mkdir(parents=True)
    for limits in (Retention(), Retention(grace_days=0)):
        assert visit(project, limits) == []
    age(project, 8)
    assert names(visit(project, Retention()), WasteKind.RUN) == [folder.name]
    assert not folder.exists()


def test_several_cleanings_at_once_are_not_in_each_others_way(project: Project) -> None:
    for number in range(2000):
        (project.state.root / "runs" / f"{number:032x}").mkdir(parents=True)
    age(project, 8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: visit(project), range(4)))
    assert project.state.objects.names("runs") == []


def test_outputs_of_a_run_that_began_during_the_cleaning_stay_however_old_their_files_seem(project: Project) -> None:
    """As those are that a script has unpacked."""
    marks = Marks(project.state, Retention(), time.time())
    assert marks.runs == {}
    code = "import os, sys; open(sys.argv[1], 'w').write('data'); os.utime(sys.argv[1], (0, 0))"
    ran = project.run(project.step("unpacks", code, [PipelineData("out")]))
    cleaning = Cleaning(project.state, Retention())
    assert [waste for waste in cleaning._plan(marks) if waste.kind is WasteKind.DATA] == []
    assert ran.text("unpacks", "out") == "data"


def test_a_result_that_cannot_be_marked_as_dead_is_not_condemned(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = made(project)
    age(project, 31)
    put = LocalObjectStore.put

    def refuse(self: LocalObjectStore, key: str, data: bytes, *, durable: bool = True) -> None:
        if key.startswith("reuse/"):
            raise WorkspaceError(f"Cannot write {key!r}: No space left on device.")
        put(self, key, data, durable=durable)

    monkeypatch.setattr(LocalObjectStore, "put", refuse)
    with pytest.raises(WorkspaceError, match="No space left on device"):
        visit(project)
    assert project.state.objects.names("gc/condemned") == []
    monkeypatch.undo()
    assert made(project).reused() == ["made"]
    assert ran.text("made", "out") == "hello"


def test_a_source_in_use_counts_as_new_when_it_is_captured_again(project: Project) -> None:
    """So that cleaning never takes the files of a run whose record is not yet written."""
    made(project)
    age(project, 100)
    made(project)
    blobs = [path for path in project.state.root.glob("blobs/??/*") if b"sys.argv" in path.read_bytes()]
    assert all(time.time() - path.stat().st_mtime < DAY for path in blobs)


def test_a_source_that_was_cleaned_away_meanwhile_is_stored_anew(project: Project) -> None:
    runner, _ = project.runner(project.step("made", WRITES, [PipelineData("out"), "hello"]))
    (step,) = runner._definition.steps
    runner._engine.sources.capture(step.source)
    for path in project.state.root.glob("blobs/??/*"):
        path.unlink()
    assert runner.run().status is RunStatus.COMPLETED


def test_abandoned_stages_of_this_machine_are_planned_and_swept(project: Project) -> None:
    tests = str(Path(__file__).parents[1])
    code = f"""
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.project import Heard, Project
class Killer(Heard):
    def line(self, key, line): os.kill(os.getpid(), signal.SIGKILL)
project = Project(Path({str(project.folder)!r}))
project.run(project.step("hangs", "import time; print('x', flush=True); time.sleep(600)"), listener=Killer())
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (waste,) = Cleaning(project.state, Retention()).plan()
    assert (waste.kind, waste.reason) == (WasteKind.STAGING, "the process that worked there was killed")
    visit(project, Retention())
    assert project.leftovers() == []


def test_a_clock_that_is_ahead_takes_no_folder_from_a_step_of_another_machine(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = open_stage(StepRunId("ab" * 16, "made", 1), (), project.state)
    owner = json.loads((stage.folder / "owner.json").read_text())
    (stage.folder / "owner.json").write_text(json.dumps({**owner, "machine": "another one"}))
    ahead = time.time() + 30 * DAY
    monkeypatch.setattr(time, "time", lambda: ahead)
    visit(project)
    assert stage.folder.is_dir()
    age(project, 8)
    visit(project)
    assert not stage.folder.exists()


def test_a_workspace_on_a_url_is_cleaned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    project = Project(tmp_path, f"memory://{uuid.uuid4().hex}")
    first = made(project, "one")
    second = made(project, "two")
    done = visit(project, Retention(runs=1, grace_days=0))
    assert names(done) == [first.result("made").run_id]
    visit(project, Retention(runs=1, grace_days=0))
    keys = [stored.key for stored in project.state.objects.walk("")]
    assert not [key for key in keys if first.id in key]
    assert [key for key in keys if second.id in key]
    assert made(project, "two").reused() == ["made"]
    assert made(project, "one").verdict("made") is not Verdict.REUSED


def test_copies_of_killed_engines_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    project = Project(tmp_path, f"memory://{uuid.uuid4().hex}")
    made(project)
    left = [project.state.root / ".half-run", project.state.root / "unfinished" / "ab" / ".half-work"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "log").write_text("line")
    assert not [waste for waste in visit(project) if "half" in waste.name]
    age(project, 8)
    assert sorted(waste.name for waste in visit(project) if "half" in waste.name) == sorted(map(str, left))
    assert not any(folder.exists() for folder in left)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"days": -1}, "days must be 0 or more, not -1"),
        ({"runs": 0}, "runs must be 1 or more, not 0"),
        ({"bytes": -5}, "bytes must be 0 or more, not -5"),
        ({"grace_days": float("nan")}, "grace_days must be 0 or more, not nan"),
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Retention(**limits)


def test_the_limits_are_a_setting_of_the_workspace(project: Project) -> None:
    assert retention(project.state.registry) == Retention()
    project.workspace.set_retention(days=30, runs=5, bytes=10**9, grace_days=3)
    assert retention(project.state.registry) == Retention(30, 5, 10**9, 3)
    set_retention(project.state.registry, Retention())
    assert retention(project.state.registry).is_unlimited


def test_data_at_the_places_of_an_earlier_try_stays_as_long_as_its_result_and_goes_with_that_try(
    project: Project,
) -> None:
    ran, other = made(project), made(project, "other", "other")
    runs, first, second = ran.runs, ran.step("made"), other.step("made")
    runs.update(first, status=RunStatus.FAILED)
    runs.update(second, outputs=first.outputs)  # as after a kill: the job of the first try filled its places
    age(project, 31)
    runs.set_tags(other.id, {"used": "today"})  # the second run is young
    for _ in range(2):
        visit(project)
    assert ran.text("made", "out") == "hello"
    age(project, 62)
    for _ in range(2):
        visit(project)
        age(project, 8)
    assert not ran.path("made", "out").exists()


@pytest.mark.parametrize("other", ["", "another key of somebody"])
def test_a_result_of_another_key_s_holders_is_out_of_use_before_its_data_goes(
    project: Project, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("REFRAIN_RECORD_KEY", "the key of its maker")
    ran = made(project)
    age(project, 31)
    monkeypatch.setenv("REFRAIN_RECORD_KEY", other)
    visit(project)
    assert project.state.objects.names("gc/condemned") == [ran.result("made").run_id]
    assert ran.text("made", "out") == "hello"
    monkeypatch.setenv("REFRAIN_RECORD_KEY", "the key of its maker")
    again = made(project)
    assert again.reused() == []
    age(project, 8)
    monkeypatch.setenv("REFRAIN_RECORD_KEY", other)
    assert names(visit(project)) == [ran.result("made").run_id]
    monkeypatch.setenv("REFRAIN_RECORD_KEY", "the key of its maker")
    assert made(project).reused() == ["made"], "the newer result is another one's"
