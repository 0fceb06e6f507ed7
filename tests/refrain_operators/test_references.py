"""References over XCom: small, and believed only as far as the workspace confirms them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refrain.data.handle import DataHandle
from refrain.errors import UntrustedReferenceError, UserError
from refrain.execution.request import StepResult
from refrain.storage.local import file_uri
from refrain.storage.manifest import TreeKind
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore
from refrain_operators.references import MAX_BYTES, published, recorded, step_key, verified, verified_all

ROOT = "a" * 32


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    return RunStore(WorkspaceState(tmp_path))


def _handle(path: str) -> DataHandle:
    return DataHandle(file_uri(Path(path)), TreeKind.FILE, "0" * 64, 1, 2)


def _done(runs: RunStore, key: str = "train", root: str = ROOT, **outputs: str) -> dict[str, Any]:
    """Record a completed step run and return what it publishes."""
    handles = {name: _handle(path) for name, path in outputs.items()}
    record = RunRecord(
        run_id=f"{root}.{key}.1",
        name=key,
        pipeline="p",
        experiment="e",
        key=key,
        status=RunStatus.COMPLETED,
        outputs={name: handle.to_json() for name, handle in handles.items()},
    )
    runs.put(record)
    return json.loads(json.dumps(published(StepResult(record.run_id, handles, None, ""))))  # type: ignore[no-any-return]


def test_a_reference_is_read_as_it_was_published(runs: RunStore) -> None:
    reference = _done(runs, model="/m")
    assert set(reference) == {"schema", "run_id", "outputs", "reused_from"}
    assert verified(reference, "train", ROOT, runs) == {"model": _handle("/m")}


def test_outputs_that_do_not_fit_are_left_to_the_record(runs: RunStore) -> None:
    reference = _done(runs, **{f"output_{number}": f"/data/{number}" for number in range(60)})
    assert reference["outputs"] is None
    assert len(json.dumps(reference)) < MAX_BYTES
    assert verified(reference, "train", ROOT, runs)["output_59"] == _handle("/data/59")


@pytest.mark.parametrize("value", ["text", 3, [], {}, {"run_id": 5}])
def test_a_value_that_is_no_reference_names_the_task(runs: RunStore, value: object) -> None:
    with pytest.raises(UntrustedReferenceError, match=r"Task 'train' published .* is no reference to data. Clear"):
        verified(value, "train", ROOT, runs)


def test_a_reference_of_a_newer_schema_is_refused(runs: RunStore) -> None:
    reference = {**_done(runs, model="/m"), "schema": 2}
    with pytest.raises(UntrustedReferenceError, match=r"reference of schema 2; this Refrain reads schema 1"):
        verified(reference, "train", ROOT, runs)


@pytest.mark.parametrize("run_id", ["../../etc/passwd", f"{ROOT}.train.7", ROOT, ""])
def test_a_reference_to_no_step_run_is_refused(runs: RunStore, run_id: str) -> None:
    reference = {**_done(runs, model="/m"), "run_id": run_id}
    with pytest.raises(UntrustedReferenceError, match=r"Task 'train' refers to run '"):
        verified(reference, "train", ROOT, runs)


@pytest.mark.parametrize("field", ["uri", "digest", "bytes"])
def test_an_edited_output_is_refused(runs: RunStore, field: str) -> None:
    reference = _done(runs, model="/m")
    reference["outputs"]["model"][field] = "file:///etc"
    with pytest.raises(UntrustedReferenceError, match=r"task 'train' published does not match the record of its run"):
        verified(reference, "train", ROOT, runs)


@pytest.mark.parametrize(("key", "root"), [("other", ROOT), ("train-x", ROOT), ("train", "b" * 32)])
def test_a_sound_reference_of_another_task_or_run_is_refused(runs: RunStore, key: str, root: str) -> None:
    reference = _done(runs, key, root, model="/m")
    with pytest.raises(UntrustedReferenceError, match=r"task 'train' published does not match"):
        verified(reference, "train", ROOT, runs)


def test_a_reference_to_a_step_run_that_did_not_complete_is_refused(runs: RunStore) -> None:
    reference = _done(runs, model="/m")
    runs.put(replace(runs.get(reference["run_id"]), status=RunStatus.RUNNING))
    with pytest.raises(UntrustedReferenceError, match=r"task 'train' published does not match"):
        verified(reference, "train", ROOT, runs)


def test_a_task_that_published_nothing_has_its_latest_completed_result(runs: RunStore) -> None:
    _done(runs, model="/old")
    completed = runs.get(f"{ROOT}.train.1")
    newer = {"model": _handle("/new").to_json()}
    runs.put(replace(completed, run_id=f"{ROOT}.train.2", created=2.0, outputs=newer, reused_from="elsewhere"))
    runs.put(replace(completed, run_id=f"{ROOT}.train.3", created=3.0, status=RunStatus.FAILED))
    result = recorded("train", ROOT, runs)
    assert (result.outputs, result.made_by, result.run_id) == (
        {"model": _handle("/new")},
        "elsewhere",
        f"{ROOT}.train.2",
    )


def test_the_latest_result_is_that_of_the_highest_attempt_whatever_the_clock_was(runs: RunStore) -> None:
    _done(runs, model="/old")
    completed = runs.get(f"{ROOT}.train.1")
    runs.put(replace(completed, created=100.0))
    runs.put(replace(completed, run_id=f"{ROOT}.train.2", created=50.0, outputs={"model": _handle("/new").to_json()}))
    assert recorded("train", ROOT, runs).outputs == {"model": _handle("/new")}


def test_a_task_that_never_completed_is_named(runs: RunStore) -> None:
    with pytest.raises(UserError, match=r"Task 'train' has not published its outputs, .* clear it, so that it runs\."):
        recorded("train", ROOT, runs)


def test_instances_of_a_mapped_task_have_keys_of_their_own() -> None:
    assert [step_key("train", index) for index in (None, -1, 0, 12)] == ["train", "train", "train-0", "train-12"]


def test_what_an_instance_of_a_mapped_task_made_is_not_that_of_a_task_with_its_key(runs: RunStore) -> None:
    reference = _done(runs, "train-1", model="/plain")
    plain = replace(runs.get(reference["run_id"]), origin={"task_id": "train-1", "map_index": -1})
    runs.put(plain)
    instance = {"outputs": {"model": _handle("/mapped").to_json()}, "origin": {"task_id": "train", "map_index": 1}}
    runs.put(replace(plain, run_id=f"{ROOT}.train-1.2", **instance))
    assert recorded("train-1", ROOT, runs).outputs == {"model": _handle("/plain")}
    assert verified(reference, "train-1", ROOT, runs) == {"model": _handle("/plain")}
    with pytest.raises(UntrustedReferenceError, match=r"task 'train' published does not match"):
        verified(reference, "train", ROOT, runs)


def test_all_instances_are_read_in_their_order(runs: RunStore) -> None:
    references = [_done(runs, f"train-{index}", model=f"/{index}") for index in range(3)]
    found = verified_all(references, "train", ROOT, runs, 3)
    assert [outputs["model"] for outputs in found] == [_handle("/0"), _handle("/1"), _handle("/2")]


def test_a_missing_instance_is_named(runs: RunStore) -> None:
    references = [_done(runs, f"train-{index}", model=f"/{index}") for index in (0, 2)]
    with pytest.raises(UntrustedReferenceError, match=r"Of the 3 instances of task 'train', 2 .* missing: train-1\. "):
        verified_all(references, "train", ROOT, runs, 3)


def test_an_instance_that_stands_for_two_is_refused(runs: RunStore) -> None:
    references = [_done(runs, "train-0", model="/0")] * 2
    with pytest.raises(UntrustedReferenceError, match=r"missing: train-1\. "):
        verified_all(references, "train", ROOT, runs, 2)
