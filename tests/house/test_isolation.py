"""Tests see nothing of the user's home and settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def test_home_and_caches_are_temporary() -> None:
    temporary = Path(tempfile.gettempdir())
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "AIRFLOW_HOME"):
        assert Path(os.environ[name]).is_relative_to(temporary), name


def test_no_setting_of_the_user_reaches_a_test() -> None:
    names = {name for name in os.environ if name.startswith("REFRAIN_") and not name.startswith("REFRAIN_TEST_")}
    assert names == set()
