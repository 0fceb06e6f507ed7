"""Databricks: the cluster and the libraries that a step asks Databricks for, as users write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from refrain.errors import UserError, known

SPARK_VERSION = "10.4.x-scala2.12"
NODE_TYPE = "Standard_D3_v2"
SPARK_ENVIRONMENT = {"PYSPARK_PYTHON": "/databricks/python3/bin/python3"}

_OF_NEW_CLUSTERS = (
    "spark_version",
    "node_type",
    "instance_pool_id",
    "num_workers",
    "min_workers",
    "max_workers",
    "spark_env_variables",
    "spark_conf",
    "init_scripts",
    "cluster_log_dbfs_path",
)


@dataclass
class MavenLibrary:
    """A library of a Maven repository, such as ``org.jsoup:jsoup:1.7.2``."""

    coordinates: str | None = None
    repo: str | None = None
    exclusions: list[str] | None = None
    kind: ClassVar[str] = "maven"


@dataclass
class PyPiLibrary:
    """A Python package, with its version where that matters: ``simplejson==3.8.0``."""

    package: str | None = None
    repo: str | None = None
    kind: ClassVar[str] = "pypi"


@dataclass
class RCranLibrary:
    """An R package."""

    package: str | None = None
    repo: str | None = None
    kind: ClassVar[str] = "cran"


@dataclass
class EggLibrary:
    """An egg at a URI that the cluster can read."""

    library: str | None = None
    kind: ClassVar[str] = "egg"


@dataclass
class JarLibrary:
    """A JAR at a URI that the cluster can read."""

    library: str | None = None
    kind: ClassVar[str] = "jar"


Library = MavenLibrary | PyPiLibrary | RCranLibrary | EggLibrary | JarLibrary


def library_document(library: Library) -> dict[str, Any]:
    """Return a library as the Jobs API takes it.

    :raises UserError: when it names nothing.
    """
    named = vars(library)
    first = next(iter(named.values()))
    if not isinstance(first, str) or not first:
        raise UserError(f"{type(library).__name__} needs {next(iter(named))}, not {first!r}.")
    if isinstance(library, (EggLibrary, JarLibrary)):
        return {library.kind: first}
    return {library.kind: {name: value for name, value in named.items() if value}}


@dataclass
class DatabricksCluster:
    """The cluster of a Databricks step: one that is there, or one that is made for the step and goes with it.

    :param num_workers: of a new cluster; else ``min_workers`` and ``max_workers``. With none of the three and no
        ``existing_cluster_id`` the compute target's own cluster is taken.
    :param init_scripts: paths on DBFS, or scripts as the API takes them.
    :param permit_cluster_restart: False refuses to run the step while its existing cluster is not running.
    """

    existing_cluster_id: str | None = None
    spark_version: str | None = None
    node_type: str | None = None
    instance_pool_id: str | None = None
    num_workers: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    spark_env_variables: dict[str, str] | None = None
    spark_conf: dict[str, str] | None = None
    init_scripts: list[Any] | None = None
    cluster_log_dbfs_path: str | None = None
    permit_cluster_restart: bool | None = None

    def validate(self) -> None:
        """Refuse settings that exclude each other, or are of the wrong type.

        :raises UserError: naming them.
        """
        given = [name for name in _OF_NEW_CLUSTERS if getattr(self, name) is not None]
        if self.existing_cluster_id is not None and given:
            raise UserError(f"an existing_cluster_id excludes {known(given)}, which describe a new cluster.")
        if self.existing_cluster_id is None and self.permit_cluster_restart is not None:
            raise UserError("permit_cluster_restart is for an existing cluster: give existing_cluster_id as well.")
        if self.node_type and self.instance_pool_id:
            raise UserError("a new cluster has a node_type or an instance_pool_id, not both.")
        self._validate_size(given)
        for name in ("spark_env_variables", "spark_conf"):
            _require_texts(name, getattr(self, name) or {})

    @property
    def is_new(self) -> bool:
        """Say whether a cluster is described that is to be made."""
        return self.existing_cluster_id is None and (self.num_workers is not None or self.min_workers is not None)

    def _validate_size(self, given: Sequence[str]) -> None:
        for name in ("num_workers", "min_workers", "max_workers"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise UserError(f"{name} must be a number of workers, not {value!r}.")
        has_range = self.min_workers is not None and self.max_workers is not None
        has_part = (self.min_workers is None) != (self.max_workers is None)
        if has_part or (has_range and self.num_workers is not None):
            raise UserError("a new cluster has num_workers, or min_workers and max_workers, and not both.")
        if given and not has_range and self.num_workers is None:
            raise UserError(f"{known(given)} describe a new cluster: give num_workers, or min_workers and max_workers.")


@dataclass
class DatabricksSection:
    """The Databricks part of an environment, for steps that get a run configuration instead of lists."""

    maven_libraries: list[MavenLibrary] = field(default_factory=list)
    pypi_libraries: list[PyPiLibrary] = field(default_factory=list)
    egg_libraries: list[EggLibrary] = field(default_factory=list)
    jar_libraries: list[JarLibrary] = field(default_factory=list)
    rcran_libraries: list[RCranLibrary] = field(default_factory=list)
    cluster: DatabricksCluster | None = None

    @property
    def libraries(self) -> list[Library]:
        """All libraries, in the order of the fields."""
        return [
            *self.maven_libraries,
            *self.pypi_libraries,
            *self.egg_libraries,
            *self.jar_libraries,
            *self.rcran_libraries,
        ]


def _require_texts(name: str, values: Mapping[str, Any]) -> None:
    if not isinstance(values, Mapping):
        raise UserError(f"{name} must map names to texts, not {values!r}.")
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise UserError(f"{name} must map names to texts, not {key!r} to {value!r}.")
