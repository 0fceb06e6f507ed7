"""Child runs: how they are numbered, named and chosen."""

from __future__ import annotations

import os
import re

from refrain.runtime.errors import UserErrorException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

_MOST = 100
_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,254}", re.ASCII)


def child_id(parent_id: str, wanted: str | None, suffix: str) -> str:
    """Return the id of a new child of the run *parent_id*: the one *wanted*, or the parent's with *suffix*.

    :raises UserErrorException: if the wanted one is not fit to be the name of a folder, or is the parent's.
    """
    if wanted is None:
        return f"{parent_id}.{suffix}"
    if not _ID.fullmatch(wanted) or wanted == parent_id:
        raise UserErrorException(
            f"A child run cannot have the id '{wanted}'. Ids begin with a letter or a digit, go on with those, '_', "
            "'-' and '.', have at most 255 characters, and differ from the parent's."
        )
    return wanted


def new_suffix() -> str:
    """Return a suffix that no other process chooses."""
    return os.urandom(8).hex()


def child_labels(count: int | None, tag_key: str | None, tag_values: Sequence[str] | None) -> list[dict[str, str]]:
    """Return the tags of each child to create: for *count* of them none, otherwise one of *tag_values* each.

    :raises UserErrorException: if the numbers disagree, or are not between 1 and 100.
    """
    if (tag_key is None) != (tag_values is None) or (count is None and tag_values is None):
        raise UserErrorException("create_children takes count=, or tag_key= with tag_values=. Give one of the two.")
    if tag_key is None or tag_values is None:
        labels: list[dict[str, str]] = [{} for _ in range(count or 0)]
    else:
        labels = [{tag_key: value} for value in tag_values]
    if count not in {None, len(labels)} or not 0 < len(labels) <= _MOST:
        raise UserErrorException(
            f"create_children cannot make {len(labels)} runs (count={count}). Make 1 to {_MOST} at a time, "
            "and as many as there are tag values."
        )
    return labels


def has_labels(labels: Mapping[str, Any], wanted: str | Mapping[str, Any] | None) -> bool:
    """Whether *labels* have the key that is *wanted*, or all the wanted keys and values."""
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted in labels
    return all(key in labels and labels[key] == value for key, value in wanted.items())
