"""Manifests: the canonical list of files, and its digest."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.errors import CorruptObjectError
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import MISSING, Entry, Manifest, TreeKind, difference

A = Entry("a.txt", 1, "a" * 64)
B = Entry("sub/b.txt", 2, "b" * 64)
X = Entry("run.sh", 3, "c" * 64, executable=True)
EMPTY = Entry("empty/", 0, "")
TREE = Manifest(TreeKind.DIRECTORY, (A, B, X, EMPTY))


def test_the_bytes_of_a_manifest_are_golden():
    """A change here loses every stored result."""
    assert TREE.content == (
        b'{"entries":[["a.txt",1,"' + b"a" * 64 + b'",0],["empty/",0,"",0],["run.sh",3,"' + b"c" * 64 + b'",1],'
        b'["sub/b.txt",2,"' + b"b" * 64 + b'",0]],"kind":"directory","schema":1}'
    )


def test_the_digest_of_a_manifest_is_golden():
    """A change here loses every stored result."""
    assert TREE.digest == "642a96e368b46b2015564df899d313a310d05315d38b01b5852c8fe671c852bc"
    assert MISSING.digest == "6b545a2e1745b1a9f732b120a96fd4259665dc0305d5c1fcb33717ede9307431"
    assert (
        Manifest(TreeKind.FILE, (Entry("", 3, digest_bytes(b"abc")),)).digest
        == "96fde93186f2ffea91bc084a069598acaac406ea7614fad523ef7c76dca1bdd2"
    )
    assert Manifest(TreeKind.DIRECTORY, ()).digest == "fd607876f6e39a72cbc39f44c0014052c29d4851caa9a0bce80260dc7582c50f"


def test_the_order_in_which_files_were_found_does_not_count():
    assert Manifest(TreeKind.DIRECTORY, (EMPTY, X, B, A)).digest == TREE.digest


@pytest.mark.parametrize(
    "other",
    [
        Manifest(TreeKind.FILE, TREE.entries),
        Manifest(TreeKind.DIRECTORY, (A, B, X)),
        Manifest(TreeKind.DIRECTORY, (A, B, EMPTY, Entry("run.sh", 3, "c" * 64))),
        Manifest(TreeKind.DIRECTORY, (A, X, EMPTY, Entry("sub/B.txt", 2, "b" * 64))),
        Manifest(TreeKind.DIRECTORY, (A, X, EMPTY, Entry("sub/b.txt", 2, "d" * 64))),
    ],
    ids=["kind", "an empty directory less", "executable bit", "name", "bytes"],
)
def test_whatever_differs_gives_another_digest(other):
    assert other.digest != TREE.digest


def test_counts_are_of_files_only():
    assert (TREE.files, TREE.bytes) == (3, 6)


NAMES = st.binary(min_size=1, max_size=8).filter(lambda raw: b"\0" not in raw and b"/" not in raw)
ENTRIES = st.builds(
    Entry,
    path=NAMES.map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    size=st.integers(0, 2**60),
    digest=st.just("e" * 64),
    executable=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRIES, unique_by=lambda entry: entry.path))
def test_a_manifest_survives_storing_whatever_its_files_are_called(entries):
    tree = Manifest(TreeKind.DIRECTORY, tuple(sorted(entries, key=lambda entry: entry.path)))
    assert Manifest.from_content(tree.content, tree.digest) == tree


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRIES, unique_by=lambda e: e.path), st.lists(ENTRIES, unique_by=lambda e: e.path))
def test_two_trees_have_one_digest_only_if_they_are_equal(one, other):
    first, second = (Manifest(TreeKind.DIRECTORY, tuple(sorted(e, key=lambda x: x.path))) for e in (one, other))
    assert (first.digest == second.digest) == (first == second)


def test_changed_bytes_are_refused():
    with pytest.raises(CorruptObjectError, match=f"Manifest {TREE.digest} is corrupt: its bytes have another digest"):
        Manifest.from_content(TREE.content.replace(b"a.txt", b"z.txt"), TREE.digest)


def test_a_newer_schema_is_refused_with_the_way_out():
    content = json.dumps({"schema": 2, "kind": "directory", "entries": []}).encode()
    with pytest.raises(CorruptObjectError, match="has schema 2, this Refrain reads up to 1: upgrade Refrain"):
        Manifest.from_content(content, digest_bytes(content))


def test_a_difference_names_files_by_group():
    new = Manifest(TreeKind.DIRECTORY, (Entry("a.txt", 1, "f" * 64), B, Entry("n1", 0, ""), Entry("n2", 0, "")))
    found = difference(TREE, new)
    assert (found.changed, found.added, found.removed) == (("a.txt",), ("n1", "n2"), ("empty/", "run.sh"))
    assert found.describe(most=1) == "changed a.txt; added n1 and 1 more; removed empty/ and 1 more"


def test_equal_trees_have_no_difference():
    assert not difference(TREE, TREE)
    assert difference(TREE, TREE).describe() == ""


def test_a_single_file_is_called_the_file():
    old, new = (Manifest(TreeKind.FILE, (Entry("", 1, digit * 64),)) for digit in "12")
    assert difference(old, new).describe() == "changed the file"


def test_any_flipped_bit_and_any_cut_of_a_stored_manifest_is_found():
    sound, digest = TREE.content, TREE.digest
    flipped = (
        sound[:place] + bytes([sound[place] ^ bit]) + sound[place + 1 :]
        for place in range(len(sound))
        for bit in (0x01, 0x20, 0x80)
    )
    cut = (sound[:length] for length in range(len(sound)))
    for content in (*flipped, *cut, sound + b" ", sound * 2):
        with pytest.raises(CorruptObjectError, match="is corrupt: its bytes have another digest"):
            Manifest.from_content(content, digest)
