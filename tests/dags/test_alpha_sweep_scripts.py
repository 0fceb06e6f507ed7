"""The scripts of the sweep example, run by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples import RunScript

STEPS = "alpha_sweep_steps"


def test_the_strength_that_errs_least_is_chosen(run_script: RunScript, tmp_path: Path) -> None:
    run_script(f"{STEPS}/load/load.py", "--output", tmp_path / "table")
    for index, alpha in enumerate((10.0, 0.001, 1.0)):
        options = ("--data", tmp_path / "table", "--alpha", alpha)
        run_script(f"{STEPS}/validate/validate.py", *options, "--output", tmp_path / "scores" / str(index))

    run_script(f"{STEPS}/choose/choose.py", "--scores", tmp_path / "scores", "--output", tmp_path / "best")

    assert json.loads((tmp_path / "best" / "best.json").read_text())["alpha"] == 0.001


def test_a_choice_without_scores_says_what_to_give(
    run_script: RunScript, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        run_script(f"{STEPS}/choose/choose.py", "--scores", tmp_path, "--output", tmp_path / "best")

    assert f"--scores {tmp_path} holds no */score.json. Give the folder" in capsys.readouterr().err
