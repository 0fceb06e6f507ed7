"""Session: one connection to a database, whose faults become errors of ours that show no credential."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from refrain.errors import DataError, RefrainError
from refrain.storage.connections import secret_values
from refrain.storage.sql.address import DatabaseLocation
from refrain.storage.sql.login import login_for
from refrain.storage.sql.product import Raw, product_of


class Session:
    """A connection and what is known of its kind of database.

    :param timeout: seconds that the database has for each answer; 0 for any time.
    :raises UserError: when the driver is missing, or the connection does not fit.
    :raises DataError: when nobody answers, or the login is refused.
    """

    def __init__(self, location: DatabaseLocation, timeout: int) -> None:
        self._location = location
        self._timeout = timeout
        self.product, self._driver = product_of(location.database)
        self._login = login_for(location)
        with self._translated(f"Cannot connect to {location}", self._way_in()):
            self.raw: Raw = self._connect()

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Turn what the driver raises within into an error of ours.

        :param what: is asked of the database, for the message: ``the query 'SELECT 1'``.
        """
        with self._translated(f"Cannot carry out {what} on {self._location}", "", what):
            yield

    def close(self) -> None:
        """Close the connection at once; what was not committed is undone."""
        with suppress(Exception):
            self.product.abandon(self.raw)

    def _connect(self) -> Any:
        return self.product.connect(self._driver, self._location.database, self._login, self._timeout)

    @contextmanager
    def _translated(self, failure: str, way_out: str, what: str = "") -> Iterator[None]:
        try:
            yield
        except RefrainError as error:
            if not what or not isinstance(error, DataError):
                raise
            raise DataError(f"{failure}: {error}") from None
        except Exception as error:  # noqa: BLE001  # every driver raises its own
            # Not chained: what a driver put into its own message may be a credential.
            if what and self.product.is_timeout(error):
                self._stop()
                raise DataError(
                    f"{self._location} gave no rows for {what} within {self._timeout} seconds. Ask for less, or give "
                    "it more time with query_timeout."
                ) from None
            words = self._masked(" ".join(self.product.words(error).split())).rstrip(".")
            raise DataError(f"{failure}: {words or type(error).__name__}. {way_out}".rstrip()) from None

    def _stop(self) -> None:
        with suppress(Exception):
            again = self._connect()
            self.product.stop(self.raw, again)
            self.product.abandon(again)

    def _masked(self, text: str) -> str:
        for secret in secret_values({"password": self._login.password, **self._login.options}):
            text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
        return text

    def _way_in(self) -> str:
        if self._location.conn_id is not None:
            return f"Check the server, the connection {self._location.conn_id!r} and what its account may do."
        return "Check the server and this machine's credentials, or register the datastore with a conn_id."


@contextmanager
def session(location: DatabaseLocation, timeout: int) -> Iterator[Session]:
    """Open a session; raises as :class:`Session`."""
    made = Session(location, timeout)
    try:
        yield made
    finally:
        made.close()
