"""What of a source counts, seen from outside: which edits make a step run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project, Ran
from refrain import PipelineData
from refrain.execution.sources import Sources
from refrain.reuse.decision import Decision, Verdict

MAIN = "import sys, util\nopen(sys.argv[1], 'w').write(util.text + open('data.txt').read())\n"


@pytest.fixture
def source(project: Project) -> Path:
    folder = project.source("main", MAIN)
    (folder / "util.py").write_text("from pkg.deep import text\n")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "deep.py").write_text("text = 'deep '\n")
    (folder / "pkg" / "other.py").write_text("")
    (folder / "data.txt").write_text("data")
    (folder / "README.md").write_text("About")
    return folder


def _run(project: Project, hash_mode: str = "imports", **options: Any) -> Ran:
    return project.run(project.step("main", MAIN, [PipelineData("out")], hash_mode=hash_mode, **options))


def _edit(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["README.md", "pkg/other.py", "more.py", "pkg/deep/unrelated.txt"])
def test_what_is_not_imported_does_not_count(project: Project, source: Path, name: str) -> None:
    _run(project)
    _edit(source / name, "edited = 1\n")
    assert _run(project).verdict("main") is Verdict.REUSED


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pkg/deep.py", "changed pkg/deep.py"),
        ("main.py", "changed main.py"),
        ("util.py", "changed util.py; removed pkg/deep.py"),
        ("pkg/__init__.py", "added pkg/__init__.py"),  # a package now, whose code runs first
        ("pkg/deep/__init__.py", "added pkg/deep/__init__.py"),  # takes the place of pkg/deep.py
        ("sys.py", "added sys.py"),  # could take the place of a standard module
    ],
)
def test_what_is_imported_counts_and_is_named(project: Project, source: Path, name: str, why: str) -> None:
    _run(project)
    code = MAIN + "# edited\n" if name == "main.py" else "text = 'edited '\n"
    _edit(source / name, code)
    ran = project.run(
        project.step("main", code if name == "main.py" else MAIN, [PipelineData("out")], hash_mode="imports")
    )
    assert ran.step("main").decision["sentence"] == f"runs: changed: source: {why}"


def test_the_whole_source_is_there_when_the_step_runs(project: Project, source: Path) -> None:
    assert _run(project).text("main", "out") == "deep data"


def test_data_that_is_included_counts(project: Project, source: Path) -> None:
    _run(project, hash_include=["*.txt"])
    _edit(source / "data.txt", "other data")
    ran = _run(project, hash_include=["*.txt"])
    assert ran.step("main").decision["sentence"] == "runs: changed: source: changed data.txt"
    assert ran.text("main", "out") == "deep other data"


def test_what_is_excluded_does_not_count(project: Project, source: Path) -> None:
    _run(project, "snapshot", hash_exclude=["*.md"])
    _edit(source / "README.md", "edited")
    assert _run(project, "snapshot", hash_exclude=["*.md"]).verdict("main") is Verdict.REUSED
    _edit(source / "pkg/other.py", "x = 1")
    assert _run(project, "snapshot", hash_exclude=["*.md"]).verdict("main") is Verdict.CHANGED


def test_a_step_whose_whole_source_counts_never_takes_the_result_of_one_that_left_files_out(
    project: Project, source: Path
) -> None:
    _run(project)
    for path in (source / "data.txt", source / "README.md", source / "pkg/other.py"):
        path.unlink()
    _edit(source / "main.py", MAIN)
    code = MAIN.replace(" + open('data.txt').read()", "")
    one = project.run(project.step("main", code, [PipelineData("out")], hash_mode="imports"))
    other = project.run(project.step("main", code, [PipelineData("out")]))
    assert one.step("main").fingerprint == other.step("main").fingerprint, "all files are counted by both"
    assert other.verdict("main") is Verdict.REUSED
    _edit(source / "README.md", "back")
    assert project.run(project.step("main", code, [PipelineData("out")])).verdict("main") is Verdict.CHANGED


def test_in_doubt_the_whole_source_counts_and_the_step_says_why(project: Project, source: Path) -> None:
    _edit(source / "util.py", "import importlib\ntext = importlib.import_module('pkg.deep').text\n")
    first = _run(project)
    assert first.heard.notes == [
        "its whole source counts, because nobody can say what it imports: util.py, line 1: it imports importlib"
    ]
    assert str(first.step("main").decision["note"]) == first.heard.notes[0]
    _edit(source / "README.md", "edited")
    assert _run(project).verdict("main") is Verdict.CHANGED


def test_a_frozen_source_counts_as_its_directory_did(project: Project, source: Path) -> None:
    runner, _ = project.runner(project.step("main", MAIN, [PipelineData("out")], hash_mode="imports"))
    frozen = Sources(project.state).freeze(runner._definition).steps[0].source
    assert (frozen.directory, frozen.snapshot is not None) == (None, True)
    decision = runner.explain()["main"]
    assert isinstance(decision, Decision)
    assert decision.preimage is not None
    selection = Sources(project.state).selection(frozen)
    assert (selection.digest, selection.part is not None) == (decision.preimage["snapshot"], True)


def test_steps_that_share_a_source_are_named_once_when_a_run_begins(project: Project, source: Path) -> None:
    (source / "second.py").write_text(MAIN)
    steps = [project.step("main", MAIN, [PipelineData("one")]) for _ in range(1)]
    other = project.step("main", MAIN, [PipelineData("two")])
    other.script_name, other.name = "second.py", "second"
    ran = project.run(*steps, other)
    (warning,) = ran.heard.warnings
    assert warning.startswith(f"Steps main, second share the source directory {str(source)!r}")
