"""Sealed documents: what is read is what was written, or it is refused."""

from __future__ import annotations

import pytest

from refrain.errors import CorruptObjectError
from refrain.storage.sealed import is_sealed, sealed, unsealed

STORED = b'{"checksum":"33d3eaf3efe8ab5c65c67cdd9340ffa6627d9e1284eff29e95fbdfa40de5cd6f","record":{"schema":1}}'


def test_a_document_is_read_back_as_it_was_written() -> None:
    content = sealed('{"schema":1,"name":"ü"}')
    assert is_sealed(content)
    assert unsealed(content, "The record") == {"schema": 1, "name": "ü"}


def test_the_form_is_that_of_what_is_stored_already() -> None:
    assert sealed('{"schema":1}') == STORED


def test_what_is_damaged_is_named() -> None:
    content = sealed('{"schema":1}')
    for damaged in (b"", b"{}", content[:-1], content + b"}", content.replace(b"1}", b"2}"), content.upper()):
        with pytest.raises(CorruptObjectError, match="The record is damaged: its checksum does not fit"):
            unsealed(damaged, "The record")


def test_what_was_no_json_when_it_was_sealed_is_named() -> None:
    with pytest.raises(CorruptObjectError, match="The record cannot be read"):
        unsealed(sealed("not json"), "The record")
