"""RunConfiguration: how a step's process is set up, as users write it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from refrain.environments.conda_dependencies import CondaDependencies
from refrain.environments.distribution import (
    DistributedJob,
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from refrain.environments.environment import Environment
from refrain.environments.not_here import NotHere
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import UserError, known

_PLAIN = ("", "none", "python", "pyspark", "r")
_MPI = ("mpi", "intelmpi", "openmpi")
_TORCH = ("nccl", "gloo")
_SERVERS = "parameterserver"


@dataclass
class DockerConfiguration:
    """Whether a container is wanted, and how it is started, on compute targets that run containers."""

    use_docker: bool = False
    shared_volumes: bool = True
    arguments: list[str] = field(default_factory=list)
    shm_size: str | None = None


@dataclass
class SparkConfiguration:
    """Settings of a Spark step's application by Spark's keys, over which the step's own rule."""

    configuration: dict[str, str] = field(default_factory=dict)


class RunConfiguration:
    """Settings of a step's process; mutable, as in Azure ML, and read once when the pipeline is built.

    :param script: for a :class:`refrain.steps.script_run.ScriptRunConfig`; a step has its own.
    :param arguments: likewise.
    :param framework: with *communicator*, an older way to ask for several processes: ``PyTorch`` or ``TensorFlow``.
    :param communicator: ``Mpi``, ``Nccl``, ``Gloo`` or ``ParameterServer``.
    :param conda_dependencies: packages of the environment.
    """

    data_references = NotHere("Give data to the step, as its inputs and arguments.")
    data = NotHere("Give data to the step, as its inputs and arguments.")
    output_data = NotHere("Give the step its outputs.")
    source_directory_data_store = NotHere("A step's source directory is kept in the workspace.")
    hdi = NotHere("A Spark step runs where its compute target says.")

    def __init__(  # Azure ML's signature
        self,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        framework: str | None = None,
        communicator: str | None = None,
        conda_dependencies: CondaDependencies | None = None,
        command: str | Sequence[Any] | None = None,
    ) -> None:
        self.script = script
        self.arguments = list(arguments or ())
        self.command = command
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.target: Any = None
        self.node_count = 1
        self.environment = Environment()
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies
        self.environment_variables: dict[str, str] = {}
        self.docker = DockerConfiguration()
        self.mpi = MpiConfiguration()
        self.pytorch = PyTorchConfiguration()
        self.tensorflow = TensorflowConfiguration()
        self.spark = SparkConfiguration()

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        separate_environment_yaml: bool = False,  # noqa: ARG002  # Azure ML's signature
    ) -> None:
        """Write the configuration: to the file *path*, or as *name* into ``.azureml`` of the project in *path*.

        :param separate_environment_yaml: accepted for old code; the environment stands in the same file.
        :raises UserError: when a variable looks like a secret, arguments hold data, or it cannot be written.
        """
        from refrain.environments import run_configuration_file

        run_configuration_file.save(self, run_configuration_file.path_of(path, name))

    @staticmethod
    def load(path: str | os.PathLike[str], name: str | None = None) -> RunConfiguration:
        """Return what :meth:`save` wrote, or Azure ML's tools; what has no meaning here is named in a warning.

        :raises UserError: when it cannot be read.
        """
        from refrain.environments import run_configuration_file

        made = RunConfiguration()
        run_configuration_file.load(made, run_configuration_file.path_of(path, name))
        return made

    @staticmethod
    def delete(path: str | os.PathLike[str], name: str) -> None:
        """Delete what :meth:`save` wrote.

        :raises UserError: when there is none.
        """
        from refrain.environments.run_configuration_file import path_of

        target = path_of(path, name)
        try:
            target.unlink()
        except OSError as error:
            raise UserError(f"The run configuration {str(target)!r} cannot be deleted: {error.strerror}.") from error

    def specification(self) -> EnvironmentSpec:
        """Return the settings as an immutable value; raises as :meth:`Environment.specification`.

        :raises UserError: when the environment is none.
        """
        if not isinstance(self.environment, Environment):
            raise UserError(f"RunConfiguration.environment must be an Environment, not {self.environment!r}.")
        return self.environment.specification(self.environment_variables)

    def distribute(self, job: DistributedJob) -> None:
        """Ask for several processes, in the way of today's ``distributed_job_config``.

        :raises UserError: for something else than one of the three kinds.
        """
        if isinstance(job, MpiConfiguration):
            self.communicator, self.mpi, self.node_count = "Mpi", job, job.node_count
        elif isinstance(job, PyTorchConfiguration):
            self.framework, self.communicator = "PyTorch", job.communication_backend
            self.pytorch, self.node_count = job, job.node_count
        elif isinstance(job, TensorflowConfiguration):
            self.framework, self.communicator, self.tensorflow = "TensorFlow", "ParameterServer", job
        else:
            raise UserError(
                "distributed_job_config must be an MpiConfiguration, a PyTorchConfiguration or a "
                f"TensorflowConfiguration, not {job!r}."
            )

    def distributed_job(self) -> DistributedJob | None:
        """Return which processes are asked for; None means one.

        :raises UserError: for a communicator that is not known.
        """
        wanted, framework = str(self.communicator).lower(), str(self.framework).lower()
        if wanted in _MPI:
            return self.mpi
        if wanted == _SERVERS:
            return self.tensorflow
        if wanted in _TORCH and framework == "pytorch":
            return self.pytorch
        if wanted not in _PLAIN:
            raise UserError(
                f"The communicator {self.communicator!r} with the framework {self.framework!r} is not known. Known: "
                f"{known(('Mpi', 'Nccl', 'Gloo', 'ParameterServer'))}, Nccl and Gloo with the framework PyTorch."
            )
        return None
