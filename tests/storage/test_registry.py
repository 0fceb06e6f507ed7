"""The registry: names, and versions that never meet."""

import pytest

from refrain.errors import CorruptObjectError, UserError
from refrain.storage.objects import LocalObjectStore
from refrain.storage.registry import Registry


@pytest.fixture
def registry(tmp_path):
    return Registry(LocalObjectStore(tmp_path))


def test_versions_count_from_one(registry):
    assert [registry.add("datasets", "iris", {"n": n}) for n in range(11)] == list(range(1, 12))
    assert registry.versions("datasets", "iris") == list(range(1, 12))
    assert registry.get("datasets", "iris") == {"n": 10}
    assert registry.get("datasets", "iris", 2) == {"n": 1}
    assert registry.names("datasets") == ["iris"]


def test_what_is_not_there_is_none(registry):
    registry.add("datasets", "iris", {})
    assert registry.get("datasets", "rose") is None
    assert registry.get("datasets", "iris", 7) is None
    assert registry.get("datasets", "iris", 0) is None
    assert registry.names("models") == []


def test_fifty_writers_at_once_get_versions_of_their_own(registry, race):
    code = """
from pathlib import Path
from refrain.storage.objects import LocalObjectStore
from refrain.storage.registry import Registry
registry = Registry(LocalObjectStore(Path(sys.argv[1])))
def work(number):
    return registry.add("datasets", "iris", {"writer": number})
"""
    versions = [int(answer) for answer in race(code, 50)]
    assert sorted(versions) == list(range(1, 51))
    assert [registry.get("datasets", "iris", version) for version in versions] == [{"writer": n} for n in range(50)]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "-a", ".hidden", "a\0b", "a ", "x" * 256, "é", None])
def test_a_name_that_cannot_be_part_of_a_path_is_refused(registry, name):
    with pytest.raises(UserError, match="is no valid name among the datasets: use letters, digits"):
        registry.add("datasets", name, {})
    assert registry.get("datasets", name) is None
    assert registry.versions("datasets", name) == []


def test_what_is_no_version_is_not_counted(registry, tmp_path):
    registry.add("datasets", "iris", {})
    for name in ("notes.txt", "0", "01", "²"):
        (tmp_path / "registry/datasets/iris" / name).touch()
    assert registry.versions("datasets", "iris") == [1]


@pytest.mark.parametrize("content", [b"", b"{", b"5", b"\xff"])
def test_a_damaged_record_is_named(registry, tmp_path, content):
    registry.add("datasets", "iris", {})
    (tmp_path / "registry/datasets/iris/1").write_bytes(content)
    with pytest.raises(CorruptObjectError, match="The record 'registry/datasets/iris/1' of the workspace is damaged"):
        registry.get("datasets", "iris")


def test_a_record_of_another_shape_than_its_reader_s_is_named(registry):
    for number, parse in enumerate(
        (lambda record: record["gone"], lambda record: int(record["text"]), lambda record: record["text"].keys())
    ):
        registry.add("datasets", "iris", {"text": "x", "number": number})
        with pytest.raises(CorruptObjectError, match=f"The record 'registry/datasets/iris/{number + 1}' of the works"):
            registry.read("datasets", "iris", parse)
    assert registry.read("datasets", "iris", lambda record: record["text"]) == "x"
    assert registry.read("datasets", "rose", lambda record: record["text"]) is None


def test_an_error_of_its_reader_s_own_is_kept(registry):
    registry.add("datasets", "iris", {})
    with pytest.raises(UserError, match="of a newer Refrain"):
        registry.read("datasets", "iris", _refuse)


def _refuse(record):
    raise UserError(f"{record} is of a newer Refrain")
