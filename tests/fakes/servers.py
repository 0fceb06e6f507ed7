"""What every server that a test starts needs: a port, and a user who is not root."""

from __future__ import annotations

import os
import pwd
import socket
from typing import Any

import pytest


def other_user_than_root(name: str) -> dict[str, Any]:
    """Options of `subprocess.run` for a server's user: database servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        pytest.skip(f"the server refuses to run as root, and there is no user {name!r} to run it instead")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
