"""Pins: which results are to stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain.errors import CorruptObjectError
from refrain.reuse.pins import Pins
from refrain.storage.objects import LocalObjectStore

KEY = "f" * 64


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path)


@pytest.fixture
def pins(objects: LocalObjectStore) -> Pins:
    return Pins(objects)


def test_a_pin_is_read_back_with_its_note_until_it_is_removed(pins: Pins) -> None:
    assert (pins.has(KEY), pins.get(KEY), pins.fingerprints()) == (False, None, [])
    pin = pins.add(KEY, "the baseline of 2026")
    assert pins.get(KEY) == pin
    assert pin.note == "the baseline of 2026"
    assert pins.fingerprints() == [KEY]
    assert pins.remove(KEY)
    assert not pins.remove(KEY)
    assert pins.fingerprints() == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'{"schema": 1}'])
def test_a_damaged_pin_is_named_and_still_holds(pins: Pins, objects: LocalObjectStore, content: bytes) -> None:
    objects.put(f"reuse/pinned/{KEY}", content)
    assert pins.has(KEY)
    with pytest.raises(CorruptObjectError, match=f"The pin of {KEY} is damaged; pin the result again"):
        pins.get(KEY)


def test_a_pin_of_a_newer_schema_is_named(pins: Pins, objects: LocalObjectStore) -> None:
    objects.put(f"reuse/pinned/{KEY}", b'{"schema": 2}')
    with pytest.raises(CorruptObjectError, match="has schema 2, this Refrain reads up to 1"):
        pins.get(KEY)
