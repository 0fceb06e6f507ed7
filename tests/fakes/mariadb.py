"""A MariaDB server for tests: its data in a temporary folder, on a free port, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.servers import free_port, other_user_than_root

USER, PASSWORD = "refrain", "maria-secret-word"


@dataclass(frozen=True)
class MariaServer:
    """A server with a user who may do everything, and has a password."""

    folder: Path
    port: int

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[MariaServer]:
        """A running server; skips the test, with the reason, where it cannot be had."""
        server, install = shutil.which("mariadbd") or shutil.which("mysqld"), shutil.which("mariadb-install-db")
        if not server or not install:
            pytest.skip("MariaDB's server programs are not installed (Debian: apt-get install mariadb-server)")
        options = other_user_than_root("mysql")
        # Not tmp_path: the server's user may not enter a folder of ours, and a socket's path must be short.
        folder = Path(tempfile.mkdtemp(prefix="refrain-mariadb-"))
        made = cls(folder, free_port())
        process = None
        try:
            made._install(install, options)
            process = made._launch(server, options)
            made._wait_for(process)
            yield made
        finally:
            if process is not None:
                process.kill()  # durability is of no use to a server that is thrown away
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def create(self, database: str) -> str:
        """Make a database; returns its URL, without a password."""
        self.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4", database="mysql")
        return f"mysql://127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str) -> list[tuple[Any, ...]]:
        """Carry out statements; returns the rows of the last."""
        import pymysql

        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "database": database}
        with contextlib.closing(pymysql.connect(**where, autocommit=True)) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def connection(self) -> str:
        """The server's account, as the variable of an Airflow connection holds one."""
        return f"mysql://{USER}:{PASSWORD}@/"

    def _install(self, program: str, options: dict[str, Any]) -> None:
        if options:
            shutil.chown(self.folder, options["user"], options["group"])
        command = [
            program,
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}",
            "--auth-root-authentication-method=normal",
        ]
        done = subprocess.run(
            [*command, "--skip-test-db"], cwd="/", capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _launch(self, program: str, options: dict[str, Any]) -> subprocess.Popen[bytes]:
        accounts = self.folder / "accounts.sql"
        accounts.write_text(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO '{USER}'@'%';")
        accounts.chmod(0o644)
        command = [
            program,
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}",
            f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            f"--init-file={accounts}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **options)

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            with contextlib.suppress(Exception):
                self.execute("SELECT 1", database="mysql")
                return
            assert process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())
