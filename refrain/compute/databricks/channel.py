"""Channel: one call of Databricks' REST API, by whichever client is at hand, and what its errors mean.

Within Airflow the client is the hook of the official provider, elsewhere the official SDK. Both keep the connection,
log in in all the ways that they know, and try again what may pass: nothing of that is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from refrain.errors import DatabricksError, DatabricksRefusedError
from refrain.extensions import load_object

_REFUSED = (400, 401, 403, 404)


class Channel(Protocol):
    """A way to a Databricks workspace. Safe to use from many threads."""

    @property
    def host(self) -> str:
        """The workspace's address, for messages."""

    def call(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer; what may pass has been tried again.

        :param path: below ``/api/``, such as ``2.2/jobs/runs/get``.
        :param values: the query of a GET, else the body.
        :raises DatabricksRefusedError: when another try would be refused as well.
        :raises DatabricksError: when it may not.
        """


class MakesChannel(Protocol):
    """Makes a channel of the id of a connection; connects nothing."""

    def __call__(self, conn_id: str) -> Channel:
        """Return it."""


_where: list[str] = ["refrain.compute.databricks.sdk_channel:SdkChannel"]


def set_channel(where: str) -> None:
    """Let channels be made by what ``module:name`` says from now on, in this process; it is loaded on first use."""
    _where[0] = where


def open_channel(conn_id: str) -> Channel:
    """Return a channel to the workspace of a connection.

    :raises UserError: when its client is not installed, or the connection cannot be used.
    :raises UnknownNameError: when there is no such connection.
    """
    return cast(MakesChannel, load_object(_where[0]))(conn_id)


def failure(conn_id: str, host: str, status: int | None, code: str, text: str) -> DatabricksError:
    """Return the error of a call that has failed for good.

    :param status: the HTTP status; None without an answer.
    """
    said = text.strip().rstrip(".") or code or "no reason was given"
    if status is None:
        return DatabricksError(f"Databricks at {host} cannot be reached: {said}.")
    if status == 401 or (status == 403 and "token" in said.lower()):
        return DatabricksRefusedError(
            f"Databricks at {host} does not accept the credentials of the connection {conn_id!r}: {said}. The token "
            "may have expired or been revoked: put a new one into the connection.",
            status,
            code,
        )
    if status == 403:
        return DatabricksRefusedError(f"Databricks does not allow it to the user of {conn_id!r}: {said}.", status, code)
    kind = DatabricksRefusedError if status in _REFUSED else DatabricksError
    return kind(f"Databricks at {host} answered {status}{f' {code}' if code else ''}: {said}.", status, code)
