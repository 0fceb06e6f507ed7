"""What every step has in common."""

import pytest

from refrain.errors import PipelineError, UserError
from refrain.steps.command import Literal
from refrain.steps.python_script import PythonScriptStep


def test_a_step_needs_a_name(step):
    with pytest.raises(UserError, match="A step needs a name, not ' '"):
        step(name=" ")


@pytest.mark.parametrize("what", ["arguments", "inputs", "outputs"])
@pytest.mark.parametrize("items", ["text", 5, {"a": 1}, {1, 2}])
def test_lists_must_be_lists(step, what, items):
    """A set has another order in each process."""
    with pytest.raises(UserError, match=f"Step 'a.py': {what} must be a list, not"):
        PythonScriptStep("a.py", **{what: items})


def test_later_changes_of_a_list_do_not_reach_the_step(step):
    outputs = []
    made = step(outputs=outputs)
    outputs.append("x")
    assert made.outputs == ()


@pytest.mark.parametrize("wrong", ["itself", None, "train.py"])
def test_a_step_waits_only_for_another_step(step, wrong):
    made = step()
    with pytest.raises(UserError, match=r"Step 'train.py': run_after needs another step, not"):
        made.run_after(made if wrong == "itself" else wrong)


def test_a_step_waits_once_for_each(step, define):
    first, then = step(name="first"), step()
    then.run_after(first)
    then.run_after(first)
    assert define(first, then).after == ("first",)


# ---- the script


def test_the_script_is_relative_to_its_directory(step, define, source):
    assert define(step()).source.directory == str(source)
    (source / "sub").mkdir()
    (source / "sub/a.py").touch()
    for name in ("sub/a.py", "./sub/a.py", "sub/../sub/a.py", str(source / "sub/a.py")):
        made = define(PythonScriptStep(name, source_directory=source))
        assert made.command[1] == Literal("sub/a.py"), "an absolute path would run the file past the snapshot"


def test_a_script_that_looks_like_an_option_is_still_a_script(define, source):
    (source / "-c.py").touch()
    assert define(PythonScriptStep("-c.py", source_directory=source)).command[1] == Literal("./-c.py")


def test_the_current_directory_is_the_default(define, source, monkeypatch):
    monkeypatch.chdir(source)
    assert define(PythonScriptStep("train.py")).source.directory == str(source)


def test_a_missing_directory_is_named(step, define, tmp_path):
    with pytest.raises(PipelineError, match=r"Step 'train.py': the source_directory '.*/no' does not exist\."):
        define(step(source_directory=tmp_path / "no"))


@pytest.mark.parametrize("name", ["no.py", "../outside.py", "sub", "/etc/passwd", "../source-2/a.py"])
def test_a_script_that_is_not_there_is_named(define, source, tmp_path, name):
    (tmp_path / "outside.py").touch()
    (source / "sub").mkdir()
    (tmp_path / "source-2").mkdir()
    (tmp_path / "source-2/a.py").touch()
    with pytest.raises(
        PipelineError, match=r"the script '.*' is not in the source_directory '.*/source'. script_name is"
    ):
        define(PythonScriptStep(name, source_directory=source))


# ---- the compute target


class Target:
    name = "cluster"


@pytest.mark.parametrize("target", ["cluster", ("cluster", "AmlCompute"), Target()])
def test_a_compute_target_is_known_by_its_name(step, define, target):
    assert define(step(compute_target=target)).compute == "cluster"


def test_anything_else_is_no_compute_target(step):
    with pytest.raises(UserError, match=r"Step 'train.py': 5 is no compute target; give its name"):
        step(compute_target=5)
