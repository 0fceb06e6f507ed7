"""Pythons: which interpreter an environment is made of."""

import stat
import sys

import pytest

from refrain.environments.pythons import find_python
from refrain.errors import UserError


@pytest.fixture
def other_pythons(tmp_path, monkeypatch):
    """Puts programs on PATH that answer as interpreters of other versions do."""

    def add(*versions):
        for version in versions:
            path = tmp_path / f"python{version.rpartition('.')[0]}"
            path.write_text(f'#!/bin/sh\necho \'["CPython {version}", "linux-x86_64", []]\'\n')
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))

    return add


def test_any_version_is_the_one_that_runs_refrain():
    found = find_python("")
    assert found.release == sys.version_info[:3]
    assert found.minor == f"CPython {sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("3.8", "3.8.20"),
        ("3.8.13", "3.8.20"),
        ("==3.9.*", "3.9.1"),
        (">=3.8,<3.9", "3.8.20"),
        (">3.8,<3.10", "3.9.1"),
        ("<=3.9,!=3.9", "3.8.20"),
        ("~=3.9", "3.9.1"),
    ],
)
def test_an_installed_version_that_will_do_is_taken(other_pythons, wanted, version):
    other_pythons("3.8.20", "3.9.1")
    assert find_python(wanted).version == f"CPython {version}"


def test_a_broken_interpreter_is_passed_over(other_pythons, tmp_path):
    other_pythons("3.8.20", "3.9.1")
    (tmp_path / "python3.9").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UserError, match=r"asks for Python 3\.9, which is not on this machine\. There are: .*3\.8\.20"):
        find_python("3.9")


def test_a_major_version_alone_is_enough():
    assert find_python("3").release == sys.version_info[:3]
