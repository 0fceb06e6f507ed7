from __future__ import annotations

from pathlib import Path

import pytest

from cli.sample import Refrain, Start, write
from fakes.wheels import make_wheel
from refrain import Environment, Workspace

PIPELINE = """
from refrain import CondaDependencies, Pipeline, PythonScriptStep, RunConfiguration, Workspace

config = RunConfiguration(conda_dependencies=CondaDependencies("env.yml"))
steps = [
    PythonScriptStep("plain.py", name="plain", source_directory="plain"),
    PythonScriptStep("say.py", name="say", source_directory="say", runconfig=config),
]
pipeline = Pipeline(Workspace(), steps, name="with_tool")
"""


@pytest.fixture
def tool(project: Path) -> Path:
    """An environment file that asks for a package of a folder of wheels."""
    make_wheel(project / "wheels", "tool", "1.0")
    write(project, "env.yml", "dependencies: [pip: [tool, --no-index, -f wheels]]")
    write(project, "say/say.py", "import tool; print(tool.VERSION)")
    write(project, "plain/plain.py", "print(1)")
    write(project, "tools.py", PIPELINE)
    return project


def test_it_is_built_ahead_listed_and_shown(refrain: Refrain, tool: Path) -> None:
    assert "No environment is built on this machine." in refrain("env").out
    called = refrain("env", "build", "env.yml")
    assert (called.code, called.out.startswith("env.yml: ")) == (0, True)
    assert "building it with CPython" in called.err
    (built,) = refrain("env", "list", "--json").document["built"]
    assert [package.partition("#")[0] for package in built["packages"]] == ["tool==1.0"]
    assert built["digest"][:12] in refrain("env", "list").out
    assert "1 packages\n  tool==1.0" in refrain("env", "show", built["digest"][:8]).out
    assert "env.yml: CPython" in refrain("env", "show", "env.yml").out


def test_the_environments_of_a_pipeline_are_built_for_its_steps(refrain: Refrain, tool: Path) -> None:
    assert list(refrain("env", "build", "tools.py", "--json").document["environments"]) == ["say"]
    called = refrain("run", "tools.py")
    assert called.code == 0, called.err
    assert "building" not in called.err
    run = refrain("runs", "show", "--json").document["run_id"]
    assert "Packages     tool==1.0" in refrain("runs", "show", f"{run}.say").out


def test_a_registered_environment_is_built_by_its_name(refrain: Refrain, tool: Path) -> None:
    Environment.from_conda_specification("tools", tool / "env.yml").register(Workspace())
    assert refrain("env", "build", "tools:1").code == 0
    assert refrain("env", "list", "--json").document["registered"] == {"tools": "1"}


def test_newer_packages_are_taken_when_they_are_asked_for(refrain: Refrain, tool: Path) -> None:
    refrain("env", "build", "env.yml")
    make_wheel(tool / "wheels", "tool", "2.0")
    assert "tool==1.0" in refrain("env", "show", "env.yml").out
    refrain("env", "build", "env.yml", "--renew")
    assert "tool==2.0" in refrain("env", "show", "env.yml").out


def test_what_is_unused_is_pruned(refrain: Refrain, tool: Path, start: Start) -> None:
    start("env", "build", "env.yml").communicate()  # what this process builds is in its use
    assert refrain("env", "prune", "--days", "1").out == "Nothing was to be deleted.\n"
    assert refrain("env", "prune", "--limit", "1G").out == "Nothing was to be deleted.\n"
    called = refrain("env", "prune", "--limit", "1")
    assert called.out.startswith("Deleted ")
    assert "1 deleted, " in called.out
    assert refrain("env", "--json").document["built"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("env", "prune"), "Say which environments are to go: --days N unused, all beyond --limit SIZE, or --all."),
        (("env", "show", "nothing"), "There is no environment 'nothing'. Known: none."),
        (("env", "build", "pipeline.py"), "No step of 'pipeline.py' has an environment with packages."),
        (("env", "prune", "--limit", "much"), "--limit"),
    ],
)
def test_wrong_use_is_told(refrain: Refrain, tool: Path, words: tuple[str, ...], message: str) -> None:
    called = refrain(*words)
    assert called.code == 2
    assert message in called.err
