"""Local places by their URIs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refrain.errors import DataError, UntrustedReferenceError
from refrain.storage import local
from refrain.storage.local import file_uri, local_path, local_text
from refrain.storage.manifest import MISSING
from refrain.storage.state import stores_without_workspace

# What a file system may have: any bytes but these two, which Python shows as text or as lone surrogates.
texts = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
octets = st.binary(min_size=1, max_size=8).filter(lambda name: not {0, ord("/")} & set(name)).map(os.fsdecode)
parts = st.lists(texts | octets, min_size=1, max_size=4)


@given(parts)
def test_every_path_is_found_again_behind_its_uri(names: list[str]) -> None:
    path = Path("/", *names)
    assert local_path(file_uri(path)) == path
    assert local_text(file_uri(path)) == os.fspath(path)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a.csv", "/data/a.csv"),
        ("file:///srv/.refrain/workspace/", "/srv/.refrain/workspace"),
        ("file:///data/./a//b", "/data/a/b"),
        ("file:///data/%C3%A4%20b", "/data/ä b"),
        ("file:///data/a?b#c", "/data/a"),
        ("file://localhost/data", "/data"),
    ],
)
def test_a_uri_is_put_in_order_and_decoded(uri: str, path: str) -> None:
    assert local_text(uri) == path


@pytest.mark.parametrize("uri", ["s3://bucket/a", "file://host/a", "a", ""])
def test_a_uri_of_another_kind_or_host_is_named(uri: str) -> None:
    with pytest.raises(UntrustedReferenceError, match="only file:/// URIs can be read"):
        local_text(uri)


def test_a_copy_that_comes_second_leaves_the_first_its_files(tmp_path: Path) -> None:
    store, target = stores_without_workspace().local(tmp_path).store, str(tmp_path / "target")
    with store.filling(target, "file:///one", is_fresh=True) as waiting:
        Path(waiting, "mine").write_text("1")
        with pytest.raises(DataError, match="Another copy fills"):
            store.filling(target, "file:///two", is_fresh=True).__enter__()
    assert (tmp_path / "target" / "mine").read_text() == "1"


def test_what_a_killed_copy_has_left_goes_before_the_next(tmp_path: Path) -> None:
    store, target = stores_without_workspace().local(tmp_path).store, str(tmp_path / "target")
    filling = store.filling(target, "file:///one", is_fresh=True)
    Path(filling.__enter__(), "old").write_text("1")
    assert not filling.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with store.filling(target, "file:///one", is_fresh=True) as waiting:
        assert os.listdir(waiting) == []
        Path(waiting, "new").write_text("2")
    assert os.listdir(target) == ["new"]


def test_of_two_steps_that_fill_a_folder_at_once_both_leave_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "ours").write_text("1")
    place = local._place

    def beaten(path: Path, to: Path) -> None:
        monkeypatch.setattr(local, "_place", place)
        target.mkdir()
        (target / "theirs").write_text("2")
        place(path, to)

    monkeypatch.setattr(local, "_place", beaten)
    stores_without_workspace().local(tmp_path).store.publish(source, str(target), MISSING)
    assert sorted(os.listdir(target)) == ["ours", "theirs"]
