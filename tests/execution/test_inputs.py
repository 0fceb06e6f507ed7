"""What a step reads, and what happens when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.project import COPIES, WRITES, Heard, Project
from refrain import Dataset, Datastore, PipelineData, PythonScriptStep
from refrain.data.handle import DataHandle
from refrain.data.ports import FromReference, InputPort
from refrain.errors import DataError, DataNotFoundError, InputChangedError, UserError
from refrain.execution.engine import Engine
from refrain.execution.inputs import provide, resolve
from refrain.execution.listener import Phase
from refrain.execution.stage import Stage
from refrain.reuse.decision import Verdict
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunStatus


def _nothing_stays(project: Project) -> None:
    assert project.leftovers() == []
    assert project.outputs() == []
    assert project.reuse_records() == []


def _out() -> PipelineData:
    return PipelineData("out")


def test_an_input_that_does_not_exist_names_step_input_and_path(project: Project) -> None:
    data = Dataset.File.from_files(str(project.folder / "missing.csv"), validate=False).as_named_input("table")
    ran = project.run(project.step("read", "pass", [data.as_mount()]))
    assert isinstance(ran.outcome.errors["read"], DataNotFoundError)
    assert ran.error("read") == (
        f"Step 'read', input 'table': there is nothing at {str(project.folder / 'missing.csv')!r}."
    )
    assert ran.step("read").status is RunStatus.FAILED
    _nothing_stays(project)


@pytest.mark.parametrize("mode", ["as_mount", "as_download"])
def test_a_file_that_is_named_beside_its_folder_is_there_once(project: Project, mode: str) -> None:
    folder = project.folder / "data"
    (folder / "a").mkdir(parents=True)
    for name in ("a/x", "a-b", "c"):
        (folder / name).write_text(name)
    data = Dataset.File.from_files([str(folder / name) for name in ("a/x", "a", "a-b", "c")]).as_named_input("i")
    code = """
        import pathlib, sys
        folder = pathlib.Path(sys.argv[1])
        names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        pathlib.Path(sys.argv[2]).write_text(" ".join(names))
    """
    ran = project.run(project.step("read", code, [getattr(data, mode)(), _out()]))
    assert ran.text("read", "out") == "a-b a/x c"


def test_a_script_that_changes_what_an_earlier_step_wrote_fails_and_the_earlier_step_runs_again(
    project: Project,
) -> None:
    out = PipelineData("out")
    spoil = "import sys; open(sys.argv[1], 'a').write('spoilt'); open(sys.argv[2], 'w').write('x')"

    def steps() -> list[PythonScriptStep]:
        return [
            project.step("write", WRITES, [out]),
            project.step("spoil", spoil, [out, PipelineData("spoilt")], inputs=[out]),
        ]

    first = project.run(*steps())
    assert isinstance(first.outcome.errors["spoil"], InputChangedError)
    assert "Step 'spoil' changed its input 'out'" in first.error("spoil")
    assert "Write to a declared output instead, or take the input with as_download()." in first.error("spoil")
    assert len(project.reuse_records()) == 1
    assert project.leftovers() == []
    out = PipelineData("out")
    second = project.run(*steps())
    assert second.verdict("write") is Verdict.OUTPUT_CHANGED


def test_a_script_may_change_its_own_copy_of_an_input(project: Project) -> None:
    out, copy = PipelineData("out"), PipelineData("copy")
    spoil = "import sys; open(sys.argv[1], 'a').write('mine'); open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
    ran = project.run(
        project.step("write", WRITES, [out]),
        project.step("copy", spoil, [out, copy], inputs=[out.as_download()], outputs=[copy]),
    )
    assert ran.status == "Completed"
    assert ran.text("write", "out") == "data"
    assert ran.text("copy", "copy") == "datamine"


def test_a_result_made_of_files_that_changed_meanwhile_is_not_kept_for_reuse(project: Project) -> None:
    data = project.folder / "table.csv"
    data.write_text("1")
    code = COPIES + f"    open({str(data)!r}, 'w').write('changed')\n"
    step = project.step("read", code, [Dataset.File.from_files(str(data)).as_named_input("t").as_mount(), _out()])
    ran = project.run(step)
    assert ran.status == "Completed"
    assert ran.heard.notes == [
        "an input or the environment changed while the step ran: its result is not kept for reuse"
    ]
    assert project.reuse_records() == []


def test_a_result_made_of_files_that_were_deleted_meanwhile_is_not_kept_for_reuse(project: Project) -> None:
    data = project.folder / "table.csv"
    data.write_text("1")
    code = COPIES + f"    import os; os.unlink({str(data)!r})\n"
    step = project.step("read", code, [Dataset.File.from_files(str(data)).as_named_input("t").as_mount(), _out()])
    assert project.run(step).status == "Completed"
    assert project.reuse_records() == []


def test_a_result_stays_when_what_it_was_made_of_cannot_be_listed_for_explanations(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = project.folder / "data.txt", _out()
    data.write_text("x")
    read = Dataset.File.from_files(str(data)).as_named_input("data").as_mount()
    step = project.step("copy", COPIES, [read, out], outputs=[out])

    def fail(*_: object) -> None:
        raise DataError("the input is gone")

    monkeypatch.setattr(Engine, "_remember_inputs", fail)
    ran = project.run(step)
    assert (ran.step("copy").status, ran.text("copy", "out")) == (RunStatus.COMPLETED, "x")
    assert project.run(step).reused() == ["copy"]


def test_a_gathered_input_can_be_walked(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "x.txt").write_text("x")
    state = WorkspaceState(tmp_path / "workspace")
    written = state.trees.identify(tmp_path / "a")
    handle = DataHandle((tmp_path / "a").as_uri(), written.kind, written.digest, written.files, written.bytes)
    port = InputPort("models", FromReference("train.model"))
    item = resolve(port, {"models": (handle,)}, state, "compare")
    path = provide(item, Stage("run", tmp_path / "stage", {}, ()), state.stores)
    assert [name for _, _, names in os.walk(path) for name in names] == ["x.txt"]


def _look(project: Project, item: object) -> list[str]:
    code = """
        import os, sys
        path = sys.argv[1]
        print(os.path.basename(path), open(path).read() if os.path.isfile(path) else sorted(os.listdir(path)))
    """
    return project.run(project.step("look", code, [item])).heard.lines


@pytest.fixture
def table(project: Project) -> Path:
    path = project.folder / "table.csv"
    path.write_text("1,2")
    return path


@pytest.mark.parametrize("way", ["as_mount", "as_download"])
def test_a_single_file_keeps_its_name_by_which_scripts_choose_how_to_read_it(
    project: Project, table: Path, way: str
) -> None:
    data = Dataset.File.from_files(str(table)).as_named_input("t")
    assert _look(project, getattr(data, way)()) == ["table.csv 1,2"]


def test_an_absolute_path_on_compute_is_kept_within_the_run_so_that_two_runs_never_meet(
    project: Project, table: Path
) -> None:
    for text in ("1,2", "3,4"):
        table.write_text(text)
        data = Dataset.File.from_files(str(table)).as_named_input("t").as_mount(path_on_compute="/data/in.csv")
        assert _look(project, data) == [f"in.csv {text}"]
    assert not Path("/data/in.csv").exists()


def test_an_input_may_not_be_put_outside_of_the_working_directory(project: Project, table: Path) -> None:
    data = Dataset.File.from_files(str(table)).as_named_input("t").as_download(path_on_compute="../../x")
    ran = project.run(project.step("look", "pass", [data]))
    assert "Input 't': path_on_compute '../../x' leads out of the working directory" in ran.error("look")
    assert project.leftovers() == []


def test_a_download_of_nothing_is_remarked_and_gives_a_path_of_the_steps_own(project: Project) -> None:
    reference = Datastore(project.workspace).path("not/yet", "late").as_download()
    out = PipelineData("out")
    code = "import os, sys; open(sys.argv[2], 'w').write(f'{os.path.exists(sys.argv[1])} {sys.argv[1]}')"
    ran = project.run(project.step("look", code, [reference, out], inputs=[reference], outputs=[out]))
    found, path = ran.text("look", "out").split(" ", 1)
    assert found == "False"
    assert "datastores" not in path
    (note,) = ran.heard.notes
    assert note.startswith("input 'late': nothing is at '")
    assert note.endswith("not/yet', so that nothing was downloaded")


def test_a_pattern_gives_a_folder_with_the_files_that_match(project: Project, table: Path) -> None:
    (project.folder / "other.txt").write_text("")
    (project.folder / "second.csv").write_text("")
    data = Dataset.File.from_files(str(project.folder / "*.csv")).as_named_input("t")
    for item in (data.as_mount(), data.as_download()):
        assert _look(project, item) == ["t ['second.csv', 'table.csv']"]


def test_what_an_earlier_step_wrote_and_is_gone_when_it_is_needed_is_named(project: Project) -> None:
    out, other = PipelineData("out"), PipelineData("other")

    class Deletes(Heard):
        def entered(self, key: str, phase: Phase) -> None:
            if key == "copy" and phase is Phase.STAGE:
                next(project.state.root.rglob("azureml/*/out")).unlink()

    ran = project.run(
        project.step("write", WRITES, [out]),
        project.step("copy", COPIES, [out, other], inputs=[out], outputs=[other]),
        listener=Deletes(),
    )
    assert "its input 'out' at" in ran.error("copy")
    assert "is no longer what an earlier step wrote: it was changed or deleted since" in ran.error("copy")


def test_a_step_does_not_start_on_data_that_was_changed_since_it_was_written(project: Project) -> None:
    out = PipelineData("out")
    tamper = "import glob, sys; open(glob.glob(sys.argv[1] + '/**/out', recursive=True)[0], 'a').write('!')"
    write = project.step("write", WRITES, [out])
    middle = project.step("tamper", tamper, [str(project.folder / "workspace" / "datastores")])
    read = project.step("read", COPIES, [out, PipelineData("copy")], inputs=[out])
    middle.run_after(write)
    read.run_after(middle)
    ran = project.run(write, middle, read)
    assert isinstance(ran.outcome.errors["read"], InputChangedError)
    assert "its input 'out' at" in ran.error("read")
    assert "is no longer what an earlier step wrote" in ran.error("read")
    assert "clear that step" in ran.error("read")
    assert project.leftovers() == []


def test_a_workspace_may_identify_data_by_its_definition_as_azure_ml_does(project: Project) -> None:
    table = project.folder / "table.csv"
    table.write_text("1")

    def run() -> Verdict:
        data = Dataset.File.from_files(str(table)).as_named_input("table").as_mount()
        return project.run(project.step("copy", COPIES, [data, PipelineData("out")], inputs=[data])).verdict("copy")

    assert run() is Verdict.FIRST
    table.write_text("changed")
    assert run() is Verdict.CHANGED
    project.workspace.set_data_identity("definition")
    run()
    table.write_text("changed once more")
    assert run() is Verdict.REUSED
    project.workspace.set_data_identity("content")
    assert run() is Verdict.CHANGED


def test_an_unknown_data_identity_names_the_known_ones(project: Project) -> None:
    with pytest.raises(UserError, match=r"Unknown data identity 'bytes'. Known: content, definition."):
        project.workspace.set_data_identity("bytes")
