"""CondaDependencies: packages of conda and pip, as users write them and as conda's own files hold them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refrain.environments.not_here import NotHere
from refrain.environments.requirements import Requirements, name_of, read_requirements, require_no_login
from refrain.environments.yaml_library import yaml_library
from refrain.errors import UserError

_PYTHON = "python"
_DEFAULT_NAME = "project_environment"


class CondaDependencies:
    """The packages of an environment: conda's, pip's, and the version of Python.

    :param conda_dependencies_file_path: a conda environment file to begin with.
    :param _underlying_structure: what such a file holds, already read.
    :raises UserError: when it cannot be read.
    """

    merge_requirements = NotHere("Give all of them to create(pip_packages=...), and they are resolved together.")
    sdk_origin_url = NotHere("There is no SDK to be installed.")
    get_default_number_of_packages = NotHere("There are no packages by default.")
    add_cntk_package = NotHere("CNTK is no longer released; use add_pip_package with what it was replaced by.")

    def __init__(
        self,
        conda_dependencies_file_path: str | os.PathLike[str] | None = None,
        _underlying_structure: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = _DEFAULT_NAME
        self._channels: list[str] = []
        self._conda: list[str] = []
        self._pip: list[str] = []
        folder = os.curdir
        if conda_dependencies_file_path is not None:
            folder = os.path.dirname(conda_dependencies_file_path)
            _underlying_structure = _read(conda_dependencies_file_path)
        if _underlying_structure is not None:
            self._take(_underlying_structure, folder)

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,  # noqa: ARG004  # there is no SDK to pin
    ) -> CondaDependencies:
        """Return dependencies made of lists.

        :param python_version: None means the version that runs Refrain, while Azure ML has one of its own.
        :param pin_sdk_version: accepted for old code; packages of Azure ML are not installed.
        :raises UserError: for an address with a password, or packages that are no list of texts.
        """
        made = CondaDependencies()
        for package in _texts("conda_packages", conda_packages):
            made.add_conda_package(package)
        for package in _texts("pip_packages", pip_packages):
            made.add_pip_package(package)
        if python_version is not None:
            made.set_python_version(python_version)
        if pip_indexurl is not None:
            made.set_pip_index_url(pip_indexurl)
        return made

    @property
    def conda_channels(self) -> list[str]:
        """Where conda looks for packages."""
        return list(self._channels)

    @property
    def conda_packages(self) -> list[str]:
        """Conda's packages, Python among them."""
        return list(self._conda)

    @property
    def pip_packages(self) -> list[str]:
        """The requirements, without options."""
        return [line for line in self._pip if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        """The options of pip."""
        return [line for line in self._pip if line.startswith("-")]

    def get_python_version(self) -> str | None:
        """Return the version of Python that is asked for; None when any will do."""
        found = next(self._pythons(), None)
        version = "" if found is None else found[len(_PYTHON) :].strip()
        if version.startswith("="):
            version = version.lstrip("= ").partition("=")[0]  # without conda's build
        return version or None

    def set_python_version(self, version: str) -> None:
        """Ask for a version of Python: ``3.9``, or conditions such as ``>=3.8,<3.11``."""
        text = str(version).strip()
        self._conda = [match for match in self._conda if not _is_python(match)]
        self._conda.insert(0, f"{_PYTHON}{text}" if text[:1] in "<>=!~" else f"{_PYTHON}={text}")

    def add_channel(self, channel: str) -> None:
        """Add a place where conda looks for packages."""
        require_no_login(channel)
        self._channels = [*_without(self._channels, channel), channel]

    def remove_channel(self, channel: str) -> None:
        """Take a channel away; nothing happens when it is not there."""
        self._channels = _without(self._channels, channel)

    def add_conda_package(self, conda_package: str) -> None:
        """Add a package of conda's, in place of one that is written the same."""
        if _is_python(conda_package):
            self._conda = [match for match in self._conda if not _is_python(match)]
        self._conda = [*_without(self._conda, conda_package), conda_package]

    def remove_conda_package(self, conda_package: str) -> None:
        """Take a package away, named as it was added; nothing happens when it is not there."""
        self._conda = _without(self._conda, conda_package)

    def add_pip_package(self, pip_package: str) -> None:
        """Add a requirement, in place of one for the same package.

        :raises UserError: for a line that names no package, or holds a password.
        """
        require_no_login(pip_package)
        name = name_of(pip_package)
        self._pip = [line for line in self._pip if line.startswith("-") or name_of(line) != name]
        self._pip.append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        """Take the requirement for a package away; nothing happens when it is not there."""
        name = name_of(pip_package)
        self._pip = [line for line in self._pip if line.startswith("-") or name_of(line) != name]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Put other requirements in the place of all; options stay."""
        lines = _texts("pip_requirements", pip_requirements)
        self._pip = self.pip_options
        for line in lines:
            (self.set_pip_option if line.startswith("-") else self.add_pip_package)(line)

    def set_pip_option(self, pip_option: str) -> None:
        """Add an option of pip's, in place of the same one with another value.

        :raises UserError: for an option that has no meaning here, or holds a password.
        """
        for option in read_requirements([pip_option]).options:
            self.remove_pip_option(option)
            self._pip.append(option)

    def remove_pip_option(self, pip_option: str) -> None:
        """Take an option away, by its name or as it was set; nothing happens when it is not there."""
        word = pip_option.replace("=", " ").split()[0]
        self._pip = [line for line in self._pip if line.partition("=")[0] != word]

    def set_pip_index_url(self, index_url: str) -> None:
        """Take packages from this index.

        :raises UserError: for an address with a password.
        """
        self.set_pip_option(f"--index-url {index_url}")

    def add_tensorflow_pip_package(self, core_type: str = "CPU", version: str | None = None) -> None:  # noqa: ARG002  # one package is for both
        """Add TensorFlow."""
        self.add_pip_package("tensorflow" + (f"=={version}" if version else ""))

    def add_tensorflow_conda_package(self, core_type: str = "CPU", version: str | None = None) -> None:
        """Add conda's TensorFlow."""
        name = "tensorflow-gpu" if core_type.upper() == "GPU" else "tensorflow"
        self.add_conda_package(name + (f"={version}" if version else ""))

    def requirements(self) -> Requirements:
        """Return what pip is asked for, checked; what Refrain takes the place of is apart.

        :raises UserError: as :func:`refrain.environments.requirements.read_requirements`.
        """
        return read_requirements(self._pip)

    def conda_matches(self) -> tuple[str, ...]:
        """Return conda's packages without Python and pip."""
        return tuple(match for match in self._conda if not _is_python(match) and match.strip().lower() != "pip")

    def as_dict(self) -> dict[str, Any]:
        """Return what a conda environment file would hold."""
        pip = [*self.pip_options, *self.pip_packages]
        others = [match for match in self._conda if not (pip and match.strip().lower() == "pip")]
        packages: list[Any] = [*others, *(["pip", {"pip": pip}] if pip else [])]
        channels = {"channels": self.conda_channels} if self._channels else {}
        return {"name": self._name, **channels, "dependencies": packages}

    def serialize_to_string(self) -> str:
        """Return the text of a conda environment file."""
        return str(yaml_library().safe_dump(self.as_dict(), sort_keys=False))

    def save_to_file(
        self, base_directory: str | os.PathLike[str], conda_file_path: str | os.PathLike[str] | None = None
    ) -> str:
        """Write a conda environment file and return its path, relative to *base_directory*.

        :raises UserError: when it cannot be written.
        """
        relative = os.fspath(conda_file_path or "conda_dependencies.yml")
        self.save(os.path.join(base_directory, relative))
        return relative

    def save(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write a conda environment file and return its path.

        :raises UserError: when it cannot be written.
        """
        target = os.fspath(path or "conda_dependencies.yml")
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).write_text(self.serialize_to_string(), encoding="utf-8")
        except OSError as error:
            raise UserError(f"The file {target!r} cannot be written: {error.strerror}.") from error
        return target

    def _take(self, document: Mapping[str, Any], folder: str) -> None:
        self._name = str(document.get("name") or _DEFAULT_NAME)
        for channel in _texts("channels", document.get("channels")):
            self.add_channel(channel)
        for item in document.get("dependencies") or ():
            if isinstance(item, str):
                self.add_conda_package(item)
            elif isinstance(item, Mapping) and set(item) == {"pip"}:
                found = read_requirements(_texts("pip", item["pip"]), folder)
                self._pip += [*found.options, *found.lines, *found.left_out]
            else:
                raise UserError(f"The dependency {item!r} is neither a package nor a list of pip packages.")

    def _pythons(self) -> Iterator[str]:
        yield from (_without_channel(match) for match in self._conda if _is_python(match))

    def __repr__(self) -> str:
        return f"CondaDependencies({self.as_dict()!r})"


def _without_channel(match: str) -> str:
    return match.rpartition("::")[2].strip()


def _is_python(match: str) -> bool:
    text = _without_channel(match)
    return text.startswith(_PYTHON) and text[len(_PYTHON) :].strip()[:1] in ("", "<", ">", "=", "!", "~")


def _without(items: list[str], item: str) -> list[str]:
    return [one for one in items if one != item]


def _texts(what: str, items: Any) -> list[str]:
    if items is None:
        return []
    if isinstance(items, str) or not all(isinstance(item, str) for item in items):
        raise UserError(f"{what} must be a list of texts, not {items!r}.")
    return list(items)


def _read(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    yaml = yaml_library()
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"The conda file {os.fspath(path)!r} cannot be read: {error}.") from error
    if not isinstance(document, Mapping):
        raise UserError(f"The conda file {os.fspath(path)!r} has no dependencies.")
    return document
