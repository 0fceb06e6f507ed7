"""Run ids, and the folders that belong to them."""

from __future__ import annotations

import pytest

from refrain.errors import UserError
from refrain.tracking.run_id import StepRunId, new_root_id, root_id_for, run_folder, short_id


def test_a_step_runs_id_has_three_parts() -> None:
    step = StepRunId.parse("abc.train.model.v2.12")
    assert step == StepRunId("abc", "train.model.v2", 12)
    assert str(step) == "abc.train.model.v2.12"


@pytest.mark.parametrize("text", ["", "abc", "abc.train", "abc.train.0", "abc.train.x", "abc.tr/ain.1", "a b.train.1"])
def test_anything_else_is_refused_with_the_form_that_is_expected(text: str) -> None:
    with pytest.raises(UserError, match="expected <pipeline run>"):
        StepRunId.parse(text)


def test_a_run_has_a_folder_and_a_step_run_has_one_below_it() -> None:
    assert run_folder("abc") == "runs/abc"
    assert run_folder("abc.train.1") == "runs/abc/steps/train.1"


def test_new_ids_differ_and_ids_of_runs_known_elsewhere_do_not() -> None:
    assert new_root_id() != new_root_id()
    assert root_id_for("dag", "run") == root_id_for("dag", "run") != root_id_for("dagr", "un")


def test_for_people_an_id_is_short() -> None:
    assert short_id("0123456789abcdef.train.1") == "01234567.train.1"
    assert short_id("0123456789abcdef") == "01234567"
