"""Logins: who signs in to a database, by an Airflow connection or by what surrounds the process."""

from __future__ import annotations

from refrain.errors import UserError
from refrain.storage.connections import Connection, connection
from refrain.storage.sql.address import DatabaseLocation
from refrain.storage.sql.product import Login

# What Airflow's own hooks read from a connection's extra, and no driver knows.
_AIRFLOWS = ("aws_conn_id", "cursor", "database_schema", "enable_log_db_messages", "iam", "local_infile", "redshift")


def login_for(location: DatabaseLocation) -> Login:
    """Return who signs in; without a connection, the URL's user and what the driver finds by itself.

    :raises UnknownNameError: when there is no such connection.
    :raises UserError: when it is one for another server or user.
    """
    if location.conn_id is None:
        return Login(location.database.user, "", {})
    found = connection(location.conn_id)
    _require_same(location, found)
    extra = {name: value for name, value in found.extra.items() if isinstance(value, str | int | float | bool)}
    options = {name: value for name, value in extra.items() if name not in _AIRFLOWS and not name.startswith("extra__")}
    return Login(found.login or location.database.user, found.password, options)


def _require_same(location: DatabaseLocation, found: Connection) -> None:
    """A password goes to no other server than the one that it was kept for."""
    address = location.database
    pairs = {
        "host": (found.host, address.server),
        "port": (found.port, address.port if found.host else None),
        "user": (found.login, address.user),
    }
    for what, (kept, asked) in pairs.items():
        if kept and asked and str(kept).lower() != str(asked).lower():
            raise UserError(
                f"Datastore {location.name!r} is at {what} {asked!r}, but its connection {location.conn_id!r} is for "
                f"{what} {kept!r}. Make the two the same, or leave the connection's {what} empty."
            )
