"""Promotion: where the names of a table's columns come from."""

from __future__ import annotations

from enum import Enum

from refrain.errors import UserError


class PromoteHeadersBehavior(Enum):
    """Where the names of columns come from."""

    NO_HEADERS = 0  # Column1, Column2, …
    ONLY_FIRST_FILE_HAS_HEADERS = 1
    COMBINE_ALL_FILES_HEADERS = 2  # columns are found by name, in the order in which the files bring them
    ALL_FILES_HAVE_SAME_HEADERS = 3  # the first line of the first file; the first line of every file is no data


def promotion(header: object) -> PromoteHeadersBehavior:
    """Return what a user's *header* means: True stands for one header that all files have, False for none.

    :raises UserError: for anything but these and a :class:`PromoteHeadersBehavior`.
    """
    if isinstance(header, PromoteHeadersBehavior):
        return header
    if not isinstance(header, bool):
        raise UserError(f"header {header!r} is not True, False or a PromoteHeadersBehavior.")
    return PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS if header else PromoteHeadersBehavior.NO_HEADERS
