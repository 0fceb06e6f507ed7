from __future__ import annotations

from refrain.runtime.parallel.trace import described


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  # what was raised, whatever it is
        return caught


def test_it_says_what_was_raised_and_where() -> None:
    found = described(raised(ValueError("bad row")))
    assert found["text"] == "ValueError: bad row"
    assert "raise error" in found["trace"]


def test_an_exit_is_told_by_its_code() -> None:
    assert described(raised(SystemExit(42)))["text"] == "SystemExit: 42"


def test_an_exception_that_cannot_be_told_is_named() -> None:
    assert "Mute" in described(raised(Mute()))["text"]


def test_a_huge_message_is_cut() -> None:
    assert len(described(raised(ValueError("x" * 1_000_000)))["trace"]) < 20_000
