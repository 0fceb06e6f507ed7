"""Source: which files a tabular dataset reads, and how."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from refrain.data.tabular.access import Place
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.data.tabular.types import ColumnTypes, DataType
from refrain.errors import UserError, known
from refrain.storage.sql.relation import ParameterType, Relation, SqlArgument, SqlProcedure, SqlQuery, SqlTable

# Azure ML's words for encodings, and Python's.
ENCODINGS = {
    "utf8": "utf-8",
    "utf8bom": "utf-8",
    "iso88591": "iso-8859-1",
    "latin1": "iso-8859-1",
    "ascii": "ascii",
    "utf16": "utf-16",
    "utf32": "utf-32",
    "windows1252": "windows-1252",
}


@dataclass(frozen=True)
class Delimited:
    """How delimited text is read."""

    separator: str = ","
    header: PromoteHeadersBehavior = PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS
    encoding: str = "utf8"
    support_multi_line: bool = False
    empty_as_string: bool = False
    infer_column_types: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.separator, str) or len(self.separator) != 1 or self.separator in '"\r\n':
            raise UserError(f"separator {self.separator!r} is no single character; give one such as ',' or '\\t'.")
        python_encoding(self.encoding)


@dataclass(frozen=True)
class Parquet:
    """How Parquet files are read: as they say themselves."""


@dataclass(frozen=True)
class JsonLines:
    """How JSON lines are read.

    :param drops_invalid: leave out lines that are no JSON object instead of failing.
    """

    drops_invalid: bool = False
    encoding: str = "utf8"

    def __post_init__(self) -> None:
        python_encoding(self.encoding)


@dataclass(frozen=True)
class Sql:
    """What a database is asked; the only place is the datastore.

    :param timeout: seconds that it has for the first rows, and for each of the next; 0 for any time.
    """

    relation: Relation
    timeout: int

    def to_json(self) -> dict[str, Any]:
        """Return what is asked as JSON values."""
        match self.relation:
            case SqlQuery(text):
                asked: dict[str, Any] = {"query": text}
            case SqlTable(name):
                asked = {"table": name}
            case SqlProcedure(name, arguments):
                asked = {"procedure": name, "arguments": [[a.name, a.value, a.type.value] for a in arguments]}
        return {**asked, "timeout": self.timeout}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Sql:
        """Read what :meth:`to_json` wrote."""
        relation: Relation
        if "query" in value:
            relation = SqlQuery(value["query"])
        elif "table" in value:
            relation = SqlTable(value["table"])
        else:
            arguments = (SqlArgument(name, text, ParameterType(kind)) for name, text, kind in value["arguments"])
            relation = SqlProcedure(value["procedure"], tuple(arguments))
        return Sql(relation, value["timeout"])


Format = Delimited | Parquet | JsonLines | Sql
_FORMATS: dict[str, type[Format]] = {"delimited": Delimited, "parquet": Parquet, "json_lines": JsonLines, "sql": Sql}


@dataclass(frozen=True)
class Source:
    """What is read: places, the format, and the columns that are added or converted.

    :param include_path: add a first column ``Path``.
    :param partition: adds its columns at the end.
    :param match: a regular expression; files whose address it does not find are left out. "" for none.
    """

    places: tuple[Place, ...]
    format: Format
    types: ColumnTypes = ()
    include_path: bool = False
    partition: PartitionFormat | None = None
    match: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the source as JSON values."""
        return {
            "format": next(name for name, kind in _FORMATS.items() if type(self.format) is kind),
            "options": _options(self.format),
            "places": [[place.datastore, place.path] for place in self.places],
            "types": [[name, kind.to_json()] for name, kind in self.types],
            "include_path": self.include_path,
            "partition_format": self.partition.text if self.partition else None,
            "match": self.match,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Source:
        """Read what :meth:`to_json` wrote."""
        return Source(
            tuple(Place(*place) for place in value.get("places", ())),
            _format(_FORMATS[value["format"]], value["options"]),
            tuple((name, DataType.from_json(kind)) for name, kind in value["types"]),
            value["include_path"],
            PartitionFormat(value["partition_format"]) if value["partition_format"] else None,
            value["match"],
        )


def _options(form: Format) -> dict[str, Any]:
    if isinstance(form, Sql):
        return form.to_json()
    return {key: value.name if isinstance(value, Enum) else value for key, value in asdict(form).items()}


def _format(kind: type[Format], options: Mapping[str, Any]) -> Format:
    if kind is Sql:
        return Sql.from_json(options)
    header = {"header": PromoteHeadersBehavior[options["header"]]} if "header" in options else {}
    return kind(**{**options, **header})


def python_encoding(encoding: str) -> str:
    """Return Python's name of an encoding, given Azure ML's or Python's.

    :raises UserError: for an unknown one.
    """
    try:
        return codecs.lookup(ENCODINGS.get(encoding.replace("-", "").replace("_", "").lower(), encoding)).name
    except (LookupError, AttributeError) as error:
        raise UserError(f"Unknown encoding {encoding!r}. Known: {known(ENCODINGS)}, and Python's own names.") from error
