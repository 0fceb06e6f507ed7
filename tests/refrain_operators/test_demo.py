"""The demonstration's folder; what runs in it is tested on a real Airflow."""

from __future__ import annotations

import stat
from argparse import Namespace
from pathlib import Path

import pytest

from refrain.errors import UserError
from refrain_operators.demo import demo


def _arguments(home: Path) -> Namespace:
    return Namespace(home=str(home), port=None, dags=str(home / "missing"), json=False, keep=False)


def test_only_its_user_may_enter_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no folder of DAG files at '.*missing'; name one with --dags"):
        demo(_arguments(tmp_path / "home"))
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UserError, match="is not empty and not of an earlier demo; name another with --home"):
        demo(_arguments(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
