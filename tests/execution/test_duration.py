from __future__ import annotations

import pytest

from refrain.errors import UserError
from refrain.execution.duration import duration, parse_duration


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


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("12h", 43200), ("30d", 2592000), ("1.5w", 907200)]
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "30", "-1d", "1y", "1 d 2 h"])
def test_what_is_no_length_of_time_is_named(text: str) -> None:
    with pytest.raises(UserError, match="is no length of time; write a number and a unit, such as 90m, 12h or 30d"):
        parse_duration(text)
