"""Which paths of this machine a process needs that does not run on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.compute.job import JobPath
from refrain.data.handle import DataHandle
from refrain.data.ports import FromFiles, InputPort
from refrain.execution.inputs import ResolvedInput
from refrain.execution.job_paths import job_paths
from refrain.execution.process_environment import RUNTIME
from refrain.execution.stage import Stage
from refrain.storage.manifest import TreeKind


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    folder, waiting, mounts = (tmp_path / name for name in ("stage", "waiting", "mounts"))
    (folder / "work").mkdir(parents=True)
    waiting.mkdir()
    return Stage("run.step.1", folder, {}, (waiting, mounts), mounts)


def _read(stage: Stage, tmp_path: Path, **paths: str) -> list[JobPath]:
    """Return what is shown beside what every step has."""
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    handle = DataHandle("file:///x", TreeKind.DIRECTORY, "0" * 64, 0, 0)
    inputs = [ResolvedInput(InputPort(name, FromFiles(())), handle) for name in paths]
    found = job_paths(stage, [str(run)], inputs, paths)
    own = [JobPath(str(p), str(p), is_writable=True) for p in (stage.folder, run, stage.waiting[0])]
    always = [*own, JobPath(str(RUNTIME), str(RUNTIME))]
    assert set(always) <= set(found)
    return [path for path in found if path not in always]


def test_a_step_without_data_has_its_own_folders_and_the_runtime(stage: Stage, tmp_path: Path) -> None:
    assert _read(stage, tmp_path) == []


def test_data_can_only_be_read_and_what_the_stage_has_is_not_named_again(stage: Stage, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    stage.mounts.mkdir()
    shown = _read(stage, tmp_path, data=str(data), copied=str(stage.folder / "inputs" / "copied"), asked="s3://b/k")
    assert shown == [JobPath(str(data), str(data)), JobPath(str(stage.mounts), str(stage.mounts))]


def test_data_below_other_data_is_not_named_again(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "data" / "part").mkdir(parents=True)
    shown = _read(stage, tmp_path, part=str(tmp_path / "data" / "part"), data=str(tmp_path / "data"))
    assert shown == [JobPath(str(tmp_path / "data"), str(tmp_path / "data"))]


def test_a_neighbour_whose_name_begins_alike_is_named(stage: Stage, tmp_path: Path) -> None:
    for name in ("data", "data2"):
        (tmp_path / name).mkdir()
    shown = _read(stage, tmp_path, data=str(tmp_path / "data"), data2=str(tmp_path / "data2"))
    assert [path.path for path in shown] == [str(tmp_path / "data"), str(tmp_path / "data2")]


def test_what_links_lead_to_is_named_and_links_there_in_turn(stage: Stage, tmp_path: Path) -> None:
    """Follow two links.

    ::

        data/a -> ../far/b
        far/b -> <tmp_path>/farther
        farther
    """
    for name in ("data", "far"):
        (tmp_path / name).mkdir()
    (tmp_path / "farther").write_text("x")
    (tmp_path / "far" / "b").symlink_to(tmp_path / "farther")
    (tmp_path / "data" / "a").symlink_to("../far/b")
    (stage.folder / "work" / "linked").symlink_to(tmp_path / "data")

    shown = _read(stage, tmp_path)

    farther = str(tmp_path / "farther")
    assert JobPath(str(tmp_path / "data"), str(tmp_path / "data")) in shown
    assert JobPath(str(tmp_path / "far" / "b"), farther) in shown


def test_a_folder_that_is_reached_by_a_link_is_shown_under_its_name(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "near").write_text("x")
    (tmp_path / "real" / "up").symlink_to("../near")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "named").symlink_to(tmp_path / "real")

    shown = _read(stage, tmp_path, data=str(tmp_path / "deep" / "named"))

    named = str(tmp_path / "deep" / "named")
    assert JobPath(named, named) in shown
    assert JobPath(str(tmp_path / "real"), str(tmp_path / "real")) in shown
    assert JobPath(str(tmp_path / "near"), str(tmp_path / "near")) in shown


def test_links_that_lead_nowhere_round_or_to_the_system_are_left_alone(stage: Stage, tmp_path: Path) -> None:
    work = stage.folder / "work"
    (work / "nowhere").symlink_to(tmp_path / "none")
    (work / "round").symlink_to("round")
    (work / "python").symlink_to("/usr/bin/env")
    assert _read(stage, tmp_path) == []


def test_of_many_files_in_one_folder_the_folder_is_named(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(20):
        (tmp_path / "many" / str(number)).write_text("x")
        (stage.folder / "work" / str(number)).symlink_to(tmp_path / "many" / str(number))
    assert _read(stage, tmp_path) == [JobPath(str(tmp_path / "many"), str(tmp_path / "many"))]
