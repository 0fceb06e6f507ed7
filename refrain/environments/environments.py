"""Environments: what a step is to run in, found out without building anything, and made ready when it is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from refrain.environments import conda
from refrain.environments.cache import EnvironmentCache
from refrain.environments.interpreter import InterpreterIdentity, identify
from refrain.environments.pythons import Python, find_python
from refrain.environments.resolution import Resolution, Resolutions, uv_options
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.environments.uv import OnLine, RunTool, Uv
from refrain.errors import EnvironmentFailedError, UserError
from refrain.storage.digest import digest_bytes
from refrain.storage.registry import Registry

_NOT_BUILT = "The environment cannot be built"
_PROGRAM_BYTES = 65536


class Environments:
    """The environments of a workspace on this machine."""

    def __init__(self, registry: Registry, folder: Path, run: RunTool) -> None:
        """Remember what was resolved in *registry*, build below *folder* and start programs with *run*."""
        self._uv = Uv(folder / "uv", run)
        self._conda = conda.Conda(folder / "conda", run)
        self.cache = cache_of(folder)
        self.resolutions = Resolutions(registry, self._uv, self._conda)

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

        place = _place(python, resolution)

        def build(folder: Path) -> dict[str, object]:
            on_line(f"Environment: building it with {python.version} and {len(resolution.packages)} packages")
            if resolution.conda:
                self._build_with_conda(folder, self.cache.folder / place, resolution, packages.options, on_line)
            else:
                self._build(folder, python, resolution, packages.options)
            return {"python": python.version, "platform": python.platform, "packages": list(resolution.packages)}

        return self.cache.take(place, build)

    def renew(self, spec: PackageSpec) -> Resolution:
        """Resolve anew; see :meth:`refrain.environments.resolution.Resolutions.renew`."""
        return self.resolutions.renew(spec, self._python(spec, is_renewed=True))

    def _resolved(self, spec: PackageSpec) -> tuple[Python, Resolution]:
        python = self._python(spec)
        resolution = self.resolutions.get(spec, python)
        return (replace(python, version=resolution.python) if resolution.conda else python), resolution

    def _python(self, spec: PackageSpec, *, is_renewed: bool = False) -> Python:
        """Return the interpreter, which conda brings where the packages come from conda.

        A specification that was resolved is for all machines what it was resolved to: one without a conda client must
        not take from PyPI what others have from conda, nor the other way round.
        """
        if not conda.packages_of(spec):
            return find_python(spec.python)
        ours = conda.python_of(spec)
        if not spec.conda_from_pypi or self.resolutions.known(spec, ours):
            return ours
        if not conda.is_installed():
            return find_python(spec.python)
        if not is_renewed:
            with suppress(UserError):  # conda brings a Python that this machine does not have
                found = find_python(spec.python)
                if self.resolutions.known(spec, found):
                    return found
        return ours

    def _build(self, folder: Path, python: Python, resolution: Resolution, options: Iterable[str]) -> None:
        # Relocatable: programs of packages must not name the folder in which they are being built.
        venv = ["venv", "--relocatable", f"--python={python.path}", str(folder)]
        self._uv.call(_NOT_BUILT, venv, folder.parent)
        self._install(folder, resolution, options)

    def _build_with_conda(
        self, folder: Path, final: Path, resolution: Resolution, options: Iterable[str], on_line: OnLine
    ) -> None:
        self._conda.create(resolution.records, folder, final)
        if resolution.lock:
            self._install(folder, resolution, options)
            _move_programs(folder / "bin", str(folder), str(final))
            try:
                self._uv.call(
                    "Packages of conda and of pip do not go together", ["pip", "check", _python_in(folder)], folder
                )
            except (EnvironmentFailedError, UserError) as error:  # as they would in an environment of conda's own
                on_line(f"Environment: {error}")

    def _install(self, folder: Path, resolution: Resolution, options: Iterable[str]) -> None:
        if resolution.lock:
            lock = folder / "requirements.txt"
            lock.write_text(resolution.lock)
            how = [
                _python_in(folder),
                "--require-hashes",
                "--no-deps",
                "--link-mode=hardlink",
                "--break-system-packages",
            ]
            self._uv.call(_NOT_BUILT, ["pip", "install", *how, f"--requirements={lock}", *uv_options(options)], folder)


def cache_of(folder: Path) -> EnvironmentCache:
    """Return the environments that were built below this machine's cache folder."""
    return EnvironmentCache(folder / "environments")


def _python_in(folder: Path) -> str:
    return f"--python={folder / 'bin' / 'python'}"


def _move_programs(folder: Path, former: str, final: str) -> None:
    """Let the programs of packages name the folder that their interpreter will be in."""
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink() and path.stat().st_size < _PROGRAM_BYTES:
            content = path.read_bytes()
            if content.startswith(b"#!") and former.encode() in content:
                mode = path.stat().st_mode
                path.unlink()  # it may share its bytes with a cache
                path.write_bytes(content.replace(former.encode(), final.encode()))
                path.chmod(mode)


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
