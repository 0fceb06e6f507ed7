"""EnvironmentSpec: the environment of a step as its definition records it."""

from __future__ import annotations

from refrain.values import dataclass

SPARK_VARIABLES = (
    "JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "SPARK_LOCAL_IP",
    "HADOOP_CONF_DIR", "YARN_CONF_DIR", "KUBECONFIG",
)  # fmt: skip
"""What tells a Spark step of its machine where Spark, Java and the cluster are; the versions of these count."""


@dataclass(frozen=True)
class PackageSpec:
    """Packages for an environment of their own.

    :param python: which versions of Python will do: ``3.9``, or conditions such as ``>=3.8,<3.11``; empty means the one
        that runs Refrain.
    :param requirements: lines as pip reads them, without options.
    :param options: pip's options that say where packages come from, such as ``--find-links=/wheels``.
    :param conda: conda's packages, as match specifications.
    :param channels: where conda looks for them.
    :param pins_override: let *requirements* rule over what the packages themselves ask for.
    :param conda_from_pypi: take conda's packages from PyPI where there is no conda.
    """

    python: str = ""
    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pins_override: bool = False
    conda_from_pypi: bool = True


@dataclass(frozen=True)
class ImageSpec:
    """A container image: its name, or the text of the Dockerfile that makes it."""

    name: str = ""
    dockerfile: str = ""


@dataclass(frozen=True)
class EnvironmentSpec:
    """What a step's process is to run in, and the environment variables that the step declares.

    :param interpreter: path of an existing Python interpreter; None means the one that runs Refrain, unless there are
        *packages*.
    :param packages: what is to be installed; None means what the interpreter has.
    :param image: for compute targets that run containers.
    :param uses_spark: the process starts Spark, so that Spark and Java are a part of the environment.
    """

    interpreter: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    packages: PackageSpec | None = None
    image: ImageSpec | None = None
    uses_spark: bool = False

    @property
    def is_there(self) -> bool:
        """Say whether it is an interpreter as it is found, so that nothing has to be made."""
        return self.packages is None and self.image is None
