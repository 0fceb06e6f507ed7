"""``refrain data``: list, copy, identify, verify, and the worker's cache."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from cli.sample import Refrain
from refrain import Datastore, Workspace
from refrain.data.handle import DataHandle
from refrain.storage.filling import SIGN
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunStore


@pytest.fixture
def data(project: Path) -> Path:
    """A folder of two files, and datastores on a disk and in memory."""
    (project / "raw" / "deep").mkdir(parents=True)
    (project / "raw" / "a.csv").write_text("a" * 2048)
    (project / "raw" / "deep" / "b.csv").write_text("bb")
    (project / "disk").mkdir()
    workspace = Workspace(project / ".refrain/workspace")
    Datastore.register_folder(workspace, "disk", project / "disk")
    Datastore.register(workspace, "objects", f"memory://{uuid.uuid4().hex}/base")
    return project


def test_a_folder_is_copied_to_a_datastore_and_listed(refrain: Refrain, data: Path) -> None:
    called = refrain("data", "cp", "raw", "objects:in/raw")
    assert called.code == 0, called.err
    assert called.out.startswith("2 files, 2.0 KiB, are now at memory://")
    lines = refrain("data", "ls", "objects:in/raw").out.splitlines()
    assert [line.split() for line in lines] == [
        ["SIZE", "FILES", "NAME"],
        ["2.0", "KiB", "1", "a.csv"],
        ["2", "B", "1", "deep/"],
        ["2", "files,", "2.0", "KiB"],
    ]
    found = refrain("data", "ls", "objects:", "--recursive", "--json").document
    assert [(entry["path"], entry["bytes"]) for entry in found["entries"]] == [
        ("in/raw/a.csv", 2048),
        ("in/raw/deep/b.csv", 2),
    ]
    assert (found["kind"], found["files"], found["bytes"], found["is_complete"]) == ("directory", 2, 2050, True)


def test_a_copy_does_not_replace_what_is_there_unless_it_is_told_to(refrain: Refrain, data: Path) -> None:
    assert refrain("data", "cp", "raw", "disk:to").code == 0
    (data / "raw" / "a.csv").write_text("new")
    called = refrain("data", "cp", "raw", "disk:to")
    assert called.code == 1
    assert "The copy would replace" in called.err
    assert refrain("data", "cp", "raw", "disk:to", "--overwrite", "--json").document["files"] == 2
    assert (data / "disk/to/a.csv").read_text() == "new"


def test_a_target_with_a_slash_is_a_folder(refrain: Refrain, data: Path) -> None:
    assert refrain("data", "cp", "raw/a.csv", "disk:new/").code == 0
    assert (data / "disk/new/a.csv").is_file()


def test_a_copy_of_nothing_is_refused(refrain: Refrain, data: Path) -> None:
    called = refrain("data", "cp", "disk:nothing", "out")
    assert (called.code, "disk/nothing, so that nothing can be copied." in called.err) == (1, True)
    assert refrain("data", "ls", "disk:nothing").err.endswith("disk/nothing.\n")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (
            "disc:x",
            "there is no datastore 'disc'. Known: disk, objects, workspaceblobstore, workspacefilestore. Did you",
        ),
        ("disk:../x", "The path '../x' leaves its datastore: '..' is not allowed."),
        (" ", "A place is missing: write datastore:path, a URL or a local path."),
    ],
)
def test_a_place_that_is_none_is_wrong_use(refrain: Refrain, data: Path, place: str, words: str) -> None:
    called = refrain("data", "ls", place)
    assert (called.code, words in called.err) == (2, True), called.err


def test_a_local_name_with_a_colon_is_written_with_a_slash(refrain: Refrain, data: Path) -> None:
    (data / "disc:x").write_text("x")
    assert refrain("data", "ls", "./disc:x", "--json").document["bytes"] == 1


def test_a_folder_that_is_not_complete_says_so(refrain: Refrain, data: Path) -> None:
    (data / "raw" / SIGN).write_text("{}")
    called = refrain("data", "ls", "raw")
    assert called.code == 0
    assert called.out.splitlines()[-1].startswith("This folder is not complete")
    assert SIGN in refrain("data", "digest", "raw").err


def test_a_digest_says_how_it_is_known(refrain: Refrain, data: Path) -> None:
    refrain("data", "cp", "raw", "disk:to")
    local = refrain("data", "digest", "raw", "--json").document
    assert local["basis"] == "content"
    assert refrain("data", "digest", "disk:to", "--json").document["digest"] == local["digest"]
    assert refrain("data", "digest", "raw").out.splitlines()[0].startswith(local["digest"])


def test_two_places_are_compared_by_their_bytes(refrain: Refrain, data: Path) -> None:
    refrain("data", "cp", "raw", "objects:one")
    called = refrain("data", "verify", "objects:one", "raw")
    assert (called.code, "is the same as" in called.out) == (0, True)
    (data / "raw" / "a.csv").write_text("c" * 2048)
    (data / "raw" / "deep" / "b.csv").unlink()
    called = refrain("data", "verify", "raw", "objects:one", "--json")
    assert called.code == 1
    (check,) = called.document["checks"]
    assert (check["changed"], check["missing"], check["added"]) == (["a.csv"], ["deep/b.csv"], [])


def test_a_change_that_hides_from_the_index_is_found_by_reading(refrain: Refrain, data: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    called = refrain("data", "verify", "--run", f"{run_id[:8]}.prepare")
    assert called.code == 0, called.err + called.out
    record = RunStore(WorkspaceState(data / ".refrain/workspace")).latest_steps(run_id)[0]
    path = DataHandle.from_json(next(iter(record.outputs.values()))).path
    file = path if path.is_file() else next(p for p in path.rglob("*") if p.is_file())
    status = file.stat()
    file.write_bytes(bytes(status.st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    called = refrain("data", "verify", "--run", f"{run_id[:8]}.prepare")
    assert called.code == 1
    assert "differs from output" in called.out


def test_verify_needs_something_to_compare_with(refrain: Refrain, data: Path) -> None:
    assert "Give one place, two places to compare, or --run ID.STEP." in refrain("data", "verify").err
    assert refrain("data", "verify", "raw", "--run", "x.y").code == 2


def test_the_cache_is_shown_and_made_smaller(refrain: Refrain, data: Path) -> None:
    folder = Path(os.environ["REFRAIN_CACHE"]) / "data" / "objects" / "ab"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"ab{number}").write_bytes(bytes(1000))
        os.utime(folder / f"ab{number}", (number, number))
    found = refrain("data", "cache", "--json").document
    assert (found["files"], found["bytes"], found["freed"]) == (3, 3000, 0)
    assert refrain("data", "cache", "--limit", "2K", "--json").document["freed"] == 1000
    assert sorted(path.name for path in folder.iterdir()) == ["ab1", "ab2"]
    assert "Freed 2.0 KiB" in refrain("data", "cache", "--clear").out
    assert refrain("data", "cache", "--limit", "much").err.startswith("refrain: --limit 'much' is no size")
    assert refrain("data", "cache", "--limit", "1", "--clear").code == 2
