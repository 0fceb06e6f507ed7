"""Records: the only trusted entry to an earlier result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refrain.data.handle import DataHandle
from refrain.data.models.use import How, ModelUse
from refrain.errors import CorruptObjectError
from refrain.reuse.record import SCHEMA, RecordStore, ReuseRecord, Tombstone, record_key
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import TreeKind
from refrain.storage.objects import LocalObjectStore

KEY = "f" * 64


def _record(fingerprint: str = KEY, **changes: object) -> ReuseRecord:
    fields: dict[str, object] = {
        "preimage": {"schema": 1, "command": [["literal", "ü"]]},
        "outputs": {"out": DataHandle("file:///store/out", TreeKind.FILE, "a" * 64, 1, 4)},
        "run_id": "root.step.1",
        "pipeline": "pipeline",
        "step": "Step",
        "seconds": 1.5,
        "created": 1000.0,
    }
    return ReuseRecord(fingerprint=fingerprint, **{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path)


@pytest.fixture
def records(objects: LocalObjectStore) -> RecordStore:
    return RecordStore(objects)


def test_a_record_is_read_back_as_it_was_written(records: RecordStore) -> None:
    records.put(_record(), "step")
    assert records.get(KEY) == _record()
    assert records.get("0" * 64) is None


def test_a_pinned_result_that_cannot_be_read_right_now_stays(records: RecordStore, objects: LocalObjectStore) -> None:
    records.put(_record(), "step")
    records.pins.add(KEY)
    path = objects.path(record_key(KEY))
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path)  # which the system refuses to read
    assert not records.put(_record(run_id="root.step.2"), "step")
    path.with_suffix(".aside").rename(path)
    assert records.get(KEY) == _record()
    path.write_bytes(b"damaged")
    assert records.put(_record(run_id="root.step.2"), "step")


def test_any_flipped_bit_of_any_byte_is_found(records: RecordStore, objects: LocalObjectStore) -> None:
    records.put(_record(), "step")
    path = objects.path(record_key(KEY))
    sound = path.read_bytes()
    for place in range(len(sound)):
        for bit in (0x01, 0x20, 0x80):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ bit]) + sound[place + 1 :])
            with pytest.raises(CorruptObjectError, match="is damaged: its checksum does not fit"):
                records.get(KEY)


def test_a_record_that_was_cut_anywhere_or_grew_is_found(records: RecordStore, objects: LocalObjectStore) -> None:
    records.put(_record(), "step")
    path = objects.path(record_key(KEY))
    sound = path.read_bytes()
    for content in (*(sound[:length] for length in range(len(sound))), sound + b"}", sound + b" ", sound * 2):
        path.write_bytes(content)
        with pytest.raises(CorruptObjectError, match="is damaged: its checksum does not fit"):
            records.get(KEY)


def test_a_record_under_another_fingerprint_is_not_believed(records: RecordStore, objects: LocalObjectStore) -> None:
    records.put(_record(), "step")
    other = "e" * 64
    objects.put(record_key(other), objects.get(record_key(KEY)) or b"")
    with pytest.raises(CorruptObjectError, match=f"The reuse record {other} is that of {KEY}"):
        records.get(other)


def _write(objects: LocalObjectStore, document: dict[str, object]) -> None:
    payload = json.dumps(document)
    objects.put(record_key(KEY), f'{{"checksum":"{digest_bytes(payload.encode())}","record":{payload}}}'.encode())


def test_a_record_of_a_newer_schema_is_named(records: RecordStore, objects: LocalObjectStore) -> None:
    _write(objects, {"schema": SCHEMA + 1})
    with pytest.raises(CorruptObjectError, match=f"has schema {SCHEMA + 1}, this Refrain reads up to {SCHEMA}"):
        records.get(KEY)


def test_only_what_was_told_of_models_makes_a_record_that_an_earlier_refrain_misses(
    records: RecordStore, objects: LocalObjectStore
) -> None:
    def schema() -> int:
        return int(json.loads(objects.get(record_key(KEY)) or b"")["record"]["schema"])

    records.put(_record(), "step")
    assert schema() == 2
    use = ModelUse(How.SEEN, "net", "latest", 3, "d" * 64, {"tags": ["stage"]})
    records.put(_record(models=(use,)), "step")
    assert schema() == 3
    assert records.get(KEY) == _record(models=(use,))
    assert records.bury(_record(), Tombstone("forgotten", "", 1.0))
    assert records.get(KEY).models == (use,)


EARLIER_SCHEMA = (
    b'{"checksum":"7ba3","record":{"created":1000.0,"fingerprint":"ff","outputs":{"out":{"bytes":4,"digest":"aa",'
    b'"files":1,"kind":"file","uri":"file:///store/out"}},"pipeline":"pipeline","preimage":{"command":[["literal",'
    b'"\\u00fc"]],"schema":1},"run_id":"root.step.1","schema":1,"seconds":1.5,"step":"Step"}}'
)
"""As the first schema wrote it, with the fingerprint and digests shortened."""


def test_a_record_of_the_schema_before_is_read(records: RecordStore, objects: LocalObjectStore) -> None:
    content = EARLIER_SCHEMA.replace(b'"ff"', f'"{KEY}"'.encode()).replace(b'"aa"', f'"{"a" * 64}"'.encode())
    payload = content[content.index(b'"record":') + 9 : -1]
    objects.put(record_key(KEY), content.replace(b"7ba3", digest_bytes(payload).encode()))
    assert records.get(KEY) == _record()


def test_a_dead_record_is_read_back_and_an_older_reader_would_miss(
    records: RecordStore, objects: LocalObjectStore
) -> None:
    records.put(_record(), "step")
    tombstone = Tombstone("output missing", "output out is gone", 2000.0)
    assert records.bury(_record(), tombstone)
    assert records.get(KEY) == _record(dead=tombstone)
    stored = json.loads(objects.get(record_key(KEY)) or b"")["record"]
    assert stored["schema"] == 2
    assert [record.dead for record in records.recent("pipeline", "step")] == [tombstone]
    assert not records.bury(_record(), tombstone)


def test_a_damaged_record_is_left_as_it_is_by_a_burial(records: RecordStore, objects: LocalObjectStore) -> None:
    objects.put(record_key(KEY), b"damaged")
    assert not records.bury(_record(), Tombstone("output missing", "gone", 0.0))
    assert objects.get(record_key(KEY)) == b"damaged"


def test_all_records_are_listed_but_damaged_ones_and_what_else_is_there(
    records: RecordStore, objects: LocalObjectStore
) -> None:
    keys = [f"{number:02x}" + "0" * 62 for number in (0, 16, 255)]
    for key in keys:
        records.put(_record(key), "step")
    records.pins.add(keys[0], "the baseline")
    objects.put(record_key(keys[2]), b"damaged")
    assert [record.fingerprint for record in records.all()] == keys[:2]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": "1"},
        {"schema": 1, "fingerprint": KEY},
        {"schema": 1, "fingerprint": KEY, "outputs": {"out": {"uri": "nonsense"}}},
        {"schema": 1, "fingerprint": KEY, "outputs": {}, "preimage": {}},
    ],
    ids=str,
)
def test_a_record_that_is_whole_but_makes_no_sense_is_named(
    records: RecordStore, objects: LocalObjectStore, document: dict[str, object]
) -> None:
    _write(objects, document)
    with pytest.raises(CorruptObjectError, match="cannot be read"):
        records.get(KEY)


def test_the_latest_ten_sound_results_of_a_step_are_remembered_newest_first(
    records: RecordStore, objects: LocalObjectStore
) -> None:
    keys = [f"{number:064x}" for number in range(12)]
    for key in keys:
        records.put(_record(key), "step")
    records.put(_record(keys[5]), "step")
    objects.put(record_key(keys[11]), b"damaged")
    found = [record.fingerprint for record in records.recent("pipeline", "step")]
    assert found == [keys[5], *(keys[i] for i in (10, 9, 8, 7, 6, 4, 3, 2))]
    assert records.recent("pipeline", "other step") == []


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b"[1, null]", b"\xff"])
def test_a_damaged_memory_is_an_empty_one(records: RecordStore, objects: LocalObjectStore, content: bytes) -> None:
    records.put(_record(), "step")
    (name,) = objects.names("reuse/recent")
    objects.put(f"reuse/recent/{name}", content)
    assert records.recent("pipeline", "step") == []
    records.put(_record(), "step")
    assert len(records.recent("pipeline", "step")) == 1
