"""Run records, and what is kept beside them."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from refrain.errors import CorruptObjectError, RunNotFoundError, UserError, WorkspaceError
from refrain.storage.sealed import sealed
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStatus, RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(WorkspaceState(tmp_path))


def _record(run_id: str = "root", **changes: object) -> RunRecord:
    fields = {"name": "n", "pipeline": "p", "experiment": "e", "created": 1.0, **changes}
    return RunRecord(run_id=run_id, **fields)  # type: ignore[arg-type]


def test_a_record_is_read_back_as_it_was_written(store: RunStore) -> None:
    record = _record(
        status=RunStatus.FAILED,
        parameters={"rate": 0.1, "on": True},
        steps=("a", "b"),
        pipeline_outputs={"model": ("a", "out")},
        registered={"out": {"name": "data", "version": 1}},
        tags={"k": "v"},
    )
    store.put(record)
    assert store.get("root") == record


def test_a_run_that_is_not_there_is_named(store: RunStore) -> None:
    with pytest.raises(RunNotFoundError, match="There is no run 'nowhere' in the workspace"):
        store.get("nowhere")
    assert not store.exists("nowhere")


@pytest.mark.parametrize("run_id", ["../secrets", "a/b", "", ".hidden", "root.step.0", "root..1/x.1"])
def test_a_run_id_is_never_a_path(store: RunStore, run_id: str) -> None:
    with pytest.raises(UserError, match="is no step run id"):
        store.get(run_id)


@pytest.mark.parametrize("content", [b"", b"[]", b'"x"', b"{}", b'{"schema": 1}', b'{"schema": "1"}', b"\xff"])
def test_a_damaged_record_is_named_and_left_out_of_lists(store: RunStore, tmp_path: Path, content: bytes) -> None:
    store.put(_record("sound"))
    store.put(_record("damaged"))
    (tmp_path / "runs" / "damaged" / "run.json").write_bytes(content)
    with pytest.raises(CorruptObjectError, match="The record of run damaged is damaged"):
        store.get("damaged")
    assert [record.run_id for record in store.roots()] == ["sound"]


def test_a_record_of_a_newer_schema_is_named_and_unknown_fields_of_ours_are_ignored(
    store: RunStore, tmp_path: Path
) -> None:
    store.put(_record())
    path = tmp_path / "runs" / "root" / "run.json"
    document = json.loads(path.read_text())["record"]
    path.write_bytes(sealed(json.dumps({**document, "later": 1})))
    assert store.get("root") == _record()
    path.write_bytes(sealed(json.dumps({**document, "schema": 3})))
    with pytest.raises(CorruptObjectError, match="has schema 3, this Refrain reads up to 2"):
        store.get("root")


def test_a_record_of_the_schema_without_a_checksum_is_read(store: RunStore, tmp_path: Path) -> None:
    store.put(_record())
    path = tmp_path / "runs" / "root" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text())["record"], "schema": 1}))
    assert store.get("root") == _record()


def test_any_flipped_bit_of_any_byte_and_any_cut_is_found(store: RunStore, tmp_path: Path) -> None:
    store.put(_record(outputs={"out": {"uri": "file:///store/out", "digest": "a" * 64}}))
    path = tmp_path / "runs" / "root" / "run.json"
    sound = path.read_bytes()
    flipped = [sound[:at] + bytes([sound[at] ^ bit]) + sound[at + 1 :] for at in range(len(sound)) for bit in (1, 128)]
    for content in (*flipped, *(sound[:length] for length in range(len(sound)))):
        path.write_bytes(content)
        with pytest.raises(CorruptObjectError, match="The record of run root is damaged"):
            store.get("root")


def test_attempts_are_numbered_by_whoever_comes_first(store: RunStore) -> None:
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.append(store.new_step_run("root", "step").attempt)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 17))
    assert store.new_step_run("root", "step", attempt=40).attempt == 40


def test_a_place_that_cannot_be_written_is_named(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(WorkspaceError, match=r"Cannot make .*: Not a directory"):
        store.new_step_run("root", "step")


def test_tags_set_later_survive_whatever_the_runner_writes(store: RunStore) -> None:
    record = _record(tags={"a": "1", "b": "1"})
    store.put(record)
    store.set_tags("root", {"b": "2"})
    store.set_tags("root", {"c": "3", "b": "4"})
    store.put(RunRecord(**{**vars(record), "status": RunStatus.COMPLETED}))
    assert store.get("root").tags == {"a": "1", "b": "4", "c": "3"}
    assert store.get("root").status is RunStatus.COMPLETED


def test_tags_set_at_once_are_all_kept(store: RunStore) -> None:
    store.put(_record())
    threads = [threading.Thread(target=store.set_tags, args=("root", {f"t{n}": str(n)})) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("root").tags == {f"t{n}": str(n) for n in range(12)}


def test_a_damaged_tag_does_not_take_the_run_with_it(store: RunStore, tmp_path: Path) -> None:
    store.put(_record())
    store.set_tags("root", {"a": "1"})
    (tmp_path / "runs" / "root" / "tags" / "000002").write_text("damaged")
    assert store.get("root").tags == {"a": "1"}


def test_a_new_attempt_is_above_all_others_where_a_number_was_left_out(store: RunStore) -> None:
    """As when the first try of an Airflow task never began; a run that has its id again counts tries anew."""
    store.new_step_run("root", "step", attempt=2)
    assert store.new_step_run("root", "step", attempt=1).attempt == 3


def test_of_several_attempts_the_newest_counts(store: RunStore) -> None:
    for attempt in (1, 2, 10):
        store.put(_record(f"root.step.{attempt}", key="step", created=float(attempt)))
    store.put(_record("root.other.1", key="other", created=5.0))
    assert [record.run_id for record in store.latest_steps("root")] == ["root.other.1", "root.step.10"]
    assert len(store.steps("root")) == 4


def test_the_attempts_of_a_step_are_its_own_in_the_order_of_their_numbers(store: RunStore) -> None:
    for attempt, created in ((2, 3.0), (10, 1.0), (1, 2.0)):  # by clocks of machines that are not at one
        store.put(_record(f"root.step.{attempt}", key="step", created=created))
    for key in ("step.1", "step-0", "other"):
        store.put(_record(f"root.{key}.1", key=key, created=5.0))
    assert [record.run_id for record in store.attempts("root", "step")] == [
        "root.step.1",
        "root.step.2",
        "root.step.10",
    ]
    assert store.attempts("root", "never") == []


def test_only_the_first_record_is_created(store: RunStore) -> None:
    assert store.create(_record(name="first"))
    assert not store.create(_record(name="second"))
    assert store.get("root").name == "first"


def test_the_first_answer_to_a_question_about_a_run_stays(store: RunStore) -> None:
    assert store.settle("root", "which version?", "3") == "3"
    assert store.settle("root", "which version?", "4") == "3"
    assert store.settle("root", "another/../question", "5") == "5"
    assert store.settle("other", "which version?", "4") == "4"


def test_a_record_that_an_earlier_refrain_wrote_is_read(store: RunStore, tmp_path: Path) -> None:
    store.put(_record())
    path = tmp_path / "runs" / "root" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text())["record"], "schema": 1}))
    assert store.get("root") == _record()


def _reused(key: str, attempt: int = 1, **changes: object) -> RunRecord:
    return _record(f"root.{key}.{attempt}", key=key, status=RunStatus.COMPLETED, reused_from="old.a.1", **changes)


def test_records_that_are_noted_together_are_found_like_any_other(store: RunStore, tmp_path: Path) -> None:
    store.put(_record("root.ran.1", key="ran", created=2.0))
    noted = [_reused("first", created=1.0), _reused("last", created=3.0, outputs={"out": {"uri": "file:///a"}})]
    store.note(noted)
    assert len(list(tmp_path.glob("runs/*/reused/*"))) == 1
    later = RunStore(WorkspaceState(tmp_path))
    assert later.get("root.last.1") == noted[1]
    assert later.exists("root.last.1")
    assert not later.exists("root.last.2")
    assert [record.key for record in later.steps("root")] == ["first", "ran", "last"]
    assert later.attempts("root", "first") == [noted[0]]
    assert [record.run_id for record in later.latest_steps("root")] == ["root.first.1", "root.ran.1", "root.last.1"]


def test_the_number_of_a_noted_attempt_is_taken(store: RunStore) -> None:
    store.note([_reused("step"), _reused("step", 2)])
    assert store.new_step_run("root", "step").attempt == 3
    assert store.new_step_run("root", "other").attempt == 1
    assert store.latest_attempts("root") == {"step": 3, "other": 1}


def test_a_noted_step_can_be_tagged_and_written_anew(store: RunStore) -> None:
    store.note([_reused("step"), _reused("other")])
    store.set_tags("root.step.1", {"k": "v"})
    assert store.get("root.step.1").tags == {"k": "v"}
    assert [record.tags for record in store.steps("root")] == [{}, {"k": "v"}]
    store.update(store.get("root.step.1"), name="changed")
    assert [record.name for record in store.attempts("root", "step")] == ["changed"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is damaged"),
        (b'{"schema": 2, "steps": [{}]}', "is damaged"),
        (b'{"schema": 3}', "has schema 3, this Refrain reads up to 2"),
    ],
)
def test_damaged_notes_are_named_and_left_out_of_lists(
    store: RunStore, tmp_path: Path, content: bytes, message: str
) -> None:
    store.note([_reused("sound")])
    (tmp_path / "runs/root/reused" / "damaged").write_bytes(content)
    with pytest.raises(CorruptObjectError, match=f"The object 'runs/.*/damaged' {message}"):
        store.get("root.lost.1")
    assert store.new_step_run("root", "sound").attempt == 2
    assert [record.key for record in store.steps("root")] == ["sound"]
