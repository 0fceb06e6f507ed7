"""Which steps run although an earlier result could be reused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from refrain.errors import UnknownNameError, UserError
from refrain.execution.force import Force
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition


def _step(key: str, *after: str, name: str = "") -> StepDefinition:
    return StepDefinition(key, name or key, "python_script", SourceCode("/source"), (), after=after)


PIPELINE = PipelineDefinition(
    "retrain",
    (
        _step("load"),
        _step("prepare", "load", name="Prepare data"),
        _step("other", "load"),
        _step("train", "prepare"),
        _step("plus+", "train"),
        _step("report", "other"),
    ),
)


@pytest.mark.parametrize(
    ("wanted", "covered"),
    [
        (False, []),
        (True, ["load", "other", "plus+", "prepare", "report", "train"]),
        ([], []),
        ("train", ["train"]),
        (["train", "other"], ["other", "train"]),
        (("Prepare data",), ["prepare"]),
        (["prepare+"], ["plus+", "prepare", "train"]),
        (["Prepare data+", "report"], ["plus+", "prepare", "report", "train"]),
        (["load+"], ["load", "other", "plus+", "prepare", "report", "train"]),
        (["plus+"], ["plus+"]),
        (["plus++"], ["plus+"]),
    ],
    ids=str,
)
def test_words_mean_steps_and_with_a_plus_what_comes_after_them(wanted: Any, covered: list[str]) -> None:
    force = Force.parse(PIPELINE, wanted)
    assert sorted(step.key for step in PIPELINE.steps if force.covers(step.key)) == covered


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            ["trian"],
            "There is no step 'trian'. Known: load, other, plus+, prepare, report, train. Did you mean 'train'?",
        ),
        (["trian+"], "There is no step 'trian'"),
        (["+"], "There is no step '+'"),
        ([1], "A step to force is given by its name, not as 1"),
        (1.5, "given as True, False or a list of step names, not as 1.5"),
    ],
)
def test_what_names_no_step_is_refused(wanted: Any, message: str) -> None:
    with pytest.raises((UserError, UnknownNameError), match=re.escape(message)):
        Force.parse(PIPELINE, wanted)
