"""Root: where a workspace is, and how it is reached; a folder of this machine or a URL of any file system."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from refrain.errors import WorkspaceError
from refrain.storage.connections import is_secret_name
from refrain.values import dataclass

Option = str | int | float | bool | None

_CONN_ID = "conn_id"
_WAY_OUT = "Keep credentials in an Airflow connection (or AIRFLOW_CONN_<ID>) and give its conn_id."
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Root:
    """The root of a workspace. Its text, ``s3://bucket/prefix?conn_id=lake``, says all of it in one line.

    :param folder: None for a URL.
    :param conn_id: the Airflow connection with the credentials; None means those of the environment.
    :param options: what the file system takes beside them, none of it secret.
    """

    folder: Path | None
    url: str = ""
    conn_id: str | None = None
    options: tuple[tuple[str, Option], ...] = ()

    @classmethod
    def parse(
        cls, text: str | os.PathLike[str], conn_id: str | None = None, options: Mapping[str, Any] | None = None
    ) -> Root:
        """Return the root that a user names.

        :param text: a folder, a ``file://`` URL or any other URL; what stands after its ``?`` are options.
        :param conn_id: rules over one in the text.
        :param options: rule over those in the text.
        :raises WorkspaceError: when it names nothing, or holds a credential.
        """
        written = os.fspath(text)
        if not written.strip():
            raise WorkspaceError("The workspace's folder has an empty name; give a folder or a URL.")
        if written.startswith("file://"):
            return cls(Path(unquote(written.removeprefix("file://"))))
        if not _SCHEME.match(written):
            return cls(home_expanded(written))
        url, _, query = written.partition("?")
        given = {**{name: _value(value) for name, value in parse_qsl(query)}, **(options or {})}
        named = given.pop(_CONN_ID, None)
        _require_plain(url, given)
        found = conn_id or (str(named) if named else None)
        return cls(None, url.rstrip("/"), found, tuple(sorted(given.items())))

    @property
    def name(self) -> str:
        """The last part of the folder or the URL."""
        return self.folder.name if self.folder is not None else self.url.rpartition("/")[2]

    def location(self, key: str) -> str:
        """Return where a key is, for messages."""
        return str(self.folder / key) if self.folder is not None else f"{self.url}/{key}"

    def __str__(self) -> str:
        if self.folder is not None:
            return str(self.folder)
        given = [(_CONN_ID, self.conn_id)] if self.conn_id else []
        written = [(name, str(value).lower() if isinstance(value, bool) else value) for name, value in self.options]
        query = urlencode([*given, *written])
        return f"{self.url}?{query}" if query else self.url


def _value(text: str) -> Option:
    return _TRUTH.get(text.lower(), text)


def _require_plain(url: str, options: Mapping[str, Any]) -> None:
    rest = url.partition("://")[2]
    if url.startswith(("http://", "https://")):
        raise WorkspaceError(f"The workspace {url!r} can be read only; give a folder, or a URL that can be written to.")
    if not rest.strip("/"):
        raise WorkspaceError(f"The workspace {url!r} names no place; write it as 's3://bucket/folder'.")
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise WorkspaceError(f"The workspace's URL on {rest.rpartition('@')[2]!r} holds a password. {_WAY_OUT}")
    for option, value in options.items():
        if is_secret_name(option):
            raise WorkspaceError(f"The workspace {url!r}: the option {option!r} holds a secret. {_WAY_OUT}")
        if not isinstance(value, str | int | float | bool):
            raise WorkspaceError(
                f"The workspace {url!r}: the option {option!r} must be a text, a number or a truth value."
            )


def home_expanded(text: str) -> Path:
    """Return a folder as people write it; ``~`` is the home of the user, and ``~name`` that of another one.

    :raises WorkspaceError: when there is no such user, or the text can be no path.
    """
    if "\0" not in text:
        with contextlib.suppress(RuntimeError):
            return Path(text).expanduser()
    raise WorkspaceError(f"{text!r} is no folder: no user has this home, or it has a NUL. Give a folder or a URL.")
