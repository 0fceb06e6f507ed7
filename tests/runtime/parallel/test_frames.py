from __future__ import annotations

import pytest

from refrain.runtime.parallel.frames import Frames, frame

SENT = [({"is": "ready"}, b""), ({"files": ["/a/\udcff.csv", "é"]}, b"\x00rows\n"), ({}, b"x" * 70_000)]


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 1000, 1 << 20])
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(size: int) -> None:
    data, frames = b"".join(frame(*one) for one in SENT), Frames()
    got = [one for start in range(0, len(data), size) for one in frames.feed(data[start : start + size])]
    assert got == SENT


def test_a_frame_that_was_cut_off_is_not_given_out() -> None:
    assert list(Frames().feed(frame({"is": "done"}, b"rows")[:-1])) == []
