"""Parts: how objects are cut, and the tags that S3 makes of them."""

from __future__ import annotations

import itertools

import pytest

from refrain.storage.parts import PART_BYTES, etag_of, md5_of, part, parts_of


@pytest.mark.parametrize(
    ("size", "count"), [(0, 1), (1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2), (PART_BYTES * 10_000, 10_000)]
)
def test_an_object_is_cut_into_parts_of_8_mib(size, count):
    assert len(parts_of(size)) == count


def test_a_very_large_object_has_no_more_parts_than_a_store_takes():
    size = PART_BYTES * 10_000 + 1
    starts = parts_of(size)
    assert (len(starts), starts.step) == (5001, 2 * PART_BYTES)
    assert part(size, starts, 5000).end == size


@pytest.mark.parametrize("size", [1, PART_BYTES, 3 * PART_BYTES + 5])
def test_the_parts_are_the_whole(size):
    starts = parts_of(size)
    found = [part(size, starts, index) for index in range(len(starts))]
    assert found[0].start == 0
    assert all(one.end == two.start for one, two in itertools.pairwise(found))
    assert sum(each.size for each in found) == size


def test_the_tag_of_parts_is_that_of_amazons_tools():
    assert etag_of([md5_of(b"a" * 100), md5_of(b"b")]) == "432a92e7b44eb681bf866365bce4200a-2"
