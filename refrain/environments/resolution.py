"""Resolution: which version of which package an environment has, found out once and kept in the workspace.

Without it, the same requirements would be other packages next week, or on another machine.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from refrain.environments.conda import INSTALL_HINT, Conda, modules_of, packages_of, version_in
from refrain.environments.pythons import Python
from refrain.environments.requirements import from_conda, is_python_package, name_of, normal, pypi_name
from refrain.environments.specification import PackageSpec
from refrain.environments.uv import Uv
from refrain.errors import CorruptObjectError, EnvironmentFailedError, UserError
from refrain.storage.digest import digest_bytes
from refrain.storage.registry import Registry

SCHEMA = 1
KIND = "resolutions"
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)")
_HASH = re.compile(r"--hash=(\S+)")
_FILES_DIGITS = 12
_UV_OPTIONS = {"--pre": "--prerelease=allow", "--trusted-host": "--allow-insecure-host"}
_NEVER = "python_version < '0'"
_NAME_END = re.compile(r"==| @ ")
_PACKED = ("lock", "conda")


@dataclass(frozen=True)
class Resolution:
    """The packages of an environment.

    :param python: implementation and minor version of the interpreter that they are for: ``CPython 3.11``; all of
        the version where conda brings it.
    :param lock: every package with version and hashes, as uv installs them.
    :param notes: what whoever runs a step in it should know.
    :param conda: the records of conda's packages, Python among them, as JSON; empty where there are none.
    """

    python: str
    platform: str
    lock: str
    notes: tuple[str, ...] = ()
    conda: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of conda's packages."""
        return list(json.loads(self.conda)) if self.conda else []

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages, sorted, as ``name==version#files``; *files* stands for the hashes of what may be installed.

        A wheel that is built anew under its old version is another package. One from an address is known by that.
        """
        pip = [_package(entry) for entry in _entries(self.lock)]
        replaced = {normal(_NAME_END.split(line, maxsplit=1)[0]) for line in pip}
        conda = (line for record in self.records for line in _conda_package(record, replaced))
        return tuple(sorted([*pip, *conda]))

    @property
    def digest(self) -> str:
        """The digest of what is installed."""
        conda = [self.conda] if self.conda else []
        return digest_bytes(_canonical([SCHEMA, self.python, self.platform, self.lock, *conda]))


class Resolutions:
    """The resolutions that a workspace keeps."""

    def __init__(self, registry: Registry, uv: Uv, conda: Conda) -> None:
        """Keep them in *registry*, and find out with *uv* and *conda* what is not known yet."""
        self._registry = registry
        self._uv = uv
        self._conda = conda

    def get(self, spec: PackageSpec, python: Python) -> Resolution:
        """Return what a specification was resolved to; what is new is resolved now, and kept.

        :raises UserError: when its packages do not go together, or cannot be found.
        :raises EnvironmentFailedError: when an index cannot be reached, or uv is not installed.
        """
        return self.known(spec, python) or self.renew(spec, python)

    def known(self, spec: PackageSpec, python: Python) -> Resolution | None:
        """Return what a specification was resolved to; None when it was not."""
        record = self._registry.get(KIND, _key(spec, python))
        return None if record is None else _parse(record)

    def renew(self, spec: PackageSpec, python: Python) -> Resolution:
        """Resolve anew, so that later runs get the newest packages that the specification allows; raises as get."""
        name = _key(spec, python)
        newest = max(self._registry.versions(KIND, name), default=0)
        resolution = self._resolve(spec, python)
        record = {
            "schema": SCHEMA,
            "created": time.time(),
            "wanted": asdict(spec),
            "python": resolution.python,
            "platform": resolution.platform,
            "notes": resolution.notes,
            "packages": resolution.packages,  # for people
            **{name: _packed(text) for name in _PACKED if (text := getattr(resolution, name)) or name == "lock"},
        }
        if not self._registry.add_after(KIND, name, record, newest):
            return self.known(spec, python) or resolution  # another process was quicker, and all shall have the same
        return resolution

    def _resolve(self, spec: PackageSpec, python: Python) -> Resolution:
        if not python.path:
            return self._resolve_with_conda(spec, python)
        wanted, notes = wanted_of(spec)
        lock = self._lock(spec, wanted, [f"--python={python.path}"])
        return Resolution(python.minor, python.platform, lock, notes)

    def _resolve_with_conda(self, spec: PackageSpec, python: Python) -> Resolution:
        """Let conda have its own; what pip's packages need and conda has, is conda's, whatever its version."""
        records = self._conda.solve(spec)
        version = version_in(records)
        asked = {normal(name_of(line)) for line in spec.requirements}
        had = [name for name in modules_of(records) if name not in asked]
        lock = self._lock(spec, spec.requirements, [f"--python-version={version.rpartition(' ')[2]}"], had)
        return Resolution(version, python.platform, lock, (), _canonical(records).decode())

    def _lock(self, spec: PackageSpec, wanted: Sequence[str], python: Sequence[str], had: Sequence[str] = ()) -> str:
        """Return what uv makes of requirements.

        :param had: packages that are there already, and are left out.
        """
        if not wanted:
            return ""
        with tempfile.TemporaryDirectory(prefix="refrain-resolve-") as name:
            folder = Path(name)
            (folder / "requirements.in").write_text("".join(f"{line}\n" for line in wanted))
            (folder / "had.in").write_text("".join(f"{name} ; {_NEVER}\n" for name in had))
            arguments = ["pip", "compile", "requirements.in", "--output-file=locked.txt", *python]
            arguments += ["--no-header", "--no-annotate", "--generate-hashes", *uv_options(spec.options)]
            arguments += [
                *(["--override=had.in"] if had else []),
                *(["--override=requirements.in"] * spec.pins_override),
            ]
            self._uv.call(f"These requirements cannot be met: {', '.join(wanted)}", arguments, folder)
            return (folder / "locked.txt").read_text()


def wanted_of(spec: PackageSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the requirements of a specification, conda's packages among them, and what is to be said about those.

    :raises UserError: when conda's packages are not to come from PyPI, or cannot.
    """
    conda = packages_of(spec)
    if not conda:
        return spec.requirements, ()
    named = ", ".join(conda)
    if not spec.conda_from_pypi:
        raise UserError(
            f"The environment has conda packages ({named}), and python.conda_from_pypi is False, but an image gets its "
            "packages by pip. Name them as pip packages, install them in a Dockerfile, or set python.conda_from_pypi = "
            "True."
        )
    others = ", ".join(match for match in conda if not is_python_package(match))
    if others:
        raise UserError(
            f"These conda packages are no Python packages, so that PyPI does not have them: {others}. Leave them out "
            "and install what is needed on the machine, or let conda bring them, where steps are processes of the "
            f"machine: {INSTALL_HINT}."
        )
    asked = {name_of(line) for line in spec.requirements}
    taken = tuple(line for line in map(from_conda, conda) if name_of(line) not in asked)
    note = f"these conda packages come from PyPI, where a package of the same name can be another one: {named}"
    return (*taken, *spec.requirements), (note,)


def uv_options(options: Iterable[str]) -> list[str]:
    """Return pip's options as uv calls them."""
    words = (option.partition("=") for option in options)
    return [_UV_OPTIONS.get(name, name) + equals + value for name, equals, value in words]


def _key(spec: PackageSpec, python: Python) -> str:
    return digest_bytes(_canonical([SCHEMA, asdict(spec), python.minor, python.platform]))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _parse(record: Mapping[str, Any]) -> Resolution:
    try:
        if record["schema"] > SCHEMA:
            raise EnvironmentFailedError("The environment was resolved by a newer Refrain than this one; upgrade.")
        lock, conda = (zlib.decompress(b64decode(record[name])).decode() if name in record else "" for name in _PACKED)
        notes = tuple(map(str, record["notes"]))
        return Resolution(str(record["python"]), str(record["platform"]), lock, notes, conda)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise CorruptObjectError(
            f"What an environment was resolved to is damaged ({error!r}); renew it with 'refrain env build --renew'."
        ) from error


def _packed(text: str) -> str:
    """Pack a text, because whoever cleans a workspace would take each of a thousand hashes for a digest of ours."""
    return b64encode(zlib.compress(text.encode())).decode()


def _conda_package(record: Mapping[str, Any], replaced: Container[str]) -> Iterator[str]:
    """Yield the line of a conda package, unless pip installs another one over it."""
    if normal(pypi_name(record["name"])) not in replaced:
        files = digest_bytes(str(record.get("sha256") or record.get("md5") or record["url"]).encode())[:_FILES_DIGITS]
        yield f"{record['name']}=={record['version']}#{files}"


def _entries(lock: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", lock).splitlines()
    return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def _package(entry: str) -> str:
    files = digest_bytes(" ".join(sorted(_HASH.findall(entry))).encode())[:_FILES_DIGITS]
    found = _PINNED.match(entry)
    if found:
        return f"{found['name'].lower()}=={found['version']}#{files}"
    name, _, address = entry.partition(" --hash")[0].partition("@")
    return f"{name.strip()} @ {address.strip()}#{files}"
