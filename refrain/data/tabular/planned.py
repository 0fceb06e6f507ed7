"""Planned tables: how the files of an output are read as a table, before there are any files.

A plan is a tabular dataset of no places; whoever knows them says so with :meth:`TabularDataset.reading`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.source import Format, Source
from refrain.data.tabular.types import DataType, column_types
from refrain.errors import UserError

_EXTENSIONS = {",": ".csv", "\t": ".tsv"}


def plan(  # what a table of files is made of
    what: str,
    form: Format,
    include_path: bool,
    types: Mapping[str, DataType] | None,
    partition_format: str | None,
    match: str | None,
) -> TabularDataset:
    """Return the plan of a table.

    :param what: the method that was called, for messages.
    :param match: a regular expression; files whose address it does not find are left out. None or "" for none.
    :raises UserError: for an argument that cannot be right.
    """
    partition = None if partition_format is None else PartitionFormat(partition_format)
    _require_expression(what, match)
    return TabularDataset(Source((), form, column_types(types, what), bool(include_path), partition, match or ""))


def ending(what: str, extension: str | None, separator: str = "") -> str:
    """Return the expression of a file extension; that of an empty text goes by the separator (Azure ML's rule).

    :raises UserError: when it is no text.
    """
    if not (extension is None or isinstance(extension, str)):
        raise UserError(f"{what}: file_extension {extension!r} is no text such as '.csv'; None means all files.")
    wanted = _EXTENSIONS.get(separator) if extension == "" else extension
    return f"{re.escape(wanted)}$" if wanted else ""


def _require_expression(what: str, match: str | None) -> None:
    try:
        re.compile(match or "")
    except (re.error, TypeError) as error:
        raise UserError(f"{what}: {match!r} is no regular expression: {error}.") from error
