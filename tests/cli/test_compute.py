from __future__ import annotations

import json
from pathlib import Path

from cli.sample import Refrain


def test_a_target_is_set_listed_tried_and_removed(project: Path, refrain: Refrain) -> None:
    said = refrain("compute", "set", "cpu-cluster", "local", "max_nodes=4", "--queue", "cpu", "--pool", "heavy")
    assert (said.code, said.out) == (0, "Steps that name 'cpu-cluster' run on local.\n")

    listed = refrain("compute", "list").out
    assert "cpu-cluster" in listed
    assert "max_nodes=4" in listed
    document = json.loads(refrain("compute", "--json").out)
    assert document["targets"] == [
        {"name": "cpu-cluster", "kind": "local", "settings": {"max_nodes": 4}, "queue": "cpu", "pool": "heavy"}
    ]

    tried = refrain("compute", "test", "cpu-cluster")
    assert tried.code == 0
    assert "a process was started, and its output arrived" in tried.out
    assert "'cpu'" in tried.out

    assert refrain("compute", "remove", "cpu-cluster").code == 0
    assert "No compute target is registered." in refrain("compute").out


def test_a_target_that_is_not_there_is_told(project: Path, refrain: Refrain) -> None:
    said = refrain("compute", "test", "gpu")

    assert said.code == 2
    assert "Unknown compute target 'gpu'. Known: none." in said.err


def test_a_setting_without_a_value_is_refused(project: Path, refrain: Refrain) -> None:
    said = refrain("compute", "set", "gpu", "local", "max_nodes")

    assert said.code == 2
    assert "A setting is written NAME=VALUE, not 'max_nodes'." in said.err


def test_a_name_that_cannot_be_one_is_refused(project: Path, refrain: Refrain) -> None:
    said = refrain("compute", "set", "../gpu", "local")

    assert said.code == 2
    assert "'../gpu' is no valid name among the compute" in said.err


def test_a_step_on_an_unregistered_target_says_where_it_runs(project: Path, refrain: Refrain) -> None:
    text = Path("pipeline.py").read_text()
    Path("pipeline.py").write_text(text.replace('"train.py",', '"train.py", compute_target="gpu-cluster",', 1))

    said = refrain("run", "pipeline.py")

    assert said.code == 0, said.err
    assert "compute target 'gpu-cluster' is not registered in the workspace" in said.out + said.err
