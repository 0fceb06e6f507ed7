"""JSON over HTTP to one server, signed in with a token that renews itself."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from refrain.errors import AirflowRequestError, AirflowUnreachableError, UserError

# Renewed this many seconds before it expires.
_MARGIN = 60.0

# Airflow writes its audit log from its event loop: when a task's request holds the lock of a SQLite database, each
# waits for the other until one is answered with this. Nothing has been done then, so that asking again is safe.
_DATABASE_WAS_LOCKED = (500, '"reason": "Database error"')
_TRIES = 6
_PAUSE = 0.2


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class HttpChannel:
    """Requests to one Airflow.

    :param base_url: its address, without a user and a password in it.
    :param token: instead of a name and a password; is not renewed.
    :param timeout: seconds for one request.
    :raises UserError: if the address is none of HTTP's, or there is half a sign-in.
    """

    def __init__(
        self, base_url: str, *, username: str | None, password: str | None, token: str | None, timeout: float
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise UserError(
                f"'{_without_user(base_url)}' is no address of an Airflow. Write it like http://127.0.0.1:8080; "
                "user and password are arguments of their own."
            )
        if (username is None) != (password is None):
            raise UserError("Signing in takes both a username and a password, or a token instead.")
        self.base_url = base_url.rstrip("/")
        self.username = username
        self._password = password
        self._token = token
        self._expires = float("inf")
        self._timeout = timeout
        self._opener = _opener(parts.hostname)

    def __repr__(self) -> str:
        return f"HttpChannel({self.base_url!r}, {self.username!r})"

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        is_public: bool = False,
    ) -> Any:
        """Send one request; returns the answer's JSON, ``None`` if it is empty.

        :param is_public: without signing in.
        :raises AirflowRequestError: if the server refuses.
        :raises AirflowUnreachableError: if there is no server.
        """
        address = path + (f"?{urlencode(query)}" if query else "")
        for attempt in range(_TRIES - 1):
            try:
                return self._signed_in(method, address, body, is_public)
            except AirflowRequestError as error:
                status, reason = _DATABASE_WAS_LOCKED
                if error.status != status or reason not in str(error.detail):
                    raise
            time.sleep(_PAUSE * 2**attempt)
        return self._signed_in(method, address, body, is_public)

    def _signed_in(self, method: str, address: str, body: Mapping[str, Any] | None, is_public: bool) -> Any:
        if is_public:
            return self._send(method, address, body, None)
        try:
            return self._send(method, address, body, self._valid_token())
        except AirflowRequestError as error:
            if error.status != 401 or self._password is None:
                raise
        self._token = None  # expired early: the server has new secrets, or another clock
        return self._send(method, address, body, self._valid_token())

    def _valid_token(self) -> str | None:
        is_expired = self._token is None or time.time() > self._expires - _MARGIN
        if is_expired and self._password is not None:
            body = {"username": self.username, "password": self._password}
            self._token = str(self._send("POST", "/auth/token", body, None)["access_token"])
            self._expires = _expiry(self._token)
        return self._token

    def _send(self, method: str, address: str, body: Mapping[str, Any] | None, token: str | None) -> Any:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        request = Request(self.base_url + address, data=content, headers=headers, method=method)  # noqa: S310 - http or https, checked above
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                text = response.read()
        except HTTPError as error:
            with error:
                raise _refused(method, address, error) from error
        except (URLError, OSError, HTTPException) as error:
            raise self._unreachable(method, address, error) from error
        return _decoded(method, address, text)

    def _unreachable(self, method: str, address: str, error: Exception) -> AirflowUnreachableError:
        reason = getattr(error, "reason", None) or error
        return AirflowUnreachableError(
            f"No answer from Airflow at {self.base_url} ({method} {address.partition('?')[0]}: {reason}). "
            "Is it running? Start it with: make up"
        )


def _opener(host: str) -> OpenerDirector:
    """Reaches this machine directly, whatever proxy the environment names."""
    return build_opener(_NoRedirects(), *([ProxyHandler({})] if _is_here(host) else []))


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(method: str, address: str, error: HTTPError) -> AirflowRequestError:
    detail = _detail(error.read().decode("utf-8", "replace"))
    return AirflowRequestError(
        f"Airflow refused {method} {address}: {error.code} {error.reason}{_advice(error.code)}. "
        f"It says: {detail or 'nothing'}",
        status=error.code,
        detail=detail,
    )


def _advice(status: int) -> str:
    if status == 401:
        return " (check the user name and the password, or the token)"
    return " (this user lacks the right)" if status == 403 else ""


def _detail(text: str) -> str:
    """The server's words, out of FastAPI's ways to wrap them."""
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, LookupError, TypeError):
        return text[:500].strip()
    if isinstance(detail, list):  # one entry for each field of the request that is wrong
        return "; ".join(f"{'.'.join(map(str, entry.get('loc', ())))}: {entry.get('msg')}" for entry in detail)
    return detail if isinstance(detail, str) else json.dumps(detail)


def _decoded(method: str, address: str, text: bytes) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except ValueError as error:
        raise AirflowRequestError(
            f"The answer to {method} {address} is not JSON, so this is hardly an Airflow. Check the address. "
            f"It begins with: {text[:80]!r}"
        ) from error


def _expiry(token: str) -> float:
    """When a JSON web token expires, in seconds since 1970; never, for a token of another kind."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (ValueError, LookupError, TypeError):
        return float("inf")


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]
