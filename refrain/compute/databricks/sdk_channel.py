"""SdkChannel: the way to Databricks where there is no Airflow, by the official SDK's own client."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from refrain.compute.databricks.channel import failure
from refrain.errors import UserError
from refrain.storage.connections import Connection, connection

_RETRY_SECONDS = 60
_TIMEOUT_SECONDS = 60
_clients: dict[str, tuple[Connection, Any]] = {}
_lock = threading.Lock()


class SdkChannel:
    """See :class:`refrain.compute.databricks.channel.Channel`."""

    def __init__(self, conn_id: str) -> None:
        """Find the connection; nothing is sent.

        :raises UserError: when it has no host or no credentials, or the SDK is not installed.
        :raises UnknownNameError: when there is none.
        """
        found = connection(conn_id)
        self._conn_id = conn_id
        self.host = _address(found)
        self._client = _client(found, self.host)

    def call(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """See :class:`Channel`."""
        from databricks.sdk.errors import STATUS_CODE_MAPPING
        from databricks.sdk.errors import DatabricksError as SdkError

        sent: dict[str, Any] = {"query" if method == "GET" else "body": dict(values)}
        try:
            return dict(self._client.do(method, f"/api/{path}", **sent))
        except SdkError as error:
            status = next((code for code, kind in STATUS_CODE_MAPPING.items() if isinstance(error, kind)), 500)
            raise failure(self._conn_id, self.host, status, error.error_code or "", str(error)) from error
        except (OSError, ValueError) as error:  # no connection, no end of refusals, no JSON
            raise failure(self._conn_id, self.host, None, "", str(error)) from error


def _client(found: Connection, host: str) -> Any:
    """Return the client of a connection; it asks the workspace about itself when it is made, so one is kept."""
    with _lock:
        kept = _clients.get(found.conn_id)
        if kept is None or kept[0] != found:
            kept = _clients[found.conn_id] = (found, _made(found, host))
        return kept[1]


def _made(found: Connection, host: str) -> Any:
    try:
        from databricks.sdk.core import ApiClient, Config
    except ImportError as error:
        raise UserError(
            "Steps on Databricks need the package databricks-sdk: pip install 'refrain[databricks]'."
        ) from error
    seconds = {"retry_timeout_seconds": _RETRY_SECONDS, "http_timeout_seconds": _TIMEOUT_SECONDS}
    try:
        return ApiClient(Config(host=host, product="refrain", **seconds, **_credentials(found)))
    except ValueError as error:
        raise UserError(f"The connection {found.conn_id!r} cannot be used for Databricks: {error}") from None


def _address(found: Connection) -> str:
    written = str(found.extra.get("host") or found.host)
    if not written:
        raise UserError(f"The connection {found.conn_id!r} has no host: set it to the Databricks workspace's address.")
    parts = urlsplit(written if "://" in written else f"{found.schema or 'https'}://{written}")
    port = found.port or parts.port
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def _credentials(found: Connection) -> dict[str, str]:
    """Return the login as the SDK takes it, for those ways of the provider's connections that need no other service."""
    token = found.extra.get("token") or ("" if found.login else found.password)
    if token:
        return {"auth_type": "pat", "token": str(token)}
    if found.login and found.password and "azure_tenant_id" in found.extra:
        return {
            "auth_type": "azure-client-secret",
            "azure_tenant_id": str(found.extra["azure_tenant_id"]),
            "azure_client_id": found.login,
            "azure_client_secret": found.password,
        }
    if found.login and found.password and found.extra.get("service_principal_oauth"):
        return {"auth_type": "oauth-m2m", "client_id": found.login, "client_secret": found.password}
    raise UserError(
        f"The connection {found.conn_id!r} has no credentials for Databricks: set its password to an access token, or "
        "login and password to those of a service principal, with service_principal_oauth in its extra."
    )
