"""The identity of a Python interpreter: its version, its platform and the packages that it can import."""

from __future__ import annotations

import json
import os
import platform
import site
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property, lru_cache

from refrain.errors import UserError
from refrain.storage.digest import digest_bytes
from refrain.values import dataclass

# The folders are those that the site module puts on the path: a virtual environment's own, the system's where that
# environment shows them, Debian's dist-packages, and the user's own where it is in use.
_ASK = (
    "import json,platform,site,sys;"
    "print(json.dumps([platform.python_implementation()+' '+platform.python_version(),"
    "sys.platform+'-'+platform.machine(),"
    "sorted({*site.getsitepackages(),*([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])})]))"
)
_OURS = "refrain"
_METADATA = (".dist-info", ".egg-info")
_NO_FOLDER = ("#", "import ", "import\t")
_AT_REST_NS = 2_000_000_000


@dataclass(frozen=True)
class InterpreterIdentity:
    """What an interpreter is.

    ``packages`` are ``name==version`` lines, sorted, read from the names of the metadata folders, so that deciding
    costs a directory listing and no import; also of the folders that ``.pth`` files add to the path. Known limitation:
    a package in development mode counts by its version, not by its files. Refrain itself is left out: its own upgrades
    must not disturb anybody's results.

    :param stamps: when the folders of the packages were last changed, by their paths.
    """

    path: str
    version: str
    platform: str
    packages: tuple[str, ...]
    stamps: tuple[tuple[str, int], ...] = field(default=(), compare=False)

    @property
    def is_current(self) -> bool:
        """Say whether nothing was installed or removed since."""
        return all(_stamp(folder) == stamp for folder, stamp in self.stamps)

    @property
    def counted(self) -> dict[str, str]:
        """What a fingerprint counts."""
        return {"python": self.version, "platform": self.platform, "packages": self.packages_digest}

    @cached_property
    def packages_text(self) -> bytes:
        """The packages as one text, for storing."""
        return "\n".join(self.packages).encode()

    @cached_property
    def packages_digest(self) -> str:
        """The digest of :attr:`packages_text`."""
        return digest_bytes(self.packages_text)


NO_INTERPRETER = InterpreterIdentity("", "", "", ())
"""What a step without a process runs in."""


def identify(interpreter: str | None) -> InterpreterIdentity:
    """Return the identity of an interpreter; None means the running one.

    :raises UserError: when it cannot be run.
    """
    path = interpreter or sys.executable
    version, platform_name, folders = _own() if path == sys.executable else _ask(path, _stat(path))
    found = _looked_at(folders)
    found |= _looked_at(_more(found) - found.keys())
    packages = _packages(name for _, names in found.values() for name in names)
    stamps = tuple((folder, stamp) for folder, (stamp, _) in found.items())
    return InterpreterIdentity(path, version, platform_name, packages, stamps)


def describe(path: str) -> tuple[str, str]:
    """Return an interpreter's version and platform.

    :raises UserError: when it cannot be run.
    """
    # That which a virtual environment was made of is of its version; to be told so would cost a process.
    is_own = path in (sys.executable, base_interpreter())
    version, platform_name, _ = _own() if is_own else _ask(path, _stat(path))
    return version, platform_name


def base_interpreter() -> str:
    """Return the interpreter that the running one's virtual environment was made of, or the running one itself."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _own() -> tuple[str, str, tuple[str, ...]]:
    folders = {*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])}
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return version, f"{sys.platform}-{platform.machine()}", tuple(sorted(folders))


@lru_cache
def _ask(path: str, _status: tuple[int, ...]) -> tuple[str, str, tuple[str, ...]]:
    import subprocess

    try:
        # Without PYTHON* variables (-E), away from modules that might lie in the current directory, but with the
        # user's packages, which a step would import too.
        answer = subprocess.run(
            [path, "-E", "-c", _ASK], capture_output=True, check=True, timeout=60, text=True, cwd="/"
        )
        version, platform_name, folders = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"The interpreter {path!r} cannot be run: {error}.") from error
    return version, platform_name, tuple(folders)


def _stat(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f"The interpreter {path!r} cannot be run: {error.strerror}.") from error
    return status.st_size, status.st_mtime_ns, status.st_ino


def _stamp(folder: str) -> int:
    """Return what is another as soon as something is put into a folder or taken out."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except OSError:
        return 0
    now = time.time_ns()
    return changed if now - changed > _AT_REST_NS else now  # two changes at once may have the same time


def _looked_at(folders: Iterable[str]) -> dict[str, tuple[int, list[str]]]:
    """Return the stamp of each folder, from before it was read, and the names in it."""
    return {folder: (_stamp(folder), _listed(folder)) for folder in folders}


def _more(found: Mapping[str, tuple[int, list[str]]]) -> set[str]:
    """Return the folders that ``.pth`` files in others put on the path."""
    paths = ((folder, name) for folder, (_, names) in found.items() for name in names if name.endswith(".pth"))
    return {more for folder, name in paths for more in _added(folder, name)}


def _packages(names: Iterable[str]) -> tuple[str, ...]:
    stems = (name.rsplit(".", 1)[0].split("-") for name in names if name.endswith(_METADATA))
    named = {(stem[0].lower(), *stem[1:2]) for stem in stems}
    return tuple(sorted("==".join(parts) for parts in named if parts[0] != _OURS))


def _added(folder: str, name: str) -> list[str]:
    """Return the folders that a ``.pth`` file puts on the path, as the site module reads it."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    return [os.path.join(folder, line.rstrip()) for line in lines if line.strip() and not line.startswith(_NO_FOLDER)]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # not every folder that a path may name is there
