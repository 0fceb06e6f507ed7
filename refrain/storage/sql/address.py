"""DatabaseAddress: which database a datastore stands for, as a URL without a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from refrain.errors import UserError, known
from refrain.storage.connections import is_secret_name

WAY_OUT = "Make an Airflow connection (or set AIRFLOW_CONN_<ID>) that holds the password, and give its conn_id."

# What users write before "://", and the name that we keep.
_PRODUCTS = {
    "postgresql": "postgresql",
    "postgresql+psycopg2": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb": "mysql",
    "mariadb+pymysql": "mysql",
    "mssql": "mssql",
    "mssql+pymssql": "mssql",
    "sqlite": "sqlite",
}
# They would say a second time what the URL says before them.
_SAID_ALREADY = ("dbname", "database", "user", "username", "port", "hostaddr", "service", "server")


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, and the name that one signs in with unless a connection says another.

    :param product: ``postgresql``, ``mysql`` (also MariaDB), ``mssql`` or ``sqlite``.
    :param database: its name; for SQLite the file's absolute path.
    :param options: of the driver, such as ``sslmode``; none of them secret.
    """

    product: str
    host: str
    port: int | None
    database: str
    user: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def server(self) -> str:
        """The host that the driver connects to; for PostgreSQL also the folder of a socket. Empty for this machine."""
        return self.host or dict(self.options).get("host", "")

    @property
    def url(self) -> str:
        """The address as one text, the same for the same address."""
        if self.product == "sqlite":
            return f"sqlite:///{quote(self.database)}"
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        query = f"?{urlencode(self.options)}" if self.options else ""
        return f"{self.product}://{user}{host}{port}/{quote(self.database, safe='')}{query}"

    @property
    def shown(self) -> str:
        """The address for messages: without the user and the options."""
        return DatabaseAddress(self.product, self.host, self.port, self.database).url

    @staticmethod
    def parse(name: str, url: str) -> DatabaseAddress:
        """Read a URL that a user gave, or that :attr:`url` was.

        :param name: of the datastore, for messages.
        :raises UserError: for a URL of another kind, one without a database, or one with a secret; no message shows it.
        """
        scheme, separator, rest = url.partition("://")
        product = _PRODUCTS.get(scheme.lower())
        if not separator or product is None:
            kinds = known({*_PRODUCTS.values()})
            raise UserError(
                f"Datastore {name!r}: {scheme[:40]!r} is no kind of database. Known: {kinds}; a URL is such as "
                "'postgresql://host:5432/database'."
            )
        if product == "sqlite":
            return _file(name, rest)
        try:
            parts = urlsplit(f"//{rest}")
            host, port, has_password = parts.hostname or "", parts.port, parts.password is not None
        except ValueError:
            raise UserError(f"Datastore {name!r}: its URL has no host and port that can be read.") from None
        if has_password:
            raise UserError(f"Datastore {name!r}: its URL must hold no password. {WAY_OUT}")
        database = unquote(parts.path.strip("/"))
        options = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
        _require_public(name, dict(options))
        if not database or "/" in database or parts.fragment or not (host or "host" in dict(options)):
            raise UserError(
                f"Datastore {name!r}: its URL names no host and database; write one such as "
                f"'{product}://host/database'."
            )
        return DatabaseAddress(product, host, port, database, unquote(parts.username or ""), options)


def _file(name: str, rest: str) -> DatabaseAddress:
    path = unquote(rest.removeprefix("/"))
    if not rest.startswith("//") or "?" in rest:
        raise UserError(
            f"Datastore {name!r}: a SQLite database is an absolute path after three slashes, such as "
            "'sqlite:////srv/data/sales.db', and has no options."
        )
    return DatabaseAddress("sqlite", "", None, path)


def _require_public(name: str, options: Mapping[str, str]) -> None:
    for option, value in options.items():
        if is_secret_name(option):
            raise UserError(f"Datastore {name!r}: the option {option!r} would be stored with the workspace. {WAY_OUT}")
        if option in _SAID_ALREADY or (option == "host" and not value.startswith("/")):
            raise UserError(f"Datastore {name!r}: write {option!r} into the URL itself, not behind its '?'.")


@dataclass(frozen=True)
class DatabaseLocation:
    """A datastore's name and the database that it stands for.

    :param conn_id: the Airflow connection with the credentials; None means those of the driver's own surroundings,
        such as ``PGPASSFILE``.
    """

    name: str
    database: DatabaseAddress
    conn_id: str | None = None

    @property
    def address(self) -> str:
        """The URL, without a password."""
        return self.database.url

    def __str__(self) -> str:
        return f"datastore {self.name!r} ({self.database.shown})"
