"""What is recorded of the repository that a source comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from refrain.tracking.git import git_properties


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_a_clean_repository_has_a_branch_and_a_commit(repository: Path) -> None:
    commit = _git(repository, "rev-parse", "HEAD")
    assert git_properties(str(repository / "src"), {}) == {
        "azureml.git.branch": "main",
        "mlflow.source.git.branch": "main",
        "azureml.git.commit": commit,
        "mlflow.source.git.commit": commit,
    }


def test_a_change_below_the_directory_makes_it_dirty_and_one_elsewhere_does_not(repository: Path) -> None:
    (repository / "README").write_text("")
    assert "azureml.git.dirty" not in git_properties(str(repository / "src"), {})
    (repository / "src" / "new.py").write_text("")
    assert git_properties(str(repository / "src"), {})["azureml.git.dirty"] == "True"


def test_the_address_is_recorded_without_its_password(repository: Path) -> None:
    _git(repository, "remote", "add", "origin", "https://user:pass@example.com/team/code@v2.git")
    assert git_properties(str(repository), {})["azureml.git.repository_uri"] == "https://example.com/team/code@v2.git"


def test_a_detached_head_has_no_branch_and_a_new_repository_has_no_commit(repository: Path, tmp_path: Path) -> None:
    _git(repository, "checkout", "--detach")
    assert "azureml.git.branch" not in git_properties(str(repository), {})
    (tmp_path / "empty").mkdir()
    _git(tmp_path / "empty", "init")
    assert "azureml.git.commit" not in git_properties(str(tmp_path / "empty"), {})


def test_variables_rule_over_what_git_says(repository: Path) -> None:
    found = git_properties(str(repository), {"AZUREML_GIT_BRANCH": "release", "AZUREML_GIT_BUILD_ID": "7"})
    assert found["azureml.git.branch"] == found["mlflow.source.git.branch"] == "release"
    assert found["azureml.git.build_id"] == "7"


def test_an_address_given_as_a_variable_is_recorded_without_its_password(tmp_path: Path) -> None:
    addresses = {"REPOSITORY_URI": "https://user:pass@example.com/code", "BUILD_URI": "https://token@example.com/7"}
    found = git_properties(str(tmp_path), {f"AZUREML_GIT_{name}": address for name, address in addresses.items()})
    assert found["azureml.git.repository_uri"] == "https://example.com/code"
    assert found["azureml.git.build_uri"] == "https://example.com/7"


def test_outside_of_a_repository_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert git_properties(str(tmp_path), {}) == {}


def test_without_git_there_is_nothing_to_say(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_properties(str(repository), {}) == {}


def test_a_later_commit_is_seen_in_the_same_process(repository: Path) -> None:
    before = git_properties(str(repository), {})["azureml.git.commit"]
    _git(repository, "commit", "--allow-empty", "-m", "second")
    assert git_properties(str(repository), {})["azureml.git.commit"] != before
