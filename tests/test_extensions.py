"""A package of somebody else's adds a compute target and a kind of step, by entry points alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.compute.kinds import kind
from refrain.errors import UnknownNameError, UserError
from refrain.extensions import load, load_object

_PACKAGE = Path(__file__).parent / "extension_package"

_PIPELINE = """
from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain_niceness.steps import WriteTextStep

workspace = Workspace({root!r})
text = PipelineData("text")
write = WriteTextStep("hello", text)
show = PythonScriptStep(
    "show.py", source_directory={source!r}, arguments=[text], inputs=[text], compute_target="quiet"
)
pipeline = Pipeline(workspace, [show], name="extended")
"""
_SHOW = """
import os, sys
print("niceness", os.getpriority(os.PRIO_PROCESS, 0), open(os.path.join(sys.argv[1], "text.txt")).read())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built and installed into a folder as pip does it."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(_PACKAGE, folder / "source")
    command = ["uv", "pip", "install", "--no-build-isolation", "--no-deps", "--offline", "--target", "installed"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    python = ["--python", sys.executable]
    subprocess.run([*command, *python, str(source)], cwd=folder, env=environment, check=True, capture_output=True)
    return folder / "installed"


def _refrain(site: Path, root: Path, *words: str) -> tuple[int, dict[str, object], str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "REFRAIN_WORKSPACE": str(root),
        "REFRAIN_CACHE": str(root.parent / "cache"),
    }
    command = [sys.executable, "-m", "refrain.cli", *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=root.parent)
    return done.returncode, json.loads(done.stdout or "{}"), done.stdout + done.stderr


def test_a_compute_target_and_a_step_of_another_package_are_used_like_ours(site: Path, tmp_path: Path) -> None:
    root, source = tmp_path / "workspace", tmp_path / "source"
    source.mkdir()
    (source / "show.py").write_text(_SHOW)
    (tmp_path / "pipeline.py").write_text(_PIPELINE.format(root=str(root), source=str(source)))

    code, listed, said = _refrain(site, root, "compute", "list")
    assert code == 0, said
    assert "nice" in listed["kinds"]
    assert _refrain(site, root, "compute", "set", "quiet", "nice", "niceness=7")[0] == 0
    code, tested, said = _refrain(site, root, "compute", "test", "quiet")
    assert code == 0, said
    assert "niceness 7" in str(tested["works"])

    for expected in ("ran", "reused"):
        code, _, said = _refrain(site, root, "run", str(tmp_path / "pipeline.py"))
        assert code == 0, (expected, said)
    logs = [path.read_text() for path in root.glob("runs/*/steps/*/logs/std_log.txt")]
    assert len(logs) == 1, "the second run reuses both"
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert f"niceness {min(niceness, 19)} hello" in logs[0]


def test_a_setting_that_the_other_package_refuses_is_told_with_the_targets_name(site: Path, tmp_path: Path) -> None:
    code, _, said = _refrain(site, tmp_path / "workspace", "compute", "set", "quiet", "nice", "niceness=70")

    assert code == 2
    assert "Compute target 'quiet': niceness must be from 0 to 19, not 70." in said


def test_a_kind_that_nothing_installed_has_is_named_with_those_that_are_there() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown kind of compute target 'lokal'. Known: .*local.* 'local'\?"):
        kind("lokal")


def test_a_group_without_a_name_gives_nothing() -> None:
    assert load("refrain.compute", "no such kind") is None


def test_what_cannot_be_imported_is_named_with_its_package() -> None:
    with pytest.raises(UserError, match=r"'nowhere:Kind' cannot be loaded: No module named 'nowhere'"):
        load_object("nowhere:Kind")
