"""Looking up: an earlier result holds only if every output is what its step wrote, and a lost one is marked for all."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.project import WRITES, Project, Ran
from refrain import PipelineData
from refrain.reuse.decision import Check, Decision, Verdict
from refrain.reuse.lookup import Lookup
from refrain.reuse.record import ReuseRecord, Tombstone
from refrain.reuse.verification import ON_STAT, Verification, set_verification
from refrain.storage.statindex import encoded
from refrain.storage.trees import OUTPUT, _look


def _run(project: Project, **options: Any) -> Ran:
    return project.run(project.step("write", WRITES, [PipelineData("out"), "some text"]), **options)


def _decided(project: Project, **options: Any) -> Decision:
    runner, _ = project.runner(project.step("write", WRITES, [PipelineData("out"), "some text"]), **options)
    decision = runner.explain()["write"]
    assert isinstance(decision, Decision)
    return decision


def _record(project: Project) -> ReuseRecord:
    (record,) = Lookup(project.state).records.all()
    return record


def _damage(path: Path) -> None:
    """Change bytes behind everybody's back: size, times and inode stay, as on a disk that decays."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _let_stats_lie(project: Project, path: Path) -> None:
    """Damage a file that this machine knows, and let the index take its new change time for the old one."""
    trees = project.state.trees
    _rest(path)
    known = trees.identify(path.parent if path.is_dir() else path)
    _damage(path)
    index = trees._index
    row = index.load(str(path))
    assert row.digest == known.digest
    _, folders = _look(str(path), OUTPUT)
    index.save(str(path), replace(row, stats=encoded(folders)))
    index.flush()


def _rest(path: Path) -> None:
    """A file counts as at rest two seconds after its last change; wait until the kernel's clock says so."""
    import time

    while time.time_ns() - path.stat().st_ctime_ns < 2_100_000_000:
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("nosuch://store/out", "No file system is known for nosuch://"),
        (
            "abfs://container/out",
            r"Cannot reach abfs://: ValueError: .* Check the address and this machine's credentials",
        ),
    ],
)
def test_an_output_at_a_place_that_this_machine_cannot_open_is_a_miss(project: Project, uri: str, why: str) -> None:
    pytest.importorskip("adlfs")
    _run(project)
    record = _record(project)
    moved = {"out": replace(record.outputs["out"], uri=uri)}
    Lookup(project.state).records.put(replace(record, outputs=moved), "write")
    decision = _decided(project)
    assert decision.verdict is Verdict.OUTPUT_UNREADABLE
    assert re.search(why, decision.detail)
    assert _run(project).status == "Completed"


def test_a_lost_output_is_marked_so_that_nobody_looks_again(project: Project) -> None:
    first = _run(project)
    first.path("write", "out").unlink()
    source = project.folder / "steps" / "write" / "write.py"
    source.write_text(source.read_text() + "    sys.exit(3)\n")
    source.write_text(source.read_text().replace("    sys.exit(3)\n", ""))
    assert _decided(project).is_lost
    assert _record(project).dead is None, "explaining marks nothing"
    lookup = Lookup(project.state)
    assert lookup.bury(_decided(project))
    assert not lookup.bury(_decided(project)), "one mark is enough"
    dead = _record(project).dead
    assert dead is not None
    assert (dead.reason, dead.detail.startswith("output out is no longer at ")) == ("output missing", True)
    again = _decided(project)
    assert (again.verdict, again.is_lost) == (Verdict.OUTPUT_MISSING, False)
    assert "is no longer at" in again.detail
    assert again.detail.endswith(" UTC)")


def test_another_machine_believes_the_mark_even_where_the_output_is_there(project: Project) -> None:
    first = _run(project)
    Lookup(project.state).records.bury(_record(project), Tombstone("output changed", "output out: damaged", 1e9))
    assert first.path("write", "out").exists()
    decision = _decided(project)
    assert decision.sentence() == "runs: output changed: output out: damaged (noticed on 2001-09-09 01:46 UTC)"


def test_a_run_marks_what_is_lost_and_its_new_result_takes_the_place(project: Project) -> None:
    first = _run(project)
    first.path("write", "out").write_text("other data")
    second = _run(project)
    assert second.verdict("write") is Verdict.OUTPUT_CHANGED
    assert _record(project).dead is None
    third = _run(project)
    assert third.result("write").reused_from == second.result("write").run_id


def test_when_the_step_fails_the_mark_of_the_lost_result_stays(project: Project) -> None:
    flag = project.folder / "fail"
    code = f"import os, sys\nopen(sys.argv[1], 'w').write('x')\nsys.exit(os.path.exists({str(flag)!r}))\n"
    step = project.step("write", code, [PipelineData("out")])
    first = project.run(step)
    first.path("write", "out").unlink()
    flag.touch()
    assert project.run(step).status == "Failed"
    dead = _record(project).dead
    assert dead is not None
    assert dead.reason == "output missing"


def test_what_merely_cannot_be_read_is_a_miss_and_no_loss(project: Project) -> None:
    first = _run(project)
    path = first.path("write", "out")
    path.unlink()
    os.mkfifo(path)
    decision = _decided(project)
    assert (decision.verdict, decision.is_lost) == (Verdict.OUTPUT_UNREADABLE, False)
    assert "neither a file nor a folder" in decision.detail


def test_a_newer_result_is_never_marked_for_the_loss_of_an_older_one(project: Project) -> None:
    _run(project)
    old = _record(project)
    _run(project, force=True)
    assert not Lookup(project.state).records.bury(old, Tombstone("output missing", "gone", 0.0))
    assert _record(project).dead is None


def test_a_forced_result_feeds_later_runs_in_every_other_pipeline(project: Project) -> None:
    _run(project)
    forced = _run(project, force=True)
    assert _run(project, name="other").result("write").reused_from == forced.result("write").run_id


def test_a_pinned_result_stays_when_the_step_is_forced(project: Project) -> None:
    first = _run(project)
    Lookup(project.state).records.pins.add(_record(project).fingerprint)
    forced = _run(project, force=True)
    assert "the pinned earlier result stays the one to be reused" in forced.heard.notes
    assert _run(project).result("write").reused_from == first.result("write").run_id


def test_a_pin_does_not_save_a_result_whose_output_is_lost(project: Project) -> None:
    first = _run(project)
    Lookup(project.state).records.pins.add(_record(project).fingerprint)
    first.path("write", "out").unlink()
    second = _run(project)
    assert second.verdict("write") is Verdict.OUTPUT_MISSING
    assert _run(project).result("write").reused_from == second.result("write").run_id


def test_full_verification_finds_bytes_that_changed_under_the_same_stat(project: Project) -> None:
    path = _run(project).path("write", "out")
    _let_stats_lie(project, path)
    assert _decided(project, verification=ON_STAT).is_reused, "stat alone cannot see it"
    set_verification(project.state.registry, "full")
    decision = _decided(project)
    assert (decision.verdict, decision.is_lost) == (Verdict.OUTPUT_CHANGED, True)
    assert decision.detail == f"output out: {path} does not hold the bytes that its step wrote"
    ran = _run(project)
    assert ran.verdict("write") is Verdict.OUTPUT_CHANGED
    assert ran.text("write", "out") == "some text"


def test_full_verification_of_a_sound_result_says_so(project: Project) -> None:
    _run(project)
    set_verification(project.state.registry, "full")
    decision = _decided(project)
    assert (decision.is_reused, decision.check) == (True, Check.CONTENT)
    assert decision.sentence().endswith("s then; its bytes were read again)")
    assert decision.to_json()["check"] == "content"


def test_full_verification_without_the_list_of_files_is_a_miss(project: Project) -> None:
    _run(project)
    set_verification(project.state.registry, "full")
    shutil.rmtree(project.state.root / "manifests")
    decision = _decided(project)
    assert (decision.verdict, decision.is_lost) == (Verdict.OUTPUT_UNREADABLE, False)
    assert decision.detail == "output out: the list of its files is gone, so nobody can verify it"


def test_a_run_can_verify_more_than_its_workspace_asks_for(project: Project) -> None:
    path = _run(project).path("write", "out")
    _let_stats_lie(project, path)
    assert _run(project, verification=Verification(1.0)).verdict("write") is Verdict.OUTPUT_CHANGED


def test_the_decision_in_the_run_record_is_the_one_that_was_explained(project: Project) -> None:
    _run(project)
    decision = _decided(project, force=True).to_json()
    ran = _run(project, force=True)
    assert json.loads(json.dumps(decision)) == ran.step("write").decision


def test_a_decision_is_the_same_for_another_user(project: Project) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    _run(project)
    expected = _decided(project)
    for folder in (project.folder, *project.folder.parents[:3]):
        folder.chmod(0o755)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: the child starts none
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            os.umask(0o077)
            decision = _decided(Project(project.folder))
            os.write(writer, f"{decision.fingerprint} {decision.verdict.value}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read().decode() == f"{expected.fingerprint} reused"
    os.waitpid(child, 0)
