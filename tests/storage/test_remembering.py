"""An object store that does not ask again: contents, names, and when they are asked for anew."""

import pytest

from refrain.storage.objects import LocalObjectStore
from refrain.storage.registry import Registry
from refrain.storage.remembering import SECONDS, RememberingObjects


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def objects(tmp_path):
    return LocalObjectStore(tmp_path)


@pytest.fixture
def remembering(objects, now):
    return RememberingObjects(objects, lambda: now[0])


def test_what_others_add_is_seen_after_a_moment(remembering, objects, now):
    assert remembering.names("a") == []
    objects.put("a/1", b"")
    now[0] += SECONDS / 2
    assert remembering.names("a") == []
    now[0] += SECONDS / 2
    assert remembering.names("a") == ["1"]


def test_what_one_writes_oneself_is_seen_at_once(remembering):
    assert remembering.names("a") == []
    assert remembering.get("a/1") is None
    remembering.create("a/1", b"x")
    assert (remembering.names("a"), remembering.get("a/1")) == (["1"], b"x")
    remembering.put("a/2", b"y")
    assert remembering.names("a") == ["1", "2"]
    remembering.delete("a/1")
    assert (remembering.names("a"), remembering.get("a/1")) == (["2"], None)


def test_an_object_is_not_read_again_for_a_moment(remembering, objects, now):
    objects.put("a/1", b"x")
    assert remembering.get("a/1") == b"x"
    objects.put("a/1", b"y")
    assert remembering.get("a/1") == b"x"
    now[0] += SECONDS
    assert remembering.get("a/1") == b"y"


def test_a_version_that_another_process_took_meanwhile_leads_to_the_next(remembering, objects):
    registry = Registry(remembering)
    assert registry.versions("datasets", "d") == []
    assert Registry(objects).add("datasets", "d", {"by": "another"}) == 1
    assert registry.add("datasets", "d", {"by": "us"}) == 2
    assert registry.get("datasets", "d") == {"by": "us"}
