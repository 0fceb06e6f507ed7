from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.sample import Refrain
from refrain import Workspace


def test_init_makes_a_workspace_that_scripts_below_find(refrain: Refrain, tmp_path: Path) -> None:
    called = refrain("init", str(tmp_path / "new"), "--name", "mine")
    assert called.code == 0
    assert called.out.startswith(f"Made the workspace 'mine' in {tmp_path}/new/.refrain/workspace\n")
    (tmp_path / "new/deep").mkdir()
    found = Workspace.from_config(tmp_path / "new/deep")
    assert (found.name, found.root) == ("mine", f"{tmp_path}/new/.refrain/workspace")


def test_the_configuration_survives_a_move_of_the_folder(refrain: Refrain, tmp_path: Path) -> None:
    refrain("init", str(tmp_path))
    config = json.loads((tmp_path / ".refrain/config.json").read_text())
    assert config == {"schema": 1, "name": tmp_path.name, "root": ".refrain/workspace"}


def test_git_sees_nothing_of_it(refrain: Refrain, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    refrain("init", str(tmp_path))
    listed = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def test_init_again_changes_nothing(refrain: Refrain, tmp_path: Path) -> None:
    refrain("init", str(tmp_path), "--name", "mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    called = refrain("init", str(tmp_path), "--json")
    assert (called.code, called.document["created"], called.document["name"]) == (0, False, "mine")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_another_name_for_a_workspace_that_is_there_is_refused(refrain: Refrain, tmp_path: Path) -> None:
    refrain("init", str(tmp_path), "--name", "mine")
    called = refrain("init", str(tmp_path), "--name", "yours")
    assert called.code == 2
    assert "already names the workspace 'mine'. Leave --name out, or change 'name' there." in called.err


def test_a_folder_that_cannot_be_made_is_named(refrain: Refrain, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    called = refrain("init", str(tmp_path / "file/below"))
    assert called.code == 2
    assert f"{tmp_path}/file/below" in called.err


def test_a_variable_that_rules_over_the_configuration_is_mentioned(
    refrain: Refrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_WORKSPACE", str(tmp_path / "other"))
    called = refrain("init", str(tmp_path))
    assert f"Mind that REFRAIN_WORKSPACE is set and rules over it: {tmp_path}/other" in called.out
    assert os.path.exists(tmp_path / ".refrain/workspace/workspace.json")
