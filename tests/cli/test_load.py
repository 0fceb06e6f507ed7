from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.sample import PIPELINE, Refrain, write

TWO = PIPELINE + '\nother = Pipeline(workspace, [prepare], name="only prepare")\nagain = pipeline\n'


def _explained(refrain: Refrain, *words: str) -> list[str]:
    return [step["key"] for step in refrain("explain", *words, "--json").document["steps"]]


def test_a_file_with_one_pipeline_needs_no_name(refrain: Refrain, project: Path) -> None:
    assert _explained(refrain, "pipeline.py") == ["prepare", "train"]


@pytest.mark.parametrize("name", ["other", "only prepare"])
def test_one_of_several_is_chosen_by_variable_or_name(refrain: Refrain, project: Path, name: str) -> None:
    write(project, "two.py", TWO)
    assert _explained(refrain, f"two.py:{name}") == ["prepare"]


def test_several_pipelines_without_a_name_are_listed(refrain: Refrain, project: Path) -> None:
    write(project, "two.py", TWO)
    called = refrain("run", "two.py")
    assert called.code == 2
    assert called.err == "refrain: 'two.py' defines several pipelines: other, pipeline. Choose one: two.py:pipeline\n"


def test_an_unknown_name_brings_the_known_ones(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "pipeline.py:pipelin")
    assert called.code == 2
    assert "defines no pipeline 'pipelin'. Known: pipeline. Did you mean 'pipeline'?" in called.err


def test_a_missing_file_is_named(refrain: Refrain, project: Path) -> None:
    called = refrain("run", "nope.py:x")
    assert (called.code, called.err) == (2, f"refrain: There is no file 'nope.py' (in '{project}').\n")


def test_a_folder_is_no_file(refrain: Refrain, project: Path) -> None:
    called = refrain("run", ".")
    assert called.code == 2
    assert "is a folder; name a Python file that defines a pipeline. There: pipeline.py." in called.err


def test_no_file_at_all_is_wrong_use(refrain: Refrain, project: Path) -> None:
    called = refrain("run")
    assert called.code == 2
    assert "Name the file that defines the pipeline" in called.err


def test_a_colon_in_the_file_s_name_does_not_disturb(refrain: Refrain, project: Path) -> None:
    write(project, "odd:name.py", PIPELINE)
    assert _explained(refrain, "odd:name.py") == ["prepare", "train"]
    assert _explained(refrain, "odd:name.py:pipeline") == ["prepare", "train"]


def test_a_syntax_error_is_told_with_its_line(refrain: Refrain, project: Path) -> None:
    write(project, "broken.py", "x = 1\ny = (\n")
    called = refrain("run", "broken.py")
    assert called.code == 2
    assert re.search(r"refrain: 'broken\.py', line 2: .*: y = \(", called.err)


def test_an_exception_is_told_with_the_user_s_own_lines(refrain: Refrain, project: Path) -> None:
    write(project, "helper_of_broken.py", "def half(x):\n    return x / 0\n")
    write(project, "broken.py", "from helper_of_broken import half\nhalf(1)\n")
    called = refrain("run", "broken.py")
    assert called.code == 2
    assert "half(1)" in called.err
    assert "return x / 0" in called.err
    assert called.err.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "load.py" not in called.err


def test_a_wrong_definition_is_told_with_the_line_that_made_it(refrain: Refrain, project: Path) -> None:
    write(project, "broken.py", "from refrain import Pipeline\n\nPipeline(None, [])\n")
    called = refrain("run", "broken.py")
    assert called.code == 2
    assert f"{project}/broken.py, line 3: A Pipeline needs a Workspace first" in called.err


def test_a_file_that_ends_python_is_told(refrain: Refrain, project: Path) -> None:
    write(project, "ends.py", "raise SystemExit(0)\n")
    called = refrain("run", "ends.py")
    assert called.code == 2
    assert "'ends.py' ended Python (SystemExit(0)) instead of defining a pipeline." in called.err


def test_a_file_without_a_pipeline_is_told(refrain: Refrain, project: Path) -> None:
    write(project, "empty.py", "x = 1\n")
    called = refrain("run", "empty.py")
    assert called.code == 2
    assert "'empty.py' defines no pipeline: assign one to a name at its top level" in called.err


def test_a_missing_package_for_airflow_brings_the_command_to_install_it(refrain: Refrain, project: Path) -> None:
    write(project, "needs.py", "raise ModuleNotFoundError(\"No module named 'airflow'\", name='airflow')\n")
    assert "pip install 'refrain[airflow]'" in refrain("run", "needs.py").err


def test_what_a_file_prints_does_not_disturb_the_document(refrain: Refrain, project: Path) -> None:
    write(project, "talks.py", 'print("hello")\n' + PIPELINE)
    called = refrain("explain", "talks.py", "--json")
    assert called.document["pipeline"] == "retrain"
    assert "hello" in called.err


def test_a_file_is_executed_as_it_is_now_and_leaves_no_bytecode(refrain: Refrain, project: Path) -> None:
    for value in ("0.5", "0.6"):
        write(project, "pipeline.py", PIPELINE.replace("0.5", value))
        step = refrain("explain", "pipeline.py", "train", "--json")
        assert step.code == 0
    assert not list(project.glob("__pycache__"))


def test_a_file_sees_that_it_is_only_asked_for_its_pipelines(refrain: Refrain, project: Path) -> None:
    text = "from refrain.pipelines.pipeline import is_defining\nassert is_defining()\n"
    write(project, "asks.py", text + PIPELINE)
    assert refrain("explain", "asks.py").code == 0


def test_a_pipeline_that_has_no_name_but_becomes_a_dag_is_found_by_its_own(refrain: Refrain, project: Path) -> None:
    text = """
from refrain.pipelines.pipeline import is_defining, note_defined
assert is_defining()
note_defined(pipeline)
del pipeline
"""
    write(project, "dag.py", PIPELINE + text)
    assert refrain("explain", "dag.py:retrain", "--json").document["pipeline"] == "retrain"


def test_force_before_the_file_does_not_swallow_it(refrain: Refrain, project: Path) -> None:
    found = refrain("explain", "--force", "train", "pipeline.py", "--json").document["steps"]
    assert [step["verdict"] for step in found] == ["first run", "waits for its inputs"]
