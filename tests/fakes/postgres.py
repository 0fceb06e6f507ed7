"""A PostgreSQL server for tests: a cluster in a temporary folder, on a free port, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.servers import free_port, other_user_than_root

# Debian keeps the programs of each version in a folder of its own, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")
LOCKED = "locked"
"""A name that must show a password, once somebody has made it a role."""


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
        server = cls(find_binaries(), free_port(), other_user_than_root("postgres"))
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
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
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
