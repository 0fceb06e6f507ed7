from __future__ import annotations

import pytest

from refrain.execution.duration import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1m 00s"),
        (200, "3m 20s"),
        (3599.6, "1h 00m"),
        (7500, "2h 05m"),
        (273600, "3d 04h"),
    ],
)
def test_seconds_are_told_in_words_that_fit_their_size(seconds: float, words: str) -> None:
    assert duration(seconds) == words
