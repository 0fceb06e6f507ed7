"""SqlDataReference: a table, a query or a stored procedure of a database, as a step's source or destination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from refrain.data.names import port_name
from refrain.data.sql.datastore import SqlDatastore
from refrain.errors import UserError
from refrain.storage.sql.relation import (
    ParameterType,
    Relation,
    SqlArgument,
    SqlProcedure,
    SqlQuery,
    SqlSource,
    SqlTable,
    parameter_type,
)

StoredProcedureParameterType = ParameterType


class StoredProcedureParameter:
    """A parameter of a stored procedure.

    :param value: None means no value.
    :param type: a :class:`StoredProcedureParameterType` or its word; None means text.
    :raises UserError: when the value is none of the type.
    """

    def __init__(self, name: str, value: Any, type: Any = None) -> None:
        if not isinstance(name, str) or not name:
            raise UserError(f"A stored procedure's parameter needs a name, not {name!r}.")
        kind = parameter_type(type, f"Parameter {name!r}")
        self.argument = SqlArgument(name, None if value is None else str(value), kind)
        self.argument.bound()

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.argument.name

    @property
    def value(self) -> str | None:
        """The value as text."""
        return self.argument.value

    @property
    def type(self) -> ParameterType:
        """The type."""
        return self.argument.type


@dataclass(frozen=True, eq=False)
class SqlDataReference:
    """Rows of a database, by reference: exactly one of a table, a query, a query's file or a stored procedure.

    :param datastore: a datastore that is a database.
    :param data_reference_name: None means the datastore's name.
    :param sql_query_file: a local file with the query, read now.
    :raises UserError: for another datastore, none or several of the four, or parameters without a procedure.
    """

    datastore: SqlDatastore
    data_reference_name: str | None = None
    sql_table: str | None = None
    sql_query: str | None = None
    sql_stored_procedure: str | None = None
    sql_stored_procedure_params: Sequence[StoredProcedureParameter] | None = None
    sql_query_file: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.datastore, SqlDatastore):
            raise UserError(
                f"A SqlDataReference needs a datastore that is a database, not {self.datastore!r}; register it with "
                "Datastore.register_sql."
            )
        name = self.data_reference_name or self.datastore.name
        object.__setattr__(self, "data_reference_name", port_name(name, "a SqlDataReference"))
        given = [what for what in _KINDS if getattr(self, what)]
        if len(given) != 1:
            raise UserError(
                f"SqlDataReference {name!r}: give exactly one of {', '.join(_KINDS)}; got "
                f"{' and '.join(given) or 'none'}."
            )
        if self.sql_stored_procedure_params and given != ["sql_stored_procedure"]:
            raise UserError(f"SqlDataReference {name!r}: sql_stored_procedure_params needs sql_stored_procedure.")
        object.__setattr__(self, "_relation", self._read())

    @property
    def name(self) -> str | None:
        """The name of the input."""
        return self.data_reference_name

    @property
    def relation(self) -> Relation:
        """What is read, or for a table also written, as a plain value."""
        relation: Relation = getattr(self, "_relation")  # noqa: B009  # a frozen dataclass knows it not
        return relation

    @property
    def source(self) -> SqlSource:
        """The datastore's name and what is read of it, as a plain value."""
        return SqlSource(self.datastore.name, self.relation)

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> SqlDataReference:
        """Return a copy with another name.

        :raises UserError: for a path.
        """
        if path:
            self._refuse(f"path({path!r})")
        return replace(self, data_reference_name=data_reference_name)

    def as_mount(self) -> NoReturn:
        """Refuse, as Azure ML does: a table is no file. Raises :class:`UserError`."""
        self._refuse("as_mount()")

    def as_download(self, path_on_compute: str | None = None, overwrite: bool = False) -> NoReturn:  # noqa: ARG002
        """Refuse, as Azure ML does: a table is no file. Raises :class:`UserError`."""
        self._refuse("as_download()")

    def as_upload(self, path_on_compute: str | None = None, overwrite: bool = False) -> NoReturn:  # noqa: ARG002
        """Refuse, as Azure ML does: a table is no file. Raises :class:`UserError`."""
        self._refuse("as_upload()")

    def _read(self) -> Relation:
        if self.sql_table:
            return SqlTable(self.sql_table)
        if self.sql_stored_procedure:
            parameters = tuple(self.sql_stored_procedure_params or ())
            return SqlProcedure(self.sql_stored_procedure, tuple(item.argument for item in parameters))
        if self.sql_query:
            return SqlQuery(self.sql_query)
        try:
            with open(str(self.sql_query_file), encoding="utf-8") as file:
                return SqlQuery(file.read())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"SqlDataReference: the query's file {self.sql_query_file!r} cannot be read: {error}."
            ) from error

    def _refuse(self, what: str) -> NoReturn:
        raise UserError(
            f"SqlDataReference {self.name!r} has no {what}: it names rows and no files. Copy them into files with a "
            "DataTransferStep, or read them with Dataset.Tabular.from_sql_query."
        )


_KINDS = ("sql_table", "sql_query", "sql_query_file", "sql_stored_procedure")
