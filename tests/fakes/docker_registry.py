"""A registry of images for tests, which asks for a password."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.servers import free_port
from fakes.waiting import await_port

_USER, _PASSWORD = "ali", "open sesame"
_HASH = "$2b$04$tLa6cfZ92rwdceJ725ymwevADx20lhsvX39rkCnOuuPJKGVASvDtq"
"""Of the password, by bcrypt, which is all that the registry takes."""
_SECONDS = 60


@dataclass(frozen=True)
class DockerRegistry:
    """A registry at an address of this machine, to which Docker engines speak without TLS."""

    address: str

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path) -> Iterator[DockerRegistry]:
        """A running registry; skips the test, with the reason, where it cannot be had."""
        if shutil.which("docker-registry") is None:
            pytest.skip("no registry's program is installed (Debian: apt-get install docker-registry)")
        port = free_port()
        (folder / "users").write_text(f"{_USER}:{_HASH}\n")
        settings = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": f"127.0.0.1:{port}"},
            "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "users")}},
        }
        (folder / "config.yml").write_text(json.dumps(settings))  # which is YAML, too
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            await_port(port, process, _SECONDS)
            yield cls(f"127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(_SECONDS)

    def connection(self, password: str = _PASSWORD) -> str:
        """A connection of Airflow's, as JSON."""
        host, _, port = self.address.partition(":")
        given = {"conn_type": "docker", "host": host, "port": int(port), "login": _USER, "password": password}
        return json.dumps(given)

    @property
    def login(self) -> dict[str, str]:
        """What docker-py takes to log in."""
        return {"username": _USER, "password": _PASSWORD}
