"""Product: what each kind of database does in its own way, and where the four that we know are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from refrain.errors import UserError
from refrain.storage.sql.address import DatabaseAddress
from refrain.storage.sql.columns import Field, Rows
from refrain.storage.sql.relation import Relation, SqlProcedure, SqlQuery, SqlTable
from refrain.storage.sql.statement import only_query

CONNECT_SECONDS = 10
# Driver's connection and cursor: none of the four drivers has types that a checker could use.
Raw = Any


@dataclass(frozen=True)
class Statement:
    """SQL with the values that are bound in it."""

    text: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Login:
    """Who signs in; its representation shows no password."""

    user: str
    password: str
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


class Product(Protocol):
    """A kind of database. ``raw`` is always a connection of its driver, ``cursor`` a cursor of it."""

    def connect(self, driver: Any, address: DatabaseAddress, login: Login, timeout: int) -> Raw:
        """Open a connection.

        :param driver: the imported module.
        :param timeout: seconds that the database has to answer; 0 for any time.
        """

    def quote(self, name: str) -> str:
        """Return a name as an identifier that means just this name."""

    def call(self, procedure: SqlProcedure) -> Statement:
        """Return the statement that calls a stored procedure and gives its rows."""

    def describe(self, raw: Raw, statement: Statement, timeout: int) -> tuple[Field, ...]:
        """Return the columns of a query, reading no more rows than that takes."""

    def rows(self, raw: Raw, statement: Statement, timeout: int) -> Rows:
        """Begin to read, in a transaction that does not write; rows are held by the database, not by the driver."""

    def abandon(self, raw: Raw) -> None:
        """Close a connection at once, whatever is still to be read, and undo what was not committed."""

    def stop(self, raw: Raw, again: Raw) -> None:
        """End what the server still does for a connection whose time was up.

        :param again: another connection.
        """

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that the time was up."""

    def words(self, error: BaseException) -> str:
        """Return what the database said, without what the driver adds."""

    def begin(self, raw: Raw, table: SqlTable) -> Raw:
        """Begin to load a table, alone among those who load it with us, and return the cursor for it."""

    def columns(self, cursor: Raw, table: SqlTable) -> list[str] | None:
        """Return the names of a table's columns; None when there is no such table."""

    def column_type(self, kind: Any) -> str | None:
        """Return the type for an Arrow type in a new table; None when it has none."""

    def create(self, cursor: Raw, table: SqlTable, definition: str) -> SqlTable:
        """Make a table and return where its rows go until :meth:`finish`.

        :param definition: the columns as SQL.
        """

    def fill(self, cursor: Raw, table: SqlTable, batch: Any) -> None:
        """Add the rows of an Arrow record batch."""

    def finish(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:
        """Let everybody see what was loaded, at one moment."""

    def undo(self, raw: Raw, cursor: Raw, filled: SqlTable, table: SqlTable) -> None:
        """Take back what was loaded. It must not be needed: the end of the connection means the same."""


# product -> (module and class, driver, extra); imported on use
_KNOWN = {
    "mssql": ("refrain.storage.sql.mssql:SqlServer", "pymssql", "mssql"),
    "mysql": ("refrain.storage.sql.mysql:MySql", "pymysql", "mysql"),
    "postgresql": ("refrain.storage.sql.postgresql:PostgreSql", "psycopg2", "postgresql"),
    "sqlite": ("refrain.storage.sql.sqlite:Sqlite", "sqlite3", "sql"),
}


def product_of(address: DatabaseAddress) -> tuple[Product, Any]:
    """Return what is known of an address's kind of database, and its driver.

    :raises UserError: when the driver, or Arrow, is not installed; the message names the extra.
    """
    target, driver, extra = _KNOWN[address.product]
    try:
        import_module("pyarrow")
        module = import_module(driver)
    except ImportError as error:
        raise UserError(
            f"A database at {address.product}:// needs another package: pip install 'refrain[{extra}]'."
        ) from error
    name, _, cls = target.partition(":")
    made: Product = getattr(import_module(name), cls)()
    return made, module


def quoted(product: Product, table: SqlTable) -> str:
    """Return a table's name as SQL."""
    return ".".join(product.quote(part) for part in table.name.split("."))


def bare(identifier: str) -> str:
    """Return an identifier for a statement with ``%s`` in it."""
    return identifier.replace("%", "%%")


def statement_for(product: Product, address: DatabaseAddress, relation: Relation) -> Statement:
    """Return the statement that gives a relation's rows.

    :raises UserError: for a query that is none.
    """
    if isinstance(relation, SqlQuery):
        return Statement(only_query(relation.text, address.product))
    if isinstance(relation, SqlTable):
        return Statement(f"SELECT * FROM {quoted(product, relation)}")
    return product.call(relation)


def option(text: str) -> str | int | bool:
    """Return an option of a URL as drivers take it: numbers and truth values are no texts."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return int(text) if text.isdigit() else text
