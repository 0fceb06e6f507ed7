"""DataHandle: data by reference, from anybody."""

import os
from pathlib import Path

import pytest

from refrain.data.handle import DataHandle
from refrain.errors import UntrustedReferenceError
from refrain.storage.local import file_uri
from refrain.storage.manifest import TreeKind

HANDLE = DataHandle("file:///data/x", TreeKind.FILE, "a" * 64, 1, 5)


def test_a_handle_survives_json():
    assert DataHandle.from_json(HANDLE.to_json()) == HANDLE


@pytest.mark.parametrize("raw", [b"/plain", b"/a b#c?d%20e", "/täglich".encode(), b"/caf\xe9", b"/line\nbreak"])
def test_any_path_survives_its_uri(raw):
    path = Path(os.fsdecode(raw))
    assert DataHandle(file_uri(path), TreeKind.FILE, "a" * 64, 1, 5).path == path


@pytest.mark.parametrize("uri", ["s3://bucket/key", "http://host/x", "file://host/x", "FTP://x"])
def test_only_this_machines_files_have_a_path(uri):
    with pytest.raises(UntrustedReferenceError, match="is no local path; only file:/// URIs can be read"):
        _ = DataHandle(uri, TreeKind.FILE, "a" * 64, 1, 5).path


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "abc"},
        {"digest": None},
        {"uri": "/data/x"},
        {"kind": "folder"},
        {"files": "many"},
        {"files": -1},
        {"bytes": -5},
        {"bytes": float("inf")},
        {"bytes": None},
    ],
)
def test_a_changed_field_is_refused(change):
    with pytest.raises(UntrustedReferenceError, match=r"is no reference to data|has no valid URI, digest and size"):
        DataHandle.from_json({**HANDLE.to_json(), **change})


@pytest.mark.parametrize("document", [{}, [], None, "text", 5])
def test_what_is_no_handle_at_all_is_refused(document):
    with pytest.raises(UntrustedReferenceError, match="is no reference to data"):
        DataHandle.from_json(document)


def test_a_long_text_is_not_repeated_in_full():
    with pytest.raises(UntrustedReferenceError) as caught:
        DataHandle.from_json({"uri": "x" * 10_000})
    assert len(str(caught.value)) < 400
