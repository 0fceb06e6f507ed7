"""The life of a step: what it leaves, what is reused, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.project import COPIES, WRITES, Project, Ran
from refrain import Dataset, Pipeline, PipelineData
from refrain.errors import (
    StepFailedError,
    WorkspaceError,
    WorkspaceSchemaError,
)
from refrain.execution.engine import Engine
from refrain.execution.listener import Phase
from refrain.execution.request import RunContext, StepRequest
from refrain.reuse.decision import Verdict
from refrain.reuse.record import RecordStore
from refrain.tracking.record import RunStatus


def _nothing_stays(project: Project) -> None:
    assert project.leftovers() == []
    assert project.outputs() == []
    assert project.reuse_records() == []


def _out() -> PipelineData:
    return PipelineData("out")


def test_a_step_goes_through_its_phases_and_leaves_its_output_its_log_and_its_record(project: Project) -> None:
    ran = project.run(project.step("write", WRITES, [PipelineData("out"), "hello"]))
    assert ran.status == "Completed"
    assert [phase for _, phase in ran.heard.phases] == list(Phase)
    assert ran.text("write", "out") == "hello"
    record = ran.step("write")
    assert record.status is RunStatus.COMPLETED
    assert record.fingerprint == ran.heard.decisions["write"].fingerprint
    assert record.properties["StepType"] == "python_script"
    assert Path(ran.runs.folder(record.run_id), "logs/std_log.txt").read_text() == "writing\n"
    assert project.leftovers() == []


def test_a_second_run_reuses_the_first_and_points_to_it(project: Project) -> None:
    first = project.run(project.step("write", WRITES, [PipelineData("out")]))
    second = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert second.verdict("write") is Verdict.REUSED
    assert second.path("write", "out") == first.path("write", "out")
    record = second.step("write")
    assert record.reused_from == first.step("write").run_id
    assert record.properties["azureml.reusedrunid"] == first.step("write").run_id
    assert record.properties["azureml.reusedpipeline"] == first.id
    assert not os.path.exists(os.path.join(second.runs.folder(record.run_id), "logs"))


def test_a_result_stays_when_the_workspace_cannot_keep_it_for_reuse(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = project.step("write", WRITES, [PipelineData("out"), "hello"])

    def fail(*_: object) -> None:
        raise WorkspaceError("the store is full")

    with monkeypatch.context() as patch:
        patch.setattr(RecordStore, "put", fail)
        ran = project.run(step)
    assert (ran.status, ran.text("write", "out")) == ("Completed", "hello")
    assert ran.heard.notes == ["its result is not kept for reuse: the store is full"]
    assert project.run(step).verdict("write") is Verdict.FIRST


def _asked(project: Project, *arguments: object) -> tuple[Engine, StepRequest]:
    """An engine, and what it is asked to do for a step of another run."""
    step = Pipeline(project.workspace, [project.step("write", WRITES, arguments)], name="later").definition.steps[0]
    run = RunContext("b" * 32, "later", "trial", project.workspace.name, project.workspace.root)
    return Engine(project.state), StepRequest(step, run)


def test_what_was_decided_can_be_recorded_later_and_is_not_decided_again(project: Project) -> None:
    first = project.run(project.step("write", WRITES, [PipelineData("out")]))
    engine, request = _asked(project, PipelineData("out"))
    asked = engine.ask(request)
    assert engine.runs.steps(request.run.root_id) == []
    first.path("write", "out").unlink()
    result = engine.reuse(asked)
    record = engine.runs.get(result.run_id)
    assert record.reused_from == result.reused_from == first.step("write").run_id
    assert (record.status, record.fingerprint) == (RunStatus.COMPLETED, asked.decision.fingerprint)
    assert record.outputs == first.step("write").outputs


def test_a_step_that_has_to_run_cannot_be_recorded_as_reused(project: Project) -> None:
    engine, request = _asked(project, PipelineData("out"))
    asked = engine.ask(request)
    with pytest.raises(ValueError, match="Step 'write' has no earlier result to reuse: it runs: first run"):
        engine.reuse(asked)
    assert engine.runs.steps(request.run.root_id) == []


def test_a_step_may_have_no_output_and_is_reused_all_the_same(project: Project) -> None:
    project.run(project.step("silent", "print('done')"))
    assert project.run(project.step("silent", "print('done')")).reused() == ["silent"]


def test_a_forced_step_runs_again_and_its_new_result_is_the_one_to_reuse(project: Project) -> None:
    project.run(project.step("write", WRITES, [PipelineData("out")]))
    forced = project.run(project.step("write", WRITES, [PipelineData("out")]), force=True)
    third = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert forced.verdict("write") is Verdict.FORCED
    assert third.result("write").reused_from == forced.step("write").run_id


def test_a_step_that_does_not_allow_reuse_runs_every_time(project: Project) -> None:
    for _ in range(2):
        ran = project.run(project.step("write", WRITES, [PipelineData("out")], allow_reuse=False))
        assert ran.verdict("write") is Verdict.NOT_ALLOWED


def test_a_script_that_exits_with_a_code_shows_the_code_the_log_and_its_end(project: Project) -> None:
    ran = project.run(project.step("fail", "print('before'); raise SystemExit(7)", [PipelineData("out")]))
    assert isinstance(ran.outcome.errors["fail"], StepFailedError)
    assert "Step 'fail' failed: its script exited with code 7. Its log is " in ran.error("fail")
    assert ran.error("fail").endswith("and ends with:\n    before")
    assert ran.step("fail").error == ran.error("fail")
    assert ran.record.error == ran.error("fail")
    _nothing_stays(project)


def test_a_script_killed_by_a_signal_names_the_signal(project: Project) -> None:
    ran = project.run(project.step("killed", "import os; os.kill(os.getpid(), 9)", [PipelineData("out")]))
    assert "failed: its process was ended by SIGKILL. It may have been stopped for using too much memory." in ran.error(
        "killed"
    )
    _nothing_stays(project)


def test_what_a_script_writes_beside_its_outputs_is_noted(project: Project) -> None:
    ran = project.run(project.step("stray", WRITES + "    open('stray.txt', 'w')\n", [PipelineData("out")]))
    assert ran.heard.notes == [
        "files in the working directory are not kept: stray.txt; write to an output, or below ./outputs"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_workspace_is_named(project: Project) -> None:
    assert project.workspace.name
    project.state.root.chmod(0o500)
    with pytest.raises(WorkspaceError, match="Cannot write"):
        project.run(project.step("write", WRITES, [PipelineData("out")]))


def test_a_workspace_that_cannot_be_written_is_named(project: Project) -> None:
    assert project.workspace.name
    (project.state.root / "runs").write_text("a file where a folder should be")
    with pytest.raises(WorkspaceError, match=r"Cannot write '.*run\.json': Not a directory\."):
        project.run(project.step("write", WRITES, [PipelineData("out")]))


def test_a_workspace_of_a_newer_schema_is_not_touched(project: Project) -> None:
    assert project.workspace.name
    (project.state.root / "workspace.json").write_text('{"schema": 99, "name": "later"}')
    with pytest.raises(WorkspaceSchemaError, match="has schema 99, this Refrain reads up to 1"):
        Project(project.folder).run(project.step("write", WRITES, [PipelineData("out")]))


def test_an_output_that_was_deleted_makes_the_step_run_again_with_the_reason(project: Project) -> None:
    first = project.run(project.step("write", WRITES, [PipelineData("out")]))
    first.path("write", "out").unlink()
    second = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert second.verdict("write") is Verdict.OUTPUT_MISSING
    assert "output out is no longer at" in second.step("write").decision["sentence"]
    assert second.text("write", "out") == "data"


def test_an_output_that_was_changed_makes_the_step_run_again_with_the_reason(project: Project) -> None:
    first = project.run(project.step("write", WRITES, [PipelineData("out")]))
    path = first.path("write", "out")
    status = path.stat()
    path.write_text("DATA")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # an intruder who covers his tracks
    second = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert second.verdict("write") is Verdict.OUTPUT_CHANGED
    assert "is not what its step wrote" in second.step("write").decision["sentence"]


def test_a_record_that_is_damaged_is_a_miss_with_the_reason_and_heals_itself(project: Project) -> None:
    project.run(project.step("write", WRITES, [PipelineData("out")]))
    (record,) = project.reuse_records()
    sound = record.read_bytes()
    runner, _ = project.runner(project.step("write", WRITES, [PipelineData("out")]))
    for place in (0, 12, 80, len(sound) // 2, len(sound) - 1):
        record.write_bytes(sound[:place] + bytes([sound[place] ^ 0x01]) + sound[place + 1 :])
        decision = runner.explain()["write"]
        assert not isinstance(decision, Exception)
        assert (place, decision.verdict) == (place, Verdict.RECORD_CORRUPT)
        assert "is damaged: its checksum does not fit" in decision.detail
    again = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert again.verdict("write") is Verdict.RECORD_CORRUPT
    assert project.run(project.step("write", WRITES, [PipelineData("out")])).reused() == ["write"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100, b"[]" * 60])
def test_a_record_that_was_cut_or_replaced_is_a_miss(project: Project, content: bytes) -> None:
    project.run(project.step("write", WRITES, [PipelineData("out")]))
    project.reuse_records()[0].write_bytes(content)
    ran = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert ran.verdict("write") is Verdict.RECORD_CORRUPT
    assert ran.status == "Completed"


def test_an_edit_upstream_that_gives_the_same_bytes_does_not_disturb_the_consumers(project: Project) -> None:
    def run(comment: str) -> Ran:
        out = PipelineData("out")
        return project.run(
            project.step("write", WRITES + f"    # {comment}\n", [out]),
            project.step("copy", COPIES, [out, PipelineData("copy")], inputs=[out]),
        )

    run("one")
    ran = run("two")
    assert ran.reused() == ["copy"]
    assert ran.verdict("write") is Verdict.CHANGED
    assert "source: changed write.py" in ran.step("write").decision["sentence"]


def test_a_second_checkout_at_another_path_reuses_the_results_of_the_first(tmp_path: Path) -> None:
    one, two = Project(tmp_path / "one"), Project(tmp_path / "elsewhere" / "two")
    two.workspace = one.workspace
    for project in (one, two):
        (project.folder / "data").mkdir(parents=True)
        (project.folder / "data" / "table.csv").write_text("1,2")
    reused = []
    for project in (one, two):
        data = Dataset.File.from_files(str(project.folder / "data" / "table.csv")).as_named_input("table")
        ran = project.run(project.step("read", COPIES, [data.as_mount(), _out()]), name=f"of-{project.folder.name}")
        reused.append(ran.reused())
    assert reused == [[], ["read"]]


def test_a_step_that_comes_after_another_runs_again_when_that_one_did(project: Project) -> None:
    def run(force: bool | set[str] = False) -> Ran:
        load = project.step("load", WRITES, [PipelineData("a")])
        report = project.step("report", WRITES, [PipelineData("b")])
        report.run_after(load)
        return project.run(load, report, force=force)

    run()
    assert run().reused() == ["load", "report"]
    forced = run({"load"})
    assert forced.verdict("report") is Verdict.CHANGED
    (change,) = forced.heard.decisions["report"].changes
    assert str(change) == "order: a step that it comes after (run_after) has another result"
    assert run().reused() == ["load", "report"]
