"""A PostgreSQL server for tests: a cluster in a temporary folder, on a free port, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Debian keeps the programs of each version in a folder of its own, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class PostgresServer:
    """A server of which everybody on this machine is the superuser `postgres`."""

    binaries: Path
    port: int
    options: dict[str, Any]

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[PostgresServer]:
        """A running server; skips the test, with the reason, where it cannot be had."""
        server = cls(find_binaries(), free_port(), other_user_than_root())
        # Not tmp_path: the server's user may not enter a folder of ours.
        folder = Path(tempfile.mkdtemp(prefix="refrain-postgres-"))
        try:
            if server.options:
                shutil.chown(folder, server.options["user"], server.options["group"])
            server._make(folder)
            yield server
        finally:
            server._run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop", is_checked=False)
            shutil.rmtree(folder, ignore_errors=True)

    def create(self, database: str) -> str:
        """Make a database; returns its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", database)
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{database}"

    def _make(self, folder: Path) -> None:
        data = folder / "data"
        self._run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        # Durability is of no use to a server that is thrown away.
        flags = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={folder} -c fsync=off"
        self._run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", flags, "start")

    def _run(self, program: str, *arguments: object, is_checked: bool = True) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        result = subprocess.run(
            command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **self.options
        )
        if is_checked and result.returncode:
            raise RuntimeError(f"{program} ended with exit code {result.returncode}:\n{result.stdout}")


def find_binaries() -> Path:
    """The folder with the server's programs."""
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parents[1].name))
    on_path = shutil.which("initdb")
    if not versions and not on_path:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
    return versions[-1].parent if versions else Path(str(on_path)).parent


def other_user_than_root() -> dict[str, Any]:
    """Options of `subprocess.run` for the server's user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user 'postgres' to run it instead")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
