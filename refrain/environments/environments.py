"""Environments: what a step is to run in, found out without building anything, and made ready when it is needed."""

from __future__ import annotations

import json
from pathlib import Path

from refrain.environments.cache import EnvironmentCache
from refrain.environments.interpreter import InterpreterIdentity, identify
from refrain.environments.pythons import Python, find_python
from refrain.environments.resolution import Resolution, Resolutions, uv_options
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.environments.uv import OnLine, RunTool, Uv
from refrain.errors import UserError
from refrain.storage.digest import digest_bytes
from refrain.storage.registry import Registry


class Environments:
    """The environments of a workspace on this machine."""

    def __init__(self, registry: Registry, folder: Path, run: RunTool) -> None:
        """Remember what was resolved in *registry*, build below *folder* and start programs with *run*."""
        self._uv = Uv(folder / "uv", run)
        self.cache = cache_of(folder)
        self.resolutions = Resolutions(registry, self._uv)

    def identify(self, spec: EnvironmentSpec) -> InterpreterIdentity:
        """Return what a process would run in, for the fingerprint. Nothing is built; what is new is resolved.

        :raises UserError: when there is no such interpreter.
        :raises EnvironmentFailedError: when the packages cannot be resolved.
        """
        if spec.packages is None:
            _require_no_image(spec)
            return identify(spec.interpreter)
        python, resolution = self._resolved(spec.packages)
        path = self.cache.interpreter(_place(python, resolution))
        return InterpreterIdentity(path, python.version, python.platform, resolution.packages)

    def prepare(self, spec: EnvironmentSpec, on_line: OnLine) -> str:
        """Make an environment ready and return its interpreter, which stays as long as this process.

        It raises as :meth:`identify`, and likewise where it cannot be built.
        """
        packages = spec.packages
        if packages is None:
            return self.identify(spec).path
        python, resolution = self._resolved(packages)
        for note in (*resolution.notes, *_image_notes(spec)):
            on_line(f"Environment: {note}")

        def build(folder: Path) -> dict[str, object]:
            on_line(f"Environment: building it with {python.version} and {len(resolution.packages)} packages")
            return self._build(folder, python, resolution, uv_options(packages.options))

        return self.cache.take(_place(python, resolution), build)

    def renew(self, spec: PackageSpec) -> Resolution:
        """Resolve anew; see :meth:`refrain.environments.resolution.Resolutions.renew`."""
        return self.resolutions.renew(spec, find_python(spec.python))

    def _resolved(self, spec: PackageSpec) -> tuple[Python, Resolution]:
        python = find_python(spec.python)
        return python, self.resolutions.get(spec, python)

    def _build(self, folder: Path, python: Python, resolution: Resolution, options: list[str]) -> dict[str, object]:
        what = "The environment cannot be built"
        # Relocatable: programs of packages must not name the folder in which they are being built.
        venv = ["venv", "--relocatable", f"--python={python.path}", str(folder)]
        self._uv.call(what, venv, folder.parent)
        if resolution.lock:
            lock = folder / "requirements.txt"
            lock.write_text(resolution.lock)
            install = ["pip", "install", f"--python={folder}", "--require-hashes", "--no-deps", "--link-mode=hardlink"]
            self._uv.call(what, [*install, f"--requirements={lock}", *options], folder)
        return {"python": python.version, "platform": python.platform, "packages": list(resolution.packages)}


def cache_of(folder: Path) -> EnvironmentCache:
    """Return the environments that were built below this machine's cache folder."""
    return EnvironmentCache(folder / "environments")


def _place(python: Python, resolution: Resolution) -> str:
    return digest_bytes(json.dumps([python.path, python.version, resolution.digest]).encode())


def _require_no_image(spec: EnvironmentSpec) -> None:
    if spec.image is not None:
        raise UserError(
            f"The environment is the container image {spec.image.name or 'of a Dockerfile'!r}, which a process on this "
            "machine cannot run in. Use a compute target that runs containers, or describe the packages."
        )


def _image_notes(spec: EnvironmentSpec) -> tuple[str, ...]:
    if spec.image is None:
        return ()
    return (f"the image {spec.image.name or 'of its Dockerfile'} is not used here; its packages are on this machine",)
