"""Connections: credentials by the name of an Airflow connection, never kept in files of ours.

Outside Airflow, ``AIRFLOW_CONN_<ID>`` holds a connection as a URI or as JSON; Airflow itself is asked through
:func:`set_resolver`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from refrain.errors import UnknownNameError, UserError
from refrain.values import dataclass

_VARIABLE = "AIRFLOW_CONN_"
_SECRET_WORDS = ("key", "secret", "password", "passwd", "token", "credential", "connection_string", "sas")
_S3 = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "session_token": "token",
    "endpoint_url": "endpoint_url",
    "host": "endpoint_url",
    "profile_name": "profile",
    "profile": "profile",
}
_AZURE = {
    "account_name": "account_name",
    "account_key": "account_key",
    "shared_access_key": "account_key",
    "connection_string": "connection_string",
    "sas_token": "sas_token",
    "tenant_id": "tenant_id",
    "tenant": "tenant_id",
    "client_id": "client_id",
    "client_secret": "client_secret",
}


@dataclass(frozen=True, repr=False)
class Connection:
    """An Airflow connection. Its representation shows no value."""

    conn_id: str
    conn_type: str = ""
    host: str = ""
    login: str = ""
    password: str = ""
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    schema: str = ""

    def __repr__(self) -> str:
        return f"Connection({self.conn_id!r}, type {self.conn_type!r})"

    def options(self, protocol: str) -> dict[str, Any]:
        """Return what the file system of a URL scheme takes as arguments.

        :raises UserError: when the connection asks for a role that would have to be assumed.
        """
        extra = {name.rpartition("__")[2]: value for name, value in self.extra.items() if value not in (None, "")}
        if protocol in ("s3", "s3a"):
            return self._s3(extra)
        if protocol in ("abfs", "abfss", "az"):
            return self._azure(extra)
        plain = {"host": self.host, "username": self.login, "password": self.password, "port": self.port}
        return {**{name: value for name, value in plain.items() if value}, **extra}

    def _s3(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        if "role_arn" in extra:
            raise UserError(
                f"Connection {self.conn_id!r} names a role_arn. Put the role into a profile of ~/.aws/config and give "
                "the connection profile_name, or let the machine have the role."
            )
        options: dict[str, Any] = {"key": self.login, "secret": self.password}
        options |= {_S3[name]: value for name, value in extra.items() if name in _S3}
        if "region_name" in extra:
            options["client_kwargs"] = {"region_name": extra["region_name"]}
        return {name: value for name, value in options.items() if value}

    def _azure(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        options = {_AZURE[name]: value for name, value in extra.items() if name in _AZURE}
        account = (urlsplit(self.host).hostname or self.host).partition(".")[0]
        if "tenant_id" in options:
            own = {"client_id": self.login, "client_secret": self.password, "account_name": account}
        else:
            own = {"account_name": self.login or account, "account_key": self.password}
        merged = {**{name: value for name, value in own.items() if value}, **options}
        if "connection_string" in merged:
            return {"connection_string": merged["connection_string"]}
        if "sas_token" in merged:
            merged.pop("account_key", None)
        return merged


Resolver = Callable[[str], Connection | None]


def from_environment(conn_id: str) -> Connection | None:
    """Return the connection that ``AIRFLOW_CONN_<ID>`` holds; None when there is no such variable.

    :raises UserError: when the variable cannot be read; the message does not show it.
    """
    name = _VARIABLE + conn_id.upper()
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        return _from_json(conn_id, text) if text.startswith("{") else _from_uri(conn_id, text)
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"The variable {name} holds no connection: write it as Airflow's URI or JSON.") from None


_resolver: list[Resolver] = [from_environment]


def set_resolver(resolver: Resolver) -> None:
    """Let *resolver* find connections from now on, in this process."""
    _resolver[0] = resolver


def connection(conn_id: str) -> Connection:
    """Return the connection of this id.

    :raises UnknownNameError: when there is none.
    """
    found = _resolver[0](conn_id)
    if found is None:
        raise UnknownNameError(
            f"There is no connection {conn_id!r}: add it to Airflow, or set {_VARIABLE}{conn_id.upper()} to its URI "
            "or JSON."
        )
    return found


def is_secret_name(name: str) -> bool:
    """Say whether an option of this name is likely to hold a secret."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def secret_values(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts that no message may show, the longest first."""
    found = {str(value) for name, value in options.items() if is_secret_name(name) and len(str(value)) > 3}
    for text in list(found):
        found.update(part.partition("=")[2] for part in text.split(";") if part.startswith(("AccountKey=", "Shared")))
    return tuple(sorted(found - {""}, key=len, reverse=True))


def _from_json(conn_id: str, text: str) -> Connection:
    document = json.loads(text)
    extra = document.get("extra") or {}
    return Connection(
        conn_id,
        str(document.get("conn_type") or ""),
        str(document.get("host") or ""),
        str(document.get("login") or ""),
        str(document.get("password") or ""),
        int(document["port"]) if document.get("port") else None,
        dict(json.loads(extra) if isinstance(extra, str) else extra),
        str(document.get("schema") or ""),
    )


def _from_uri(conn_id: str, text: str) -> Connection:
    if "://" not in text:
        raise ValueError("no URI")
    parts = urlsplit(text)
    # A scheme has no '_': Airflow writes google-cloud-platform for google_cloud_platform.
    kind = parts.scheme.replace("-", "_")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = json.loads(query["__extra__"]) if "__extra__" in query else query
    place, _, address = parts.netloc.rpartition("@")
    host, _, port = address.rpartition(":") if address.rpartition(":")[2].isdigit() else (address, "", "")
    login, _, password = place.partition(":")
    number = int(port) if port else None
    schema = unquote(parts.path.lstrip("/"))
    return Connection(conn_id, kind, unquote(host), unquote(login), unquote(password), number, extra, schema)
