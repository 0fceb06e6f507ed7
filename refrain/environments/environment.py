"""Environment: what a step's process runs in, as users write it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refrain.environments.conda_dependencies import CondaDependencies
from refrain.environments.databricks import DatabricksSection
from refrain.environments.not_here import NotHere
from refrain.environments.pythons import parse_wanted
from refrain.environments.requirements import read_file
from refrain.environments.specification import EnvironmentSpec, ImageSpec, PackageSpec
from refrain.errors import UserError

if TYPE_CHECKING:
    from refrain.environments.registered import HasRegistry

DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.1-cudnn8-ubuntu20.04"
_CONDA_LIST = "~/.conda/environments.txt"


@dataclass
class PythonSection:
    """The interpreter and the packages of a process.

    :param interpreter_path: a path, or a name on ``PATH``, of an interpreter that has everything; None means the one
        that runs Refrain, unless there are packages.
    :param user_managed_dependencies: True leaves *conda_dependencies* out: the interpreter has what is needed.
    :param conda_dependencies: what is installed into an environment of its own.
    :param pins_override: let the versions that are written here rule over what packages ask for; for old pins that do
        not go together by today's rules.
    :param conda_from_pypi: take conda's packages from PyPI where there is no conda; False refuses.
    """

    interpreter_path: str | None = None
    user_managed_dependencies: bool = False
    conda_dependencies: CondaDependencies = field(default_factory=CondaDependencies)
    pins_override: bool = False
    conda_from_pypi: bool = True

    @property
    def conda_dependencies_file(self) -> None:
        """None; what is set is read at once, as a conda environment file."""
        return

    @conda_dependencies_file.setter
    def conda_dependencies_file(self, path: str | os.PathLike[str] | None) -> None:
        self.conda_dependencies = CondaDependencies(path)


@dataclass
class SparkPackage:
    """A package that Spark finds in a Maven repository."""

    group: str | None = None
    artifact: str | None = None
    version: str | None = None


@dataclass
class SparkSection:
    """What the applications of Spark steps need beside Python.

    :param repositories: addresses of Maven repositories.
    :param packages: from there, for the class path of driver and executors.
    :param precache_packages: accepted for old code; Spark keeps what it has fetched.
    """

    repositories: list[str] = field(default_factory=list)
    packages: list[SparkPackage] = field(default_factory=list)
    precache_packages: bool = True

    def conf(self) -> dict[str, str]:
        """Return it by Spark's keys.

        :raises UserError: for a package without group, artifact or version.
        """
        for package in self.packages:
            if not isinstance(package, SparkPackage) or not all(vars(package).values()):
                raise UserError(f"{package!r} is no SparkPackage with group, artifact and version.")
        names = [f"{package.group}:{package.artifact}:{package.version}" for package in self.packages]
        given = {"spark.jars.packages": ",".join(names), "spark.jars.repositories": ",".join(self.repositories)}
        return {key: text for key, text in given.items() if text}


@dataclass
class DockerSection:
    """The container image of a process, for compute targets that run containers.

    :param enabled: accepted for old code; the compute target decides.
    :param base_image: an image's name.
    :param base_dockerfile: the text of a Dockerfile, or the path of one.
    """

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    arguments: list[str] = field(default_factory=list)
    shared_volumes: bool = True
    shm_size: str | None = None
    gpu_support: bool = False
    build_context = NotHere("Give the text or the path of a Dockerfile as base_dockerfile.")
    base_image_registry = NotHere(
        "Give the image with its registry, 'registry/name:tag', and let the compute target log in (setting conn_id)."
    )


class Environment:
    """What a step's process runs in: an interpreter with packages, variables, and an image where containers run.

    :param name: what it is registered as.
    """

    label = NotHere("A version is named by its number, or is the newest.")
    from_docker_build_context = NotHere("Use Environment.from_dockerfile.")
    add_private_pip_wheel = NotHere("Put the wheel into a folder and name it: set_pip_option('--find-links /wheels').")
    get_image_details = NotHere("See 'refrain env show NAME'.")
    build = NotHere("A step builds what it needs; ahead of it: refrain env build NAME.")
    build_local = NotHere("A step builds what it needs; ahead of it: refrain env build NAME.")

    def __init__(
        self,
        name: str = "user-managed",
        python: PythonSection | None = None,
        environment_variables: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"An Environment needs a name, not {name!r}.")
        self.name = name
        self.version: str | None = None
        self.python = python or PythonSection()
        self.docker = DockerSection()
        self.databricks = DatabricksSection()
        self.spark = SparkSection()
        self.environment_variables: dict[str, str] = dict(environment_variables or {})

    @staticmethod
    def from_conda_specification(name: str, file_path: str | os.PathLike[str]) -> Environment:
        """Return an environment with the packages of a conda environment file.

        :raises UserError: when it cannot be read.
        """
        return Environment(name, PythonSection(conda_dependencies=CondaDependencies(file_path)))

    @staticmethod
    def from_pip_requirements(
        name: str, file_path: str | os.PathLike[str], pip_version: str | None = None
    ) -> Environment:
        """Return an environment with the packages of a requirements file.

        :param pip_version: accepted for old code; uv installs.
        :raises UserError: when it cannot be read, or has options that have no meaning here.
        """
        del pip_version
        found = read_file(os.fspath(file_path))
        lines = [*found.options, *found.lines, *found.left_out]
        document = {"name": name, "dependencies": [{"pip": lines}]}
        return Environment(name, PythonSection(conda_dependencies=CondaDependencies(None, document)))

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: Any = None,
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """Return an environment that is an image, with packages put in if a file names any.

        :raises UserError: for a container registry, whose password belongs to the machine that runs containers.
        """
        if container_registry is not None:
            raise UserError(
                f"Environment {name!r}: container_registry would store a login. Leave it out, log in where containers "
                "run, and give the image with its registry: 'registry/name:tag'."
            )
        made = _with_packages(name, conda_specification, pip_requirements)
        made.docker.base_image = image
        return made

    @staticmethod
    def from_dockerfile(
        name: str,
        dockerfile: str | os.PathLike[str],
        conda_specification: str | os.PathLike[str] | None = None,
        pip_requirements: str | os.PathLike[str] | None = None,
    ) -> Environment:
        """Return an environment that a Dockerfile makes, with packages put in if a file names any.

        :param dockerfile: its text, or its path.
        """
        made = _with_packages(name, conda_specification, pip_requirements)
        made.docker.base_dockerfile = os.fspath(dockerfile)
        return made

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """Return an environment that runs in a conda environment which is there, by its name or its folder.

        :raises UserError: when there is none.
        """
        folder = _conda_folder(conda_environment_name)
        return Environment(name, PythonSection(os.path.join(folder, "bin", "python"), user_managed_dependencies=True))

    def register(self, workspace: HasRegistry) -> Environment:
        """Keep the environment in the workspace, and return it with its version; an equal one gets no new version.

        :raises UserError: when its name cannot be one, or a variable holds a secret.
        """
        from refrain.environments.registered import register

        return register(self, workspace)

    @staticmethod
    def get(
        workspace: HasRegistry, name: str, version: str | int | None = None, label: str | None = None
    ) -> Environment:
        """Return a registered environment, the newest version unless one is given.

        :raises UnknownNameError: when there is none.
        """
        from refrain.environments.registered import get

        return get(workspace, name, version, label)

    @staticmethod
    def list(workspace: HasRegistry) -> dict[str, Environment]:
        """Return the newest version of every registered environment, by name."""
        from refrain.environments.registered import get, names

        return {name: get(workspace, name) for name in names(workspace)}

    def clone(self, new_name: str) -> Environment:
        """Return a copy under another name, not registered yet."""
        copy = deepcopy(self)
        copy.name, copy.version = new_name, None
        return copy

    def save_to_directory(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the environment into a folder, for :meth:`load_from_directory`.

        :raises UserError: when there is something already, or it cannot be written.
        """
        from refrain.environments.registered import save

        save(self, path, overwrite)

    @staticmethod
    def load_from_directory(path: str | os.PathLike[str]) -> Environment:
        """Return an environment that :meth:`save_to_directory` wrote.

        :raises UserError: when there is none.
        """
        from refrain.environments.registered import load

        return load(path)

    def specification(self, variables: Mapping[str, str] | None = None) -> EnvironmentSpec:
        """Return the environment as an immutable value.

        :param variables: more of them, which rule over the environment's own.
        :raises UserError: for a variable that is no text, an interpreter that does not exist, or packages that cannot
            be asked for.
        """
        merged = {**self.environment_variables, **(variables or {})}
        _check_variables(merged)
        packages = None if self.python.user_managed_dependencies else self._packages()
        interpreter = self._interpreter()
        if packages is not None and interpreter is not None:
            raise UserError(
                f"Environment {self.name!r} has packages to install and the interpreter_path {interpreter!r}. Set "
                "python.user_managed_dependencies = True to use the interpreter as it is, or leave it out."
            )
        return EnvironmentSpec(interpreter, tuple(sorted(merged.items())), packages, self._image())

    def _packages(self) -> PackageSpec | None:
        python = self.python
        conda = python.conda_dependencies
        found = conda.requirements()
        if found.left_out:
            warnings.warn(
                f"Environment {self.name!r}: {', '.join(found.left_out)} is left out, because Refrain takes its place; "
                "'from refrain import Run' works without it.",
                stacklevel=2,
            )
        version = conda.get_python_version() or ""
        parse_wanted(version)
        if not (found.lines or conda.conda_matches() or version):
            return None  # nothing is asked for, so that the interpreter at hand has it
        return PackageSpec(
            python=version,
            requirements=found.lines,
            options=found.options,
            conda=conda.conda_matches(),
            channels=tuple(conda.conda_channels),
            pins_override=python.pins_override,
            conda_from_pypi=python.conda_from_pypi,
        )

    def _interpreter(self) -> str | None:
        wanted = self.python.interpreter_path
        if wanted is None:
            return None
        found = shutil.which(os.path.expanduser(wanted))
        if found is None:
            raise UserError(f"The interpreter_path {wanted!r} is no executable file, and no program on PATH.")
        return os.path.abspath(found)

    def _image(self) -> ImageSpec | None:
        image, dockerfile = self.docker.base_image, self.docker.base_dockerfile
        if dockerfile:
            return ImageSpec(dockerfile=_dockerfile(self.name, dockerfile))
        return ImageSpec(str(image)) if image else None

    def __repr__(self) -> str:
        return f"Environment({self.name!r})"


def _with_packages(
    name: str, conda: str | os.PathLike[str] | None, requirements: str | os.PathLike[str] | None
) -> Environment:
    if conda is not None and requirements is not None:
        raise UserError(f"Environment {name!r}: give a conda_specification or pip_requirements, not both.")
    if conda is not None:
        return Environment.from_conda_specification(name, conda)
    if requirements is not None:
        return Environment.from_pip_requirements(name, requirements)
    return Environment(name, PythonSection(user_managed_dependencies=True))


def _dockerfile(name: str, given: str) -> str:
    if "\n" in given or given.lstrip()[:5].upper() == "FROM ":
        return given
    try:
        with open(given, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise UserError(
            f"Environment {name!r}: its Dockerfile {given!r} cannot be read: {error.strerror}. Give text or path."
        ) from error


def _check_variables(variables: Mapping[Any, Any]) -> None:
    for name, value in variables.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise UserError(f"{name!r} cannot name an environment variable.")
        if not isinstance(value, str) or "\0" in value:
            raise UserError(f"The environment variable {name!r} must be a text without NUL, not {value!r}.")


def _conda_folder(wanted: str) -> str:
    """Find a conda environment in the list that conda, mamba and micromamba keep."""
    try:
        with open(os.path.expanduser(_CONDA_LIST), encoding="utf-8") as file:
            folders = [line.strip() for line in file if line.strip()]
    except OSError:
        folders = []
    for folder in (wanted, *folders):
        is_named = folder == wanted or os.path.basename(folder) == wanted
        if is_named and os.path.isfile(os.path.join(folder, "bin", "python")):
            return os.path.abspath(folder)
    there = ", ".join(sorted(map(os.path.basename, folders))) or "none"
    raise UserError(
        f"There is no conda environment {wanted!r} with a Python on this machine. Known in {_CONDA_LIST}: {there}. "
        "Give its folder."
    )
