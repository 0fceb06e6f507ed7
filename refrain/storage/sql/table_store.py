"""TableStore: the tables of databases as places, so that a table can be a step's output as a folder is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from refrain.errors import DataError, DataNotFoundError, UntrustedReferenceError
from refrain.storage.manifest import Basis, Entry, Manifest, TreeKind
from refrain.storage.sql.database import Database
from refrain.storage.sql.relation import SqlTable
from refrain.storage.sql.rows_digest import RowsDigest
from refrain.storage.store import TABLE_SCHEME
from refrain.storage.trees import DATA, TreeIdentity, TreeRules


def table_uri(datastore: str, table: SqlTable) -> str:
    """Return the URI of a table: ``database://<datastore>/<table>``."""
    return f"{TABLE_SCHEME}://{datastore}/{quote(table.name, safe='')}"


def table_of(uri: str) -> tuple[str, SqlTable]:
    """Return the datastore's name and the table of a URI.

    :raises UntrustedReferenceError: when it is none of :func:`table_uri`.
    """
    datastore, separator, name = uri.removeprefix(f"{TABLE_SCHEME}://").partition("/")
    if not separator or not name:
        raise UntrustedReferenceError(f"{uri[:200]!r} names no table of a database.")
    return datastore, SqlTable(unquote(name))


class TableStore:
    """Tables as a :class:`refrain.storage.store.Store`: they have an identity, and no files.

    What a table is, is what all of its rows are: to identify it is to read it. Their order does not count.
    """

    def __init__(self, database: Callable[[str], Database]) -> None:
        """Find the database of a datastore by *database*."""
        self._database = database

    def uri(self, path: str) -> str:
        """See :meth:`Store.uri`."""
        return path

    def in_place(self, path: str) -> None:  # noqa: ARG002  # no table is a file
        """See :meth:`Store.in_place`."""
        return

    def exists(self, path: str) -> bool:
        """See :meth:`Store.exists`."""
        datastore, table = table_of(path)
        return self._database(datastore).has(table)

    def identify(self, path: str, rules: TreeRules = DATA) -> TreeIdentity:
        """See :meth:`Store.identify`."""
        manifest = self.manifest(path, rules)
        return TreeIdentity(manifest.kind, manifest.digest, manifest.files, manifest.bytes)

    def manifest(self, path: str, rules: TreeRules = DATA) -> Manifest:  # noqa: ARG002  # rows are no links
        """See :meth:`Store.manifest`; the one entry stands for the rows."""
        datastore, table = table_of(path)
        database = self._database(datastore)
        if not database.has(table):
            raise DataNotFoundError(f"There is no table {table.name!r} in {database.location}.")
        with database.read(table, timeout=0) as result:
            digest = RowsDigest(result.schema, is_ordered=False)
            for batch in result.batches():
                digest.add(batch)
        return Manifest(TreeKind.FILE, (Entry("", digest.bytes, digest.hexdigest()),), Basis.LISTING)

    def require_filled(self, path: str) -> None:
        """See :meth:`Store.require_filled`; a table is never seen half-filled."""

    def _refuse(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refuse whatever is about files.

        :raises DataError: always.
        """
        raise DataError(
            "A table of a database has no files. Read its rows with Dataset.Tabular.from_sql_query, or copy them to a "
            "file with a DataTransferStep."
        )

    listing = sizes = match = open = reading = mount = link = get = _refuse
    writing = put = clash = publish = sign = filling = accept = remove = _refuse
