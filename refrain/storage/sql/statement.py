"""Statement: a query looked at without a parser: is it one, does it only read, does it give an order."""

from __future__ import annotations

import re
from collections.abc import Iterator

from refrain.errors import UserError

_READING = ("SELECT", "WITH", "VALUES", "TABLE")
_WORD = r"(?P<word>[A-Za-z_][\w$]*)"

# What is no code, in each product's own spelling.
_STANDARD = [r"--[^\n]*", r"/\*.*?\*/", r'"(?:[^"]|"")*"']
_PLAIN_TEXT = r"'(?:[^']|'')*'"
_ESCAPED_TEXT = r"'(?:[^'\\]|''|\\.)*'"
_SKIPPED = {
    "postgresql": [*_STANDARD, r"[eE]" + _ESCAPED_TEXT, _PLAIN_TEXT, r"(?P<tag>\$\w*\$).*?(?P=tag)"],
    "mysql": [*_STANDARD, r"#[^\n]*", r"`(?:[^`]|``)*`", _ESCAPED_TEXT, r'"(?:[^"\\]|""|\\.)*"'],
    "mssql": [*_STANDARD, r"\[(?:[^\]]|\]\])*\]", _PLAIN_TEXT],
    "sqlite": [*_STANDARD, r"\[[^\]]*\]", r"`(?:[^`]|``)*`", _PLAIN_TEXT],
}


def only_query(text: str, product: str) -> str:
    """Return one reading statement, without the ``;`` that ends it.

    It guards against a slip, not against an attack: what the account may do is the database's to decide.

    :raises UserError: when it is none, or there are several.
    """
    words, ends = [], []
    for word, position in _tokens(text, product):
        if word == ";":
            ends.append(position)
        elif ends:
            raise UserError(f"{_short(text)} holds several statements; give one query.")
        else:
            words.append(word.upper())
    if not words or words[0] not in _READING:
        raise UserError(f"{_short(text)} is no query: it begins with none of {', '.join(_READING)}.")
    if "INTO" in words:
        raise UserError(f"{_short(text)} writes, with INTO; give a query that only reads.")
    return text[: ends[0]] if ends else text


def gives_order(text: str, product: str) -> bool:
    """Say whether a query may promise an order of its rows; in doubt it does."""
    return "ORDER" in {word.upper() for word, _ in _tokens(text, product)}


def _tokens(text: str, product: str) -> Iterator[tuple[str, int]]:
    """Yield the words and semicolons that are code, with their places."""
    pattern = "|".join([*_SKIPPED[product], _WORD, r"(?P<end>;)"])
    for match in re.finditer(pattern, text, re.DOTALL):
        token = match["word"] or match["end"]
        if token:
            yield token, match.start()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else f"{line[:79]}…")
