"""RunConfiguration: an interpreter and variables, checked when the pipeline is built."""

import os
import sys

import pytest

from refrain.environments.run_configuration import RunConfiguration
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError


def test_the_default_is_the_interpreter_that_runs_refrain():
    assert RunConfiguration().specification() == EnvironmentSpec(None, ())


def test_two_configurations_share_nothing():
    one, other = RunConfiguration(), RunConfiguration()
    one.environment_variables["A"] = "1"
    one.environment.environment_variables["B"] = "1"
    assert other.specification().variables == ()


def test_variables_are_sorted_and_those_of_the_run_win():
    config = RunConfiguration()
    config.environment.environment_variables = {"B": "environment", "A": "environment"}
    config.environment_variables = {"B": "run", "C": "run"}
    assert config.specification().variables == (("A", "environment"), ("B", "run"), ("C", "run"))


@pytest.mark.parametrize("value", [5, None, True, b"x", "nul\0"])
def test_a_variable_must_be_text(value):
    config = RunConfiguration()
    config.environment_variables = {"A": value}
    with pytest.raises(UserError, match="The environment variable 'A' must be a text without NUL, not"):
        config.specification()


@pytest.mark.parametrize("name", ["", "A=B", "A\0", 5])
def test_a_variable_must_have_a_name(name):
    config = RunConfiguration()
    config.environment_variables = {name: "x"}
    with pytest.raises(UserError, match="cannot name an environment variable"):
        config.specification()


def interpreter(path):
    config = RunConfiguration()
    config.environment.python.interpreter_path = path
    return config.specification().interpreter


def test_an_interpreter_is_kept_absolute_and_its_link_is_not_followed(tmp_path, monkeypatch):
    """A virtual environment is found by the place of its link."""
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert interpreter("./python") == str(tmp_path / "python")


def test_an_interpreter_may_be_a_name_on_path(tmp_path, monkeypatch):
    (tmp_path / "python9").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter("python9") == str(tmp_path / "python9")


@pytest.mark.parametrize("path", ["/no/such/python", "no-such-python", os.path.dirname(sys.executable)])
def test_what_is_no_program_is_refused(path):
    with pytest.raises(UserError, match=f"The interpreter_path '{path}' is no executable file, and no program on PATH"):
        interpreter(path)
