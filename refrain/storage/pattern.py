"""Pattern: globs on paths that the local file system does not know, read as the local ones are."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable

_VISIBLE = r"[^./][^/]*"
_FOLDERS = rf"(?:{_VISIBLE}/)*"
_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_PIECES = re.compile(r"\[!?[^\]]+\]|.", re.DOTALL)


def is_pattern(path: str) -> bool:
    """Say whether a path has wildcards; the query of a web address has none."""
    return glob.has_magic(path.partition("?")[0] if path.startswith(("http://", "https://")) else path)


def literal_part(pattern: str) -> str:
    """Return the folders of a pattern that come before its first wildcard."""
    parts = pattern.split("/")
    first = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:first])


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a path matches: ``**`` stands for any folders, and no wildcard for a leading dot."""
    *folders, last = pattern.split("/")
    expression = "".join(_FOLDERS if part == "**" else f"{_part(part)}/" for part in folders)
    whole = re.compile(expression + (_FOLDERS + _VISIBLE if last == "**" else _part(last)))
    return lambda path: whole.fullmatch(path) is not None


def _part(part: str) -> str:
    if not glob.has_magic(part):
        return re.escape(part)
    hidden = "" if part.startswith(".") else r"(?!\.)"
    return hidden + "".join(_piece(piece) for piece in _PIECES.findall(part))


def _piece(piece: str) -> str:
    if piece in _WILDCARDS:
        return _WILDCARDS[piece]
    if len(piece) > 1:  # a set of characters
        inside = piece[1:-1].replace("\\", "\\\\")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(piece)
