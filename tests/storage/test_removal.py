"""Folders that resist being deleted."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from refrain.storage.removal import remove_tree


@pytest.mark.parametrize("levels", [1, 50, 3000])
def test_a_folder_goes_however_deep_it_is(tmp_path: Path, levels: int) -> None:
    top = tmp_path / "top"
    top.mkdir()
    folder = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("deeper", dir_fd=folder)
        deeper = os.open("deeper", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    remove_tree(top)
    assert not top.exists()


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500])
def test_rights_that_were_taken_away_keep_nothing(
    unprivileged: Callable[[], AbstractContextManager[Path]], mode: int
) -> None:
    with unprivileged() as folder:
        inner = folder / "top" / "closed" / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        for closed in (inner, inner.parent):
            closed.chmod(mode)
        remove_tree(folder / "top")
        assert not (folder / "top").exists()


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "top")
    assert os.listdir(tmp_path) == ["kept"]


def test_nothing_is_raised_for_what_is_not_there(tmp_path: Path) -> None:
    remove_tree(tmp_path / "missing")
