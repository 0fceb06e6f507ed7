"""HookChannel: the way to Databricks within Airflow, by the hook of the official provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.databricks.hooks.databricks import DatabricksHook
from airflow.sdk.exceptions import AirflowException
from requests import HTTPError, RequestException, Response

from refrain.compute.databricks.channel import failure
from refrain.storage.connections import connection

_TRIES = 5


class HookChannel:
    """See :class:`refrain.compute.databricks.channel.Channel`.

    The hook's methods are one line each around its ``_do_api_call``, and there is none for uploads; so all calls go
    through it.
    """

    def __init__(self, conn_id: str) -> None:
        """Name the connection; nothing is sent.

        :raises UnknownNameError: when there is none.
        """
        connection(conn_id)
        self._conn_id = conn_id
        self._hook = DatabricksHook(conn_id, retry_limit=_TRIES, caller="Refrain")

    @property
    def host(self) -> str:
        """See :class:`Channel`."""
        return str(self._hook.host)

    def call(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """See :class:`Channel`."""
        try:
            found = self._hook._do_api_call((method, path), dict(values), wrap_http_errors=False)
        except HTTPError as error:
            raise failure(self._conn_id, self.host, *_said(error.response)) from error
        except (RequestException, AirflowException, ValueError) as error:  # tried in vain, no login, no JSON
            raise failure(self._conn_id, self.host, None, "", str(error)) from error
        return dict(found)


def _said(answer: Response | None) -> tuple[int | None, str, str]:
    """Return the status, the code and the message of an answer."""
    if answer is None:
        return None, "", ""
    try:
        document = answer.json()
        return answer.status_code, str(document.get("error_code", "")), str(document.get("message", ""))
    except (ValueError, AttributeError):
        return answer.status_code, "", answer.text[:500]
