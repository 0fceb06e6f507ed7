"""A Docker engine for tests, and an image that is made here, without a registry."""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from refrain.compute.docker.client import LABEL, connect
from refrain.compute.docker.settings import Engine
from refrain.compute.target import Target, TargetTable
from refrain.errors import ComputeError
from refrain.storage.state import WorkspaceState

IMAGE = "refrain-test-python"
_SECONDS = 60
_PIP = Path(importlib.util.find_spec("pip").origin or "").parent  # type: ignore[union-attr]  # it is there
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3"}


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers, with an image that has this Python and nothing else."""

    address: str
    client: Any
    image: ClassVar[str] = IMAGE

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[DockerEngine]:
        """The engine of this machine, or one that is started now; skips the test, with the reason, without either."""
        with contextlib.ExitStack() as stack:
            engine = cls._found(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
            engine = engine or stack.enter_context(cls._started())
            engine.client.import_image_from_data(_root_with_python(), IMAGE, changes=["ENV PATH=/usr/bin"])
            yield engine
            engine.remove_image(IMAGE)
            engine.client.close()

    @classmethod
    def _found(cls, address: str) -> DockerEngine | None:
        pytest.importorskip("docker", reason="the package docker is not installed")
        try:
            return cls(address, connect(Engine(address)))
        except ComputeError:
            return None

    @classmethod
    @contextlib.contextmanager
    def _started(cls) -> Iterator[DockerEngine]:
        if shutil.which("dockerd") is None or os.geteuid() != 0:
            pytest.skip(
                "no Docker engine answers, and none can be started (Debian, as root: apt-get install docker.io)"
            )
        # Not tmp_path: the path of a socket may have no more than a hundred characters.
        folder = Path(tempfile.mkdtemp(prefix="refrain-docker-"))
        address = f"unix://{folder}/docker.sock"
        options = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
        # Without networks of its own, for which it would change the machine's.
        options += [f"--host={address}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(["dockerd", *options], stdout=output, stderr=output, start_new_session=True)
        try:
            yield cls._answering(address, process, log)
        finally:
            process.terminate()
            process.wait(_SECONDS)
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    def _answering(cls, address: str, process: subprocess.Popen[bytes], log: Path) -> DockerEngine:
        deadline = time.monotonic() + _SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            engine = cls._found(address)
            if engine is not None:
                return engine
            time.sleep(0.1)
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        pytest.skip(f"a Docker engine cannot be started here: {''.join(last)}")

    def target(self, state: WorkspaceState, **settings: Any) -> str:
        """Register a compute target for this engine; returns its name."""
        TargetTable(state.registry).put(Target("box", "docker", self.settings(**settings)))
        return "box"

    def settings(self, **settings: Any) -> dict[str, Any]:
        """Settings of a target for this engine, without a network, which its containers do not need."""
        return {"image": IMAGE, "engine": self.address, "network": "none", "pull": "never", **settings}

    def let_everybody_in(self) -> None:
        """Let other users than root use the engine of a test; that of the machine stays as it is."""
        socket = Path(self.address.removeprefix("unix://"))
        if not socket.is_relative_to(tempfile.gettempdir()):
            pytest.skip("the engine of this machine does not let other users in")
        socket.parent.chmod(0o711)
        socket.chmod(0o666)

    def containers(self, run_id: str = "") -> list[dict[str, Any]]:
        """Our containers, running or not; those of one step run when it is named."""
        label = f"{LABEL}={run_id}" if run_id else LABEL
        found: list[dict[str, Any]] = self.client.containers(all=True, filters={"label": label})
        return found

    def image_with(self, text: str, name: str = "") -> str:
        """Make an image that differs from the test's in one file, `/note`; returns its name."""
        name = name or f"refrain-test-{uuid.uuid4().hex}"
        self._build(name, {"Dockerfile": f"FROM {IMAGE}\nCOPY note /note\n".encode(), "note": text.encode()})
        return name

    def image_with_wheel(self, package: str, version: str) -> str:
        """Make an image with pip, and in `/wheels` a wheel of a package that knows its `VERSION`; returns its name."""
        name = f"refrain-test-{uuid.uuid4().hex}"
        wheel = f"wheels/{package}-{version}-py3-none-any.whl"
        files = {f"pip/{path.relative_to(_PIP)}": path.read_bytes() for path in _PIP.rglob("*.py")}
        files |= {f"pip/{path.relative_to(_PIP)}": path.read_bytes() for path in _PIP.rglob("*.pem")}
        place = sysconfig.get_path("purelib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix})
        text = f"FROM {IMAGE}\nCOPY wheels /wheels\nCOPY pip {place}/pip\n"
        self._build(name, {"Dockerfile": text.encode(), wheel: _wheel(package, version), **files})
        return name

    def _build(self, name: str, files: dict[str, bytes]) -> None:
        context = io.BytesIO(_tar(files))
        said = list(self.client.build(fileobj=context, custom_context=True, tag=name, rm=True, decode=True))
        assert not [piece for piece in said if "error" in piece], said

    def remove_image(self, name: str) -> None:
        """Remove an image by its name; nothing happens when it is gone."""
        from docker.errors import APIError

        with contextlib.suppress(APIError):
            self.client.remove_image(name, force=True)


def _wheel(package: str, version: str) -> bytes:
    buffer = io.BytesIO()
    information = f"{package}-{version}.dist-info"
    texts = {
        f"{package}.py": f"VERSION = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*texts, f"{information}/RECORD"))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**texts, f"{information}/RECORD": record}.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _root_with_python() -> bytes:
    """The root of a machine that has this Python under the same path, and the libraries that it needs."""
    program, library = os.path.realpath(sys.executable), sysconfig.get_path("stdlib")
    asked = subprocess.run(
        ["ldd", program, *glob.glob(f"{library}/lib-dynload/*.so")], capture_output=True, text=True, check=False
    )
    libraries = set(re.findall(r"(/\S+) \(0x", asked.stdout))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for path in (program, library, *sorted(libraries)):
            archive.add(path, filter=_belongs)
        link = tarfile.TarInfo("usr/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, program
        archive.addfile(link)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(temporary)
    return buffer.getvalue()


def _belongs(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if _LEFT_OUT & set(entry.name.split("/")) or entry.name.endswith(".a"):
        return None
    entry.uid = entry.gid = 0
    entry.mode |= 0o444 | (0o111 if entry.isdir() or entry.mode & 0o100 else 0)  # for every user of a container
    return entry
