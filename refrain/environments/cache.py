"""EnvironmentCache: the environments that were built on this machine, shared by its processes.

::

    <folder>/<digest>/             a virtual environment, whole from the moment that it is there
    <folder>/<digest>/ready.json   what it is; its time is that of the last use
    <folder>/.building-<digest>    being built
    <folder>/locks/<digest>        held by all who use or build it together, or by who deletes it alone
    <folder>/locks/<digest>.build  held by its builder

The kernel lets go of a lock when its holder is killed, so that what a killed builder left is known as such.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from refrain.errors import EnvironmentFailedError

SCHEMA = 1
READY = "ready.json"
_BUILDING = ".building-"
_DELETING = ".deleting-"
_BUILDS = ".build"
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Built:
    """An environment that is ready on this machine.

    :param used: when it was last made ready for a step, in seconds since the epoch.
    :param is_in_use: whether a process that is running now has made it ready.
    """

    digest: str
    folder: Path
    python: str
    packages: tuple[str, ...]
    bytes: int
    used: float
    is_in_use: bool


class EnvironmentCache:
    """The environments in a folder; safe with many processes, and with one that is killed at any moment."""

    def __init__(self, folder: Path) -> None:
        """Keep them in *folder*, which anybody may delete when nothing runs."""
        self.folder = folder
        self.require_going_on: Callable[[], None] = lambda: None
        """Raises when nobody waits any more for what another process builds."""
        self._held: dict[str, int] = {}

    def interpreter(self, digest: str) -> str:
        """Return where an environment's interpreter is, or will be."""
        return str(self.folder / digest / "bin" / "python")

    def take(self, digest: str, build: Callable[[Path], dict[str, object]]) -> str:
        """Return the interpreter of an environment, which is built unless it is there, and keep it for this process.

        :param build: makes the environment in the folder that it is given, which is not there yet, and says what it is.
        :raises EnvironmentFailedError: when the folder cannot be written to, and as *build* does.
        """
        try:
            use = self._lock(digest, fcntl.LOCK_SH)
            try:
                if not self._is_ready(digest):
                    self._build_once(digest, build)
                os.utime(self.folder / digest / READY)
            except BaseException:
                os.close(use)
                raise
        except OSError as error:
            raise EnvironmentFailedError(f"The environment cannot be made in {str(self.folder)!r}: {error}.") from error
        former = self._held.setdefault(digest, use)  # until this process ends: what it runs must not lose its files
        if former != use:
            os.close(use)
        return self.interpreter(digest)

    def built(self) -> list[Built]:
        """Return what is built, what was used last first."""
        found = [built for built in map(self._built, self._digests()) if built is not None]
        return sorted(found, key=lambda built: -built.used)

    def remove(self, digest: str) -> bool:
        """Delete an environment; False when a running process uses it."""
        with self._alone(digest) as is_alone:
            if is_alone:
                self._clear(digest)
                with contextlib.suppress(FileNotFoundError):
                    target = self.folder / f"{_DELETING}{digest}"
                    os.rename(self.folder / digest, target)  # gone at once for everybody who looks
                    shutil.rmtree(target)
            return is_alone

    def sweep(self) -> int:
        """Delete what killed processes left half-made, and return how many there were."""
        swept = 0
        for path in [*self.folder.glob(f"{_BUILDING}*"), *self.folder.glob(f"{_DELETING}*")]:
            digest = path.name.partition("-")[2]
            with self._alone(digest) as is_alone:
                if is_alone:
                    self._clear(digest)
                    swept += 1
        return swept

    def _build_once(self, digest: str, build: Callable[[Path], dict[str, object]]) -> None:
        """Build, or wait for whoever does; those who use what is there, broken as it may be, are not waited for."""
        alone = self._waited(f"{digest}{_BUILDS}")
        try:
            if not self._is_ready(digest):
                self._build(digest, build)
        finally:
            os.close(alone)

    def _build(self, digest: str, build: Callable[[Path], dict[str, object]]) -> None:
        self._clear(digest)
        shutil.rmtree(self.folder / digest, ignore_errors=True)  # its interpreter has gone
        temporary = self.folder / f"{_BUILDING}{digest}"
        try:
            known = build(temporary)
            size = sum(os.lstat(os.path.join(p, n)).st_size for p, _, names in os.walk(temporary) for n in names)
            (temporary / READY).write_text(json.dumps({"schema": SCHEMA, **known, "bytes": size}))
            os.rename(temporary, self.folder / digest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _clear(self, digest: str) -> None:
        for beginning in (_BUILDING, _DELETING):
            shutil.rmtree(self.folder / f"{beginning}{digest}", ignore_errors=True)

    def _is_ready(self, digest: str) -> bool:
        """Say whether it is whole, and the interpreter that its link leads to is still installed."""
        return (self.folder / digest / READY).is_file() and os.path.exists(self.interpreter(digest))

    def _digests(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob(f"[0-9a-f]*/{READY}"))

    def _built(self, digest: str) -> Built | None:
        path = self.folder / digest / READY
        try:
            known, used = json.loads(path.read_text()), path.stat().st_mtime
            python, packages, size = str(known["python"]), tuple(map(str, known["packages"])), int(known["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # deleted just now, or of another Refrain
        with self._alone(digest) as is_alone:
            return Built(digest, path.parent, python, packages, size, used, not is_alone)

    def _waited(self, name: str) -> int:
        """Take a lock alone; looked for again and again, because a thread that the kernel lets wait cannot be told."""
        while True:
            self.require_going_on()
            try:
                return self._lock(name, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_SECONDS)

    def _lock(self, name: str, how: int) -> int:
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, how)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextlib.contextmanager
    def _alone(self, digest: str) -> Iterator[bool]:
        """Keep everybody from an environment, if nobody uses it."""
        try:
            descriptor = self._lock(digest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)
