"""Marking: what is in use through something else stays, and what only looks forgotten does, too."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fakes.project import WRITES, Project, Ran
from refrain import PipelineData
from refrain.data.output_config import LinkFileOutputDatasetConfig
from refrain.errors import WorkspaceError
from refrain.execution.cleaning import Cleaning, Waste, WasteKind
from refrain.storage.retention import Retention

DAY = 24 * 3600.0
LINKS = """
    import sys
    from refrain import Dataset, Run
    Run.get_context().output_datasets["chosen"].link(Dataset.File.from_files(sys.argv[1]))
"""
READS = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read() + sys.argv[3])"


def age(project: Project, days: float) -> None:
    """Let everything that is stored have been written *days* earlier."""
    for path in project.state.root.rglob("*"):
        status = path.lstat()
        os.utime(path, (status.st_atime - days * DAY, status.st_mtime - days * DAY), follow_symlinks=False)


def visit(project: Project) -> list[Waste]:
    return Cleaning(project.state, Retention(days=30)).clean()


def names(wastes: list[Waste], kind: WasteKind) -> list[str]:
    return sorted(waste.name for waste in wastes if waste.kind is kind)


def _linked(project: Project, told: str, force: bool | set[str] = False) -> Ran:
    data, out = PipelineData("data"), PipelineData("out")
    chosen = LinkFileOutputDatasetConfig("chosen")
    return project.run(
        project.step("make", WRITES, [data, "a"]),
        project.step("link", LINKS, [data], inputs=[data], outputs=[chosen]),
        project.step("read", READS, [chosen.as_input("chosen"), out, told], outputs=[out]),
        force=force,
    )


def test_the_data_behind_a_link_stays_as_long_as_the_link_is_used(project: Project) -> None:
    first = _linked(project, "1")
    age(project, 31)
    assert _linked(project, "1", force={"make"}).reused() == ["link", "read"]
    for _ in range(3):
        assert names(visit(project), WasteKind.STEP) == []
        age(project, 8)
    again = _linked(project, "2")
    assert (again.reused(), again.text("read", "out")) == (["link", "make"], "a2")
    assert first.text("make", "data") == "a"


def test_the_data_behind_a_link_goes_with_the_link(project: Project) -> None:
    ran = _linked(project, "1")
    for _ in range(3):
        age(project, 31)
        visit(project)
    assert not ran.path("make", "data").exists()
    assert project.state.objects.names("runs") == []


def test_data_behind_a_link_whose_maker_is_not_on_record_stays(project: Project) -> None:
    first = _linked(project, "1")
    assert _linked(project, "1", force={"make"}).reused() == ["link", "read"]
    shutil.rmtree(project.state.root / f"runs/{first.id}/steps/make.1")
    age(project, 8)
    assert names(visit(project), WasteKind.DATA) == []
    assert first.text("make", "data") == "a"


def test_a_pinned_result_stays_although_its_run_is_not_on_record(project: Project) -> None:
    step = project.step("made", WRITES, [PipelineData("out"), "x"])
    ran = project.run(step)
    project.workspace.reuse.pin(ran.id)
    shutil.rmtree(project.state.root / "runs" / ran.id)
    for _ in range(3):
        age(project, 31)
        assert names(visit(project), WasteKind.RESULT) == []
    assert project.run(step).reused() == ["made"]
    assert ran.text("made", "out") == "x"


def test_nothing_goes_while_a_document_that_may_name_it_cannot_be_read(project: Project) -> None:
    out = PipelineData("out")
    ran = project.run(project.step("made", WRITES, [out, "x"], outputs=[out.as_dataset().register("kept")]))
    (document,) = (path for path in (project.state.root / "registry").rglob("*") if ran.id.encode() in _bytes(path))
    content = document.read_bytes()
    document.unlink()
    document.symlink_to(document)  # which the system refuses to read
    for _ in range(2):
        age(project, 31)
        with pytest.raises(WorkspaceError, match=r"Cannot read '.*registry/.*': Too many levels"):
            visit(project)
    document.unlink()
    document.write_bytes(content)
    assert names(visit(project), WasteKind.STEP) == []
    assert ran.text("made", "out") == "x"


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_registered_data_whose_run_is_not_on_record_stays(project: Project) -> None:
    out = PipelineData("out")
    ran = project.run(project.step("made", WRITES, [out, "x"], outputs=[out.as_dataset().register("kept")]))
    shutil.rmtree(project.state.root / "runs" / ran.id)
    age(project, 31)
    assert names(visit(project), WasteKind.DATA) == []
    assert ran.text("made", "out") == "x"
