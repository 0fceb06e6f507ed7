"""The identity of an interpreter."""

import os
import platform
import site
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.environments import interpreter as module
from refrain.environments.interpreter import identify
from refrain.errors import UserError


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """The running interpreter's only package folder."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    return folder


def add(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)


def test_it_tells_version_platform_and_packages():
    identity = identify(None)
    assert identity.path == sys.executable
    assert identity.version == f"{platform.python_implementation()} {platform.python_version()}"
    assert identity.platform == f"{sys.platform}-{platform.machine()}"
    assert any(line.startswith("pytest==") for line in identity.packages)
    assert list(identity.packages) == sorted(identity.packages)


def test_the_running_interpreter_and_a_process_of_it_agree(tmp_path):
    """By another path the interpreter has to be asked."""
    other = Path(sys.executable).parent / ".." / "bin" / Path(sys.executable).name
    mine, asked = identify(None), identify(str(other))
    assert (asked.version, asked.platform, asked.packages_digest) == (mine.version, mine.platform, mine.packages_digest)


def test_packages_are_read_from_their_metadata_folders(packages):
    add(
        packages,
        "NumPy-1.26.4.dist-info",
        "torch-2.0+cu118.dist-info",
        "old-1.0-py3.9.egg-info",
        "bare.egg-info",
        "numpy",
    )
    (packages / "note.txt").touch()
    assert identify(None).packages == ("bare", "numpy==1.26.4", "old==1.0", "torch==2.0+cu118")


def test_refrain_itself_does_not_count(packages):
    before = identify(None).packages_digest
    add(packages, "refrain-9.9.dist-info")
    assert identify(None).packages_digest == before


@pytest.mark.parametrize("name", ["new-1.0.dist-info", "numpy-1.1.dist-info"])
def test_a_package_more_gives_another_digest_at_once(packages, name):
    add(packages, "numpy-1.0.dist-info")
    before = identify(None).packages_digest
    add(packages, name)
    assert identify(None).packages_digest != before


def test_the_digest_of_packages_is_golden(packages):
    """A change here loses every stored result."""
    add(packages, "numpy-1.26.4.dist-info", "pandas-2.2.0.dist-info")
    assert identify(None).packages_text == b"numpy==1.26.4\npandas==2.2.0"
    assert identify(None).packages_digest == "3ac8a408c5a8a24fad3123946ccf4922de7b17e12b2a98436c16937c70e6ea4e"


def test_packages_of_a_folder_that_a_pth_file_adds_count(packages, tmp_path):
    add(packages, "here-1.0.dist-info")
    add(tmp_path / "shared", "elsewhere-2.0.dist-info")
    (packages / "team.pth").write_text(f"# our own\nimport sys; sys.x = 1\n\n{tmp_path}/shared\n../not-there\n")
    assert identify(None).packages == ("elsewhere==2.0", "here==1.0")
    (tmp_path / "shared/elsewhere-2.0.dist-info").rename(tmp_path / "shared/elsewhere-2.1.dist-info")
    assert identify(None).packages == ("elsewhere==2.1", "here==1.0")


def test_the_users_own_packages_count_where_they_are_in_use(packages, tmp_path, monkeypatch):
    add(tmp_path / "user", "mine-1.0.dist-info")
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(tmp_path / "user"))
    assert identify(None).packages == ()
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    assert identify(None).packages == ("mine==1.0",)


def test_a_folder_that_is_not_there_has_no_packages(packages):
    packages.rmdir()
    assert identify(None).packages == ()


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    folder = tmp_path_factory.mktemp("venv") / "v"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", folder], check=True)
    return folder


def site_packages(venv):
    return next(venv.glob("lib/python*/site-packages"))


def test_another_environment_has_its_own_packages(venv):
    add(site_packages(venv), "special-7.0.dist-info")
    assert "special==7.0" in identify(str(venv / "bin/python")).packages
    assert "special==7.0" not in identify(None).packages


def test_packages_that_an_environment_shows_of_the_system_count(venv):
    """Upgrading one of them changes what a step imports."""
    found = identify(str(venv / "bin/python")).packages
    code = "import site; print(*site.getsitepackages(), sep='\\n')"
    folders = subprocess.run(
        [venv / "bin/python", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(folders) > 1
    shown = {name.split("-")[0].lower() for folder in folders for name in _infos(folder)} - {"refrain"}
    assert shown <= {line.split("==")[0] for line in found}


def _infos(folder):
    return [name for name in os.listdir(folder) if name.endswith(".dist-info")] if os.path.isdir(folder) else []


def test_modules_in_the_current_directory_do_not_disturb_the_question(venv, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    module._ask.cache_clear()
    assert identify(str(venv / "bin/python")).version


def test_a_missing_interpreter_is_named():
    with pytest.raises(UserError, match="The interpreter '/no/python' cannot be run: No such file or directory"):
        identify("/no/python")


def test_a_program_that_is_no_interpreter_is_named():
    with pytest.raises(UserError, match="The interpreter '/bin/true' cannot be run"):
        identify("/bin/true")


def test_a_file_that_cannot_be_run_is_named(tmp_path):
    (tmp_path / "python").touch()
    with pytest.raises(UserError, match="python' cannot be run"):
        identify(str(tmp_path / "python"))


def test_an_interpreter_is_asked_once(tmp_path):
    (tmp_path / "python").write_text(f'#!/bin/sh\necho x >> "{tmp_path}/asked"\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    identify(str(tmp_path / "python"))
    identify(str(tmp_path / "python"))
    assert (tmp_path / "asked").read_text() == "x\n"
