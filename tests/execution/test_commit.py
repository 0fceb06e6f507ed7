"""What becomes of outputs, and that nothing half-written stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.project import WRITES, Project, Ran
from refrain import OutputFileDatasetConfig, PipelineData
from refrain.errors import OutputError, WorkspaceError
from refrain.reuse.decision import Verdict
from refrain.tracking.record import RunRecord, RunStatus, RunStore


def _nothing_stays(project: Project) -> None:
    assert project.leftovers() == []
    assert project.outputs() == []
    assert project.reuse_records() == []


def test_an_output_that_was_not_written_names_the_path_and_where_to_find_it(project: Project) -> None:
    ran = project.run(project.step("lazy", "pass", [PipelineData("out")]))
    assert isinstance(ran.outcome.errors["lazy"], OutputError)
    assert "Step 'lazy' ended well, but its output 'out' was not written to" in ran.error("lazy")
    assert "The script gets that path where the output stands in its arguments." in ran.error("lazy")
    _nothing_stays(project)


def test_an_output_that_is_empty_is_refused(project: Project) -> None:
    ran = project.run(project.step("empty", "pass", [OutputFileDatasetConfig("out")]))
    assert "its output 'out' at" in ran.error("empty")
    assert ran.error("empty").endswith("is an empty directory.")
    _nothing_stays(project)


def test_no_output_is_published_when_one_of_two_is_missing(project: Project) -> None:
    step = project.step("half", WRITES, [PipelineData("there"), PipelineData("missing")])
    assert isinstance(project.run(step).outcome.errors["half"], OutputError)
    _nothing_stays(project)


def test_writing_into_a_plain_output_as_into_a_directory_is_explained(project: Project) -> None:
    ran = project.run(project.step("leaf", "import sys; open(sys.argv[1] + '/x', 'w')", [PipelineData("out")]))
    assert "The output 'out' may be a file, so no directory was made for it: call os.makedirs" in ran.error("leaf")


@pytest.mark.parametrize("link", ["os.symlink('/etc/hostname', sys.argv[1])", "os.symlink('/etc', sys.argv[1])"])
def test_an_output_that_is_a_link_is_refused(project: Project, link: str) -> None:
    ran = project.run(project.step("link", f"import os, sys; {link}", [PipelineData("out")]))
    assert "is a link to '/etc" in ran.error("link")
    assert ran.error("link").endswith("which others can change; copy the data instead.")
    _nothing_stays(project)


def test_a_link_that_leaves_its_output_is_refused(project: Project) -> None:
    code = "import os, sys; os.symlink('/etc/hostname', sys.argv[1] + '/link')"
    ran = project.run(project.step("link", code, [OutputFileDatasetConfig("out")]))
    assert "its output 'out' cannot be stored: The link" in ran.error("link")
    assert "copy the data instead" in ran.error("link")
    _nothing_stays(project)


def test_a_link_within_an_output_leads_to_the_same_file_after_the_move(project: Project) -> None:
    code = """
        import os, sys
        out = sys.argv[1]
        os.makedirs(out + "/deep")
        open(out + "/real.txt", "w").write("real")
        os.symlink(out + "/real.txt", out + "/deep/absolute")
        os.symlink("../real.txt", out + "/deep/relative")
    """
    output = OutputFileDatasetConfig("out")
    ran = project.run(project.step("link", code, [output]))
    assert (ran.path("link", "out") / "deep" / "absolute").read_text() == "real"
    assert (ran.path("link", "out") / "deep" / "relative").read_text() == "real"
    assert project.run(project.step("link", code, [OutputFileDatasetConfig("out")])).reused() == ["link"]


def test_a_special_file_in_an_output_is_refused(project: Project) -> None:
    ran = project.run(project.step("fifo", "import os, sys; os.mkfifo(sys.argv[1])", [PipelineData("out")]))
    assert "its output 'out' cannot be stored" in ran.error("fifo")
    _nothing_stays(project)


def test_an_output_may_not_be_written_outside_of_the_working_directory(project: Project) -> None:
    out = PipelineData("out", output_mode="upload", output_path_on_compute="../../out")
    ran = project.run(project.step("escape", "pass", outputs=[out]))
    assert "Output 'out': path_on_compute '../../out' leads out of the working directory" in ran.error("escape")
    _nothing_stays(project)


def test_files_larger_than_allowed_fail_the_step_and_leave_nothing(project: Project) -> None:
    """The limit stands for a full disk: a write is refused in the middle of a file."""
    code = f"""
from pathlib import Path
import resource, signal
from fakes.project import Project
from refrain import PipelineData
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
project = Project(Path({str(project.folder)!r}))
project.workspace.name
big = project.step("big", "import sys; open(sys.argv[1], 'wb').write(b'x' * 4_000_000)", [PipelineData("out")])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
ran = project.run(big)
print(ran.status, ran.error("big").splitlines()[-1])
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "Failed" in done.stdout
    assert "File too large" in done.stdout
    _nothing_stays(project)


def test_a_full_disk_fails_the_step_with_the_reason_and_leaves_nothing(project: Project, small_disk: Path) -> None:
    from refrain import Workspace

    project.workspace = Workspace(small_disk / "workspace")
    code = "import sys; open(sys.argv[1], 'wb').write(b'x' * 1_700_000); open('rest', 'wb').write(b'x' * 4_000_000)"
    ran = project.run(project.step("fill", code, [PipelineData("out")]))
    assert "No space left on device" in ran.error("fill")
    _nothing_stays(project)
    assert project.run(project.step("small", WRITES, [PipelineData("out")])).status == "Completed"


def _fixed(project: Project, name: str, path: str) -> OutputFileDatasetConfig:
    return OutputFileDatasetConfig(name, destination=(project.workspace.get_default_datastore(), path))


WRITES_PART = "import sys; open(sys.argv[1] + '/' + sys.argv[2], 'w').write(sys.argv[2])"


def test_a_place_that_several_runs_share_is_merged_and_counts_as_a_whole(project: Project) -> None:
    one = project.run(project.step("one", WRITES_PART, [_fixed(project, "out", "shared"), "a"]))
    two = project.run(project.step("two", WRITES_PART, [_fixed(project, "out", "shared"), "b"]))
    assert one.path("one", "out") == two.path("two", "out")
    assert sorted(path.name for path in two.path("two", "out").iterdir()) == ["a", "b"]
    assert two.result("two").outputs["out"].files == 2
    assert project.run(project.step("two", WRITES_PART, [_fixed(project, "out", "shared"), "b"])).reused() == ["two"]
    again = project.run(project.step("one", WRITES_PART, [_fixed(project, "out", "shared"), "a"]))
    assert again.verdict("one") is Verdict.OUTPUT_CHANGED


def test_links_to_folders_and_empty_folders_are_merged_like_files(project: Project) -> None:
    code = """
        import os, sys
        out, name = sys.argv[1:]
        for folder in ("real", "empty"):
            os.makedirs(f"{out}/{name}/{folder}")
        open(f"{out}/{name}/real/file", "w").write(name)
        os.symlink("real", f"{out}/{name}/alias")
    """
    for name in "ab":
        ran = project.run(project.step(name, code, [_fixed(project, "out", "shared"), name]))
        folder = ran.path(name, "out") / name
        assert (folder / "alias/file").read_text() == name
        assert list((folder / "empty").iterdir()) == []
    assert project.run(project.step("b", code, [_fixed(project, "out", "shared"), "b"])).reused() == ["b"]


def test_data_at_a_shared_place_is_not_replaced_unless_the_output_says_so(project: Project) -> None:
    code = "import os, sys; os.makedirs('out', exist_ok=True); open('out/a', 'w').write(sys.argv[1])"

    def run(text: str, overwrite: bool) -> Ran:
        output = _fixed(project, "out", "shared").as_upload(overwrite=overwrite)
        return project.run(project.step("write", code, [text], outputs=[output]))

    assert run("1", False).status == "Completed"
    refused = run("2", False)
    assert "its output 'out' would replace" in refused.error("write")
    assert refused.error("write").endswith("Pass overwrite=True, or put {run-id} into its destination.")
    assert (run("3", True).path("write", "out") / "a").read_text() == "3"


def test_two_outputs_of_one_step_may_go_to_the_same_place(project: Project) -> None:
    code = "import sys; [open(path + f'/f{n}', 'w') for n, path in enumerate(sys.argv[1:])]"
    for expected in ([], ["both"]):
        outputs = [_fixed(project, "a", "together/{run-id}"), _fixed(project, "b", "together/{run-id}")]
        ran = project.run(project.step("both", code, outputs))
        assert ran.status == "Completed", ran.outcome.errors
        assert ran.reused() == expected
    assert sorted(path.name for path in ran.path("both", "a").iterdir()) == ["f0", "f1"]


def test_outputs_are_taken_back_when_the_run_record_cannot_be_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = RunStore.put

    def full(self: RunStore, record: RunRecord, *, durable: bool = False) -> None:
        if durable:
            raise WorkspaceError("Cannot write 'run.json': No space left on device.")
        put(self, record)

    monkeypatch.setattr(RunStore, "put", full)
    ran = project.run(project.step("write", WRITES, [PipelineData("out")]))
    assert ran.error("write") == "Cannot write 'run.json': No space left on device."
    assert ran.step("write").status is RunStatus.FAILED
    assert [path for path in project.outputs() if path.endswith("out")] == []
    assert project.reuse_records() == []


def test_only_the_files_that_were_asked_for_are_kept(project: Project) -> None:
    code = "import os; os.makedirs('out/d'); [open(f'out/{n}', 'w') for n in ('a.bin', 'b.txt', 'd/c.bin')]"
    output = OutputFileDatasetConfig("out", source="out").as_upload(source_globs=["*.bin"])
    ran = project.run(project.step("some", code, outputs=[output]))
    folder = ran.path("some", "out")
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == ["a.bin", "d/c.bin"]


def test_an_output_on_another_file_system_arrives_whole(project: Project, small_disk: Path) -> None:
    from refrain import Datastore

    Datastore.register_folder(project.workspace, "other", small_disk)
    out = PipelineData("out", datastore=Datastore.get(project.workspace, "other"), output_mode="upload",
                       output_path_on_compute="made")  # fmt: skip
    code = "import os; os.makedirs('made/d'); open('made/d/x', 'w').write('x'); os.symlink('d/x', 'made/link')"
    ran = project.run(project.step("make", code, outputs=[out]))
    assert ran.status == "Completed", ran.outcome.errors
    assert (ran.path("make", "out") / "link").read_text() == "x"
    assert [path.name for path in small_disk.rglob(".refrain-*")] == []
