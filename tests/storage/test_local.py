"""Local places by their URIs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refrain.errors import UntrustedReferenceError
from refrain.storage.local import file_uri, local_path, local_text

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
