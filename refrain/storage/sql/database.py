"""Database: rows out of a database and into it, whichever product it is; each act has a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from refrain.storage.sql.address import DatabaseLocation
from refrain.storage.sql.columns import Field, Row, schema_of, to_batch
from refrain.storage.sql.loading import Load, Loaded, LoadMode, Progress, unnoticed
from refrain.storage.sql.product import statement_for
from refrain.storage.sql.relation import Relation, SqlProcedure, SqlQuery, SqlTable
from refrain.storage.sql.session import session

TIMEOUT = 30
"""Seconds that a database has to give its next rows (Azure ML's default)."""

_FIRST_ROWS = 256
_MOST_ROWS = 65_536
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class Result:
    """Rows that are being read. They come in the order in which the database gives them.

    :param schema: the Arrow schema.
    """

    schema: Any
    fields: tuple[Field, ...]
    fetch: Callable[[int], Sequence[Row]]

    def batches(self) -> Iterator[Any]:
        """Yield Arrow record batches of about 4 MB, none of them empty; what was yielded is not kept.

        :raises DataError: when the database fails, takes too long, or gives a value that its column cannot hold.
        """
        count = _FIRST_ROWS
        while rows := self.fetch(count):
            batch = to_batch(rows, self.fields)
            yield batch
            count = max(1, min(_MOST_ROWS, count * 4, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes)))


@dataclass(frozen=True)
class Database:
    """The database behind a datastore. Nothing is connected between acts; safe to use from many threads."""

    location: DatabaseLocation

    def describe(self, relation: Relation, timeout: int = TIMEOUT) -> Any:
        """Return the Arrow schema of a table or query, reading no row where the database can tell.

        :raises DataError: as :meth:`read`.
        """
        with session(self.location, timeout) as opened:
            statement = statement_for(opened.product, self.location.database, relation)
            with opened.guarded(_asked(relation)):
                return schema_of(opened.product.describe(opened.raw, statement, timeout))

    def has(self, table: SqlTable) -> bool:
        """Say whether there is a table or view of this name.

        :raises DataError: when nobody answers.
        """
        with session(self.location, TIMEOUT) as opened, opened.guarded(_asked(table)):
            return opened.product.columns(opened.raw.cursor(), table) is not None

    @contextmanager
    def read(self, relation: Relation, timeout: int = TIMEOUT) -> Iterator[Result]:
        """Read a table, a query or what a stored procedure gives, in a transaction that only reads.

        :param timeout: seconds that the database has for the first rows, and for each of the next; 0 for any time.
        :raises UserError: for a query that is none, or a missing driver.
        :raises DataError: when it cannot be read; no message shows a credential.
        """
        what = _asked(relation)
        with session(self.location, timeout) as opened:
            statement = statement_for(opened.product, self.location.database, relation)
            with opened.guarded(what):
                rows = opened.product.rows(opened.raw, statement, timeout)
                schema = schema_of(rows.fields)

            def fetch(count: int) -> Sequence[Row]:
                with opened.guarded(what):
                    return rows.fetch(count)

            yield Result(schema, rows.fields, fetch)

    def load(
        self,
        table: SqlTable,
        schema: Any,
        batches: Iterable[Any],
        mode: LoadMode = LoadMode.APPEND,
        progress: Progress = unnoticed,
    ) -> Loaded:
        """Write Arrow record batches into a table, which is made where it is missing; all of them or nothing.

        Readers see the old rows until the end. A table that is there keeps its definition, rights and keys.

        :param schema: of the batches; its columns are found in the table by name.
        :param progress: told the rows and bytes so far after each part; what it raises ends the load.
        :raises UserError: for a type that the database has none for, or a table without a column of the data.
        :raises DataError: when it cannot be written.
        """
        with session(self.location, timeout=0) as opened:
            return Load(opened, table, schema, mode).run(batches, progress)


def _asked(relation: Relation) -> str:
    match relation:
        case SqlTable(name):
            return f"the query of table {name!r}"
        case SqlProcedure(name):
            return f"the procedure {name!r}"
        case SqlQuery(text):
            line = " ".join(text.split())
            return f"the query {line if len(line) <= 120 else f'{line[:119]}…'!r}"
