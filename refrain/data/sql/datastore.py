"""SqlDatastore: a datastore that is a database."""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote

from refrain.data.datastore import Datastore, HasState
from refrain.errors import UserError
from refrain.storage.sql.address import WAY_OUT, DatabaseAddress, DatabaseLocation
from refrain.storage.sql.database import Database

# The domain of each service, where only the server's own name is given.
_SQL, _POSTGRESQL, _MYSQL = "database.windows.net", "postgres.database.azure.com", "mysql.database.azure.com"


class SqlDatastore(Datastore):
    """A database of a workspace. It has tables, and neither files nor paths."""

    is_database = True

    @property
    def database(self) -> Database:
        """The database itself, to read from and to load into."""
        return self.state.stores.database(self.name)

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> NoReturn:  # noqa: ARG002
        """Refuse: a database has no paths.

        :raises UserError: always.
        """
        raise UserError(
            f"Datastore {self.name!r} is a database and has no path {path or '/'!r}. Name a table or a query of it "
            "with SqlDataReference, or read it with Dataset.Tabular.from_sql_query."
        )


def registered(workspace: HasState, name: str, url: str, conn_id: str | None, overwrite: bool) -> SqlDatastore:
    """Register a database and return the datastore.

    :raises UserError: when the name stands for something else already, unless that is to be overwritten.
    """
    table = workspace.state.datastores
    if name in table.names() and not overwrite:
        known, wanted = table.find(name), DatabaseLocation(name, DatabaseAddress.parse(name, url), conn_id)
        if known != wanted:
            raise UserError(f"Datastore {name!r} is {known.address} already. Pass overwrite=True to change it.")
    table.register_database(name, url, conn_id)
    made = Datastore(workspace, name)
    assert isinstance(made, SqlDatastore)  # noqa: S101  # it was registered as one
    return made


def azure_sql(
    name: str, server: tuple[str, str | None], database: str, user: str | None, principal: tuple[str | None, str | None]
) -> str:
    """Return the URL of a database of Azure SQL.

    :param server: its name, and the endpoint.
    :param principal: tenant and client, neither of which may be given.
    :raises UserError: for a service principal.
    """
    if any(principal):
        raise UserError(
            f"Datastore {name!r}: tenant_id and client_id name a service principal, with which pymssql cannot sign in. "
            f"Use a login of the database. {WAY_OUT}"
        )
    return f"mssql://{_user(user)}{_host(*server, _SQL)}/{quote(database, safe='')}?encryption=require"


def azure_postgresql(server: tuple[str, str | None, int | None], database: str, user: str, enforce_ssl: bool) -> str:
    """Return the URL of a database of Azure's PostgreSQL.

    :param server: its name, the endpoint and the port.
    """
    query = "?sslmode=require" if enforce_ssl else ""
    return f"postgresql://{_user(user)}{_address(server, _POSTGRESQL)}/{quote(database, safe='')}{query}"


def azure_mysql(server: tuple[str, str | None, int | None], database: str, user: str) -> str:
    """Return the URL of a database of Azure's MySQL; parameters as for :func:`azure_postgresql`."""
    return f"mysql://{_user(user)}{_address(server, _MYSQL)}/{quote(database, safe='')}"


def _address(server: tuple[str, str | None, int | None], domain: str) -> str:
    name, endpoint, port = server
    return _host(name, endpoint, domain) + (f":{port}" if port else "")


def _host(name: str, endpoint: str | None, domain: str) -> str:
    return name if endpoint is None and "." in name else f"{name}.{endpoint or domain}"


def _user(user: str | None) -> str:
    return f"{quote(user, safe='')}@" if user else ""
