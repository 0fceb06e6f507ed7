"""Which files of a source count, as a step's author declares it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from refrain import Pipeline, PythonScriptStep, RunConfiguration, Workspace
from refrain.errors import UserError
from refrain.steps.counting import select
from refrain.steps.definition import Counted, PipelineDefinition
from refrain.steps.imports import Import, Imported


def _definition(tmp_path: Path, **options: Any) -> PipelineDefinition:
    (tmp_path / "train.py").write_text("")
    step = PythonScriptStep("train.py", source_directory=str(tmp_path), **options)
    return Pipeline(Workspace(tmp_path / "workspace"), [step], name="p").definition


def _config(name: str) -> RunConfiguration:
    config = RunConfiguration()
    config.environment_variables = {name: "lib"}
    return config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hash_mode": "import"}, "hash_mode must be 'snapshot' or 'imports', not 'import'"),
        (
            {"hash_include": ["*.yaml"]},
            "hash_include adds to hash_mode='imports'; without it everything",
        ),
        ({"hash_exclude": ["*.py"]}, "hash_exclude=['*.py'] leaves out the script 'train.py' itself"),
        ({"hash_exclude": "*.md"}, "hash_exclude must be a list of patterns such as '*.yaml', not '*.md'"),
        ({"hash_exclude": [1]}, "hash_exclude must be a list of patterns such as '*.yaml', not [1]"),
        (
            {"hash_mode": "imports", "runconfig": _config("PYTHONPATH")},
            "cannot follow imports where the variable PYTHONPATH leads them",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        _definition(tmp_path, **options)


def test_what_counts_is_part_of_the_definition_and_survives_storing(tmp_path: Path) -> None:
    definition = _definition(tmp_path, hash_mode="imports", hash_include=["*.yaml"], hash_exclude=["*.md"])
    assert definition.steps[0].source.counted == Counted("train.py", ("*.yaml",), ("*.md",))
    assert PipelineDefinition.from_json(definition.to_json()) == definition


def test_a_definition_that_was_stored_before_counts_everything(tmp_path: Path) -> None:
    document = _definition(tmp_path).to_json()
    del document["steps"][0]["source"]["counted"]
    assert PipelineDefinition.from_json(document).steps[0].source.counted is None


FILES = {
    "train.py": Imported((Import(0, "util"),)),
    "util.py": Imported(),
    "other.py": Imported(),
    "conf/a.yaml": Imported(),
    "README.md": Imported(),
}


@pytest.mark.parametrize(
    ("counted", "chosen"),
    [
        (Counted("train.py"), {"train.py", "util.py"}),
        (Counted("train.py", ("*.yaml",)), {"train.py", "util.py", "conf/a.yaml"}),
        (Counted("train.py", ("conf/",), ("a.yaml",)), {"train.py", "util.py"}),
        (Counted("train.py", (), ("util.py",)), {"train.py"}),
        (Counted(None, (), ("*.md",)), {"train.py", "util.py", "other.py", "conf/a.yaml"}),
    ],
)
def test_imports_and_patterns_choose(counted: Counted, chosen: set[str]) -> None:
    assert select(FILES, counted, FILES.__getitem__) == (chosen, "")


def test_in_doubt_everything_counts_but_what_is_excluded() -> None:
    files = {**FILES, "util.py": Imported(doubt="line 3: it imports importlib")}
    chosen, note = select(files, Counted("train.py", (), ("*.md",)), files.__getitem__)
    assert chosen == FILES.keys() - {"README.md"}
    assert note == (
        "its whole source counts, because nobody can say what it imports: util.py, line 3: it imports importlib"
    )
