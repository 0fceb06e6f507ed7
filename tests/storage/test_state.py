"""A workspace's durable state: its record and its key."""

import json
import os
import stat
from pathlib import Path

import pytest

from refrain.errors import WorkspaceError, WorkspaceSchemaError
from refrain.storage.state import WorkspaceState, cache_folder


@pytest.fixture
def state(tmp_path):
    return WorkspaceState(tmp_path / "project" / "ws")


def test_a_workspace_is_made_on_first_use_and_keeps_its_name(state):
    assert not state.root.exists()
    assert state.peek() is None
    assert state.open("mine") == "mine"
    assert WorkspaceState(state.root).open("other") == "mine"
    assert json.loads((state.root / "workspace.json").read_text())["schema"] == 1


@pytest.mark.parametrize(("folder", "name"), [("ws", "ws"), ("project/.refrain/workspace", "project")])
def test_a_workspace_is_named_after_its_folder_or_project(tmp_path, folder, name):
    assert WorkspaceState(tmp_path / folder).open() == name


def test_a_newer_workspace_is_refused(state):
    state.open()
    (state.root / "workspace.json").write_text('{"schema": 2, "name": "x", "new": true}')
    with pytest.raises(
        WorkspaceSchemaError, match=r"has schema 2, this Refrain reads up to 1. Upgrade Refrain, or use"
    ):
        state.open()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '{"schema": 1}', '{"name": "x"}', '{"schema": "new", "name": "x"}']
)
def test_a_damaged_record_is_named(state, content):
    state.open()
    (state.root / "workspace.json").write_text(content)
    with pytest.raises(
        WorkspaceError, match=r"workspace.json' is damaged; restore it, or remove it to have it made anew"
    ):
        state.open()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=r"Cannot read '.*/file/ws/workspace.json': Not a directory\."):
        WorkspaceState(tmp_path / "file/ws").open()


def test_a_folder_without_permission_is_named_with_the_way_out(unprivileged):
    with unprivileged() as folder:
        folder.chmod(0o500)
        with pytest.raises(WorkspaceError, match=r"Cannot make the workspace '.*/ws': Permission denied. Name another"):
            WorkspaceState(folder / "ws").open()


def test_a_read_only_workspace_can_be_read(unprivileged):
    with unprivileged() as folder:
        WorkspaceState(folder).open("mine")
        folder.chmod(0o500)
        assert WorkspaceState(folder).open() == "mine"
        with pytest.raises(WorkspaceError, match=r"Cannot write '.*/secret.key': Permission denied"):
            _ = WorkspaceState(folder).secret_key


def test_the_key_is_made_once_and_for_the_owner_alone(state):
    key = state.secret_key
    assert len(key) == 32
    assert WorkspaceState(state.root).secret_key == key
    assert stat.S_IMODE((state.root / "secret.key").stat().st_mode) == 0o600


def test_the_key_is_never_readable_by_others_not_even_for_a_moment(state, monkeypatch):
    def chmod(*arguments, **options):
        raise AssertionError("the mode must be right when the file is made")

    monkeypatch.setattr(os, "chmod", chmod)
    assert state.secret_key


def test_all_processes_see_one_key(race, tmp_path):
    code = """
from refrain.storage.state import WorkspaceState
def work(number):
    return WorkspaceState(sys.argv[1]).secret_key.hex()
"""
    assert set(race(code, 10)) == {WorkspaceState(tmp_path).secret_key.hex()}


def test_a_damaged_key_is_named_with_the_way_out(state):
    state.open()
    (state.root / "secret.key").write_bytes(b"short")
    with pytest.raises(WorkspaceError, match=r"secret.key' is damaged; restore it, or remove it"):
        _ = state.secret_key


def test_the_cache_is_where_the_user_says(monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/h/.cache/refrain")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/refrain")
    monkeypatch.setenv("REFRAIN_CACHE", "/r")
    assert cache_folder() == Path("/r")
