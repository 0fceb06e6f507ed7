"""Receipts, as they are stored."""

import json

import pytest

from refrain.storage.listing import Listed, Listing, tag_of
from refrain.storage.manifest import Manifest, TreeKind
from refrain.storage.objects import LocalObjectStore
from refrain.storage.receipts import Receipts, receipt_key
from refrain.storage.sealed import unsealed
from refrain.storage.trees import TreeIdentity

LISTING = Listing(TreeKind.DIRECTORY, (Listed("a", "s3://b/a", 3, "e1"), Listed("d/b", "s3://b/d/b", 0, "e2")))
DIGEST = LISTING.manifest.digest
IDENTITY = TreeIdentity(TreeKind.DIRECTORY, "a" * 64, 2, 3)


@pytest.fixture
def receipts(tmp_path):
    return Receipts(LocalObjectStore(tmp_path))


def test_a_listing_keeps_its_digest():
    """A change here makes every remote input count as changed, and loses every receipt."""
    assert DIGEST == "d22b939f6fc185238cc0130d525047f0f69cd6d1fffb5cd1212ebf1566feb065"


def test_a_listing_never_has_the_digest_of_a_content():
    same = Manifest(LISTING.kind, LISTING.manifest.entries)
    assert same.digest != DIGEST
    assert Manifest.from_content(LISTING.manifest.content, DIGEST) == LISTING.manifest


def test_a_receipt_is_stored_under_the_digest_of_the_listing(receipts, tmp_path):
    receipts.put(DIGEST, IDENTITY)
    assert unsealed((tmp_path / receipt_key(DIGEST)).read_bytes(), "It") == {
        "schema": 2,
        "listing": DIGEST,
        "kind": "directory",
        "digest": "a" * 64,
        "files": 2,
        "bytes": 3,
    }
    assert receipts.get(DIGEST) == IDENTITY


def test_a_receipt_of_the_schema_without_a_checksum_is_read(receipts, tmp_path):
    receipts.put(DIGEST, IDENTITY)
    path = tmp_path / receipt_key(DIGEST)
    path.write_text(json.dumps({**unsealed(path.read_bytes(), "It"), "schema": 1}))
    assert receipts.get(DIGEST) == IDENTITY


def test_any_flipped_bit_and_any_cut_of_a_receipt_is_found(receipts, tmp_path):
    receipts.put(DIGEST, IDENTITY)
    path = tmp_path / receipt_key(DIGEST)
    sound = path.read_bytes()
    for at in range(len(sound)):
        for content in (sound[:at], sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :]):
            path.write_bytes(content)
            assert receipts.get(DIGEST) is None


def test_a_receipt_is_fetched_once(tmp_path):
    objects, copies = LocalObjectStore(tmp_path / "far"), LocalObjectStore(tmp_path / "near")
    Receipts(objects).put(DIGEST, IDENTITY)
    receipts = Receipts(objects, copies)
    assert receipts.get(DIGEST) == IDENTITY
    objects.delete(receipt_key(DIGEST))
    assert receipts.get(DIGEST) == IDENTITY
    copies.put(receipt_key(DIGEST), b"damaged")
    assert receipts.get(DIGEST) is None


@pytest.mark.parametrize("damage", ["", "{}", "[]", "null", '{"schema": 2}', "\0"])
def test_a_damaged_receipt_is_none(receipts, tmp_path, damage):
    receipts.put(DIGEST, IDENTITY)
    (tmp_path / receipt_key(DIGEST)).write_text(damage)
    assert receipts.get(DIGEST) is None


def test_a_receipt_of_another_listing_is_none(receipts, tmp_path):
    receipts.put(DIGEST, IDENTITY)
    other = "b" * 64
    (tmp_path / receipt_key(other)).parent.mkdir(parents=True)
    (tmp_path / receipt_key(DIGEST)).rename(tmp_path / receipt_key(other))
    assert receipts.get(other) is None


def test_every_part_of_an_object_counts():
    one = Listed("a", "s3://b/a", 3, "e1")
    others = [Listed("a", "s3://c/a", 3, "e1"), Listed("a", "s3://b/a", 4, "e1"), Listed("a", "s3://b/a", 3, "e2")]
    assert len({listed.digest for listed in [one, *others]}) == 4


def test_what_a_store_says_of_a_content_is_its_tag():
    assert tag_of({"ETag": '"abc"', "LastModified": 1}) == "abc"
    assert tag_of({"mtime": 1.5}) == "changed-1.5"
    assert tag_of({"Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT"}) == "changed-946684800.0"
    assert tag_of({}) != tag_of({})


def test_a_coarse_time_that_has_just_passed_is_not_trusted():
    import time

    now = int(time.time())
    assert tag_of({"mtime": now}) != tag_of({"mtime": now})
