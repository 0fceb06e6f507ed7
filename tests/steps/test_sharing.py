"""Which steps run again together, because they have one source directory."""

from __future__ import annotations

from pathlib import Path

from refrain import Pipeline, PythonScriptStep, Workspace
from refrain.steps.command import Literal
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition
from refrain.steps.sharing import shared_sources


def _warnings(tmp_path: Path, *steps: tuple[str, str, str]) -> dict[str, str]:
    """Return the warnings on steps given by name, script and further settings."""
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    made = []
    for name, script, mode in steps:
        (source / script).write_text("")
        made.append(PythonScriptStep(script, name, source_directory=str(source), hash_mode=mode))
    return shared_sources(Pipeline(Workspace(tmp_path / "workspace"), made, name="p").definition)


def test_two_scripts_in_one_directory_are_named_once(tmp_path: Path) -> None:
    warnings = _warnings(tmp_path, ("load", "load.py", "snapshot"), ("fit", "fit.py", "snapshot"))
    assert list(warnings) == ["load"]
    place = str(tmp_path / "source")
    assert warnings["load"] == (
        f"Steps fit, load share the source directory {place!r}: a change of any file in it makes all of them run "
        "again. Give each a directory of its own, or hash_mode='imports'."
    )


def test_one_script_with_several_arguments_shares_its_directory_rightly(tmp_path: Path) -> None:
    assert _warnings(tmp_path, ("one", "fit.py", "snapshot"), ("two", "fit.py", "snapshot")) == {}


def test_a_step_that_counts_its_imports_alone_is_no_such_case(tmp_path: Path) -> None:
    assert _warnings(tmp_path, ("load", "load.py", "imports"), ("fit", "fit.py", "snapshot")) == {}


def test_steps_without_a_source_share_none() -> None:
    steps = (StepDefinition(key, key, "data_transfer", SourceCode(), (Literal(key),)) for key in ("one", "two"))
    assert shared_sources(PipelineDefinition("p", tuple(steps))) == {}
