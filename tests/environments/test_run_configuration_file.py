"""Run configurations as files: ours come back whole, and those of Azure ML's tools are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from refrain import (
    CondaDependencies,
    Environment,
    MpiConfiguration,
    PipelineData,
    RunConfiguration,
    SparkPackage,
)
from refrain.errors import UserError

AZURE = """
script: train.py
arguments: [--alpha, 0.5]
target: cpu-cluster
framework: PyTorch
communicator: Nccl
maxRunDurationSeconds: 3600
nodeCount: 2
environment:
  name: project_environment
  version:
  environmentVariables: {EXAMPLE_ENV_VAR: EXAMPLE_VALUE}
  python:
    userManagedDependencies: false
    interpreterPath: python
    condaDependenciesFile: .azureml/conda_dependencies.yml
    baseCondaEnvironment:
  docker:
    baseImage: mcr.microsoft.com/azureml/base
    baseImageRegistry: {address: registry.example, username: me}
    sharedVolumes: true
    shmSize: 2g
  spark:
    repositories: [https://maven.example]
    packages: [{group: com.example, artifact: reader, version: '1.0'}]
    precachePackages: true
history: {outputCollection: true, snapshotProject: true}
docker: {useDocker: true, sharedVolumes: true, arguments: [], shmSize: 2g}
spark: {configuration: {spark.app.name: Azure ML Experiment}}
mpi: {processCountPerNode: 1}
pytorch: {communicationBackend: nccl, processCount: 4}
dataReferences: {}
data: {}
yarn: {queue: fast}
"""


def _full() -> RunConfiguration:
    config = RunConfiguration("train.py", ["--alpha", 0.5])
    environment = Environment("train")
    environment.python.conda_dependencies = CondaDependencies.create(
        pip_packages=["numpy==1.0", "pandas"], conda_packages=["scipy=1"], python_version="3.9"
    )
    environment.python.pins_override = True
    environment.docker.base_image = "python:3"
    environment.spark.packages = [SparkPackage("com.example", "reader", "1.0")]
    environment.environment_variables = {"A": "1"}
    config.environment, config.environment_variables = environment, {"B": "2"}
    config.target, config.docker.use_docker, config.docker.shm_size = "cpu-cluster", True, "1g"
    config.spark.configuration = {"spark.executor.memory": "2g"}
    config.distribute(MpiConfiguration(4, 2))
    return config


def test_a_configuration_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    config = _full()
    config.save(tmp_path, "trial")
    loaded = RunConfiguration.load(tmp_path, "trial")

    assert loaded.specification() == config.specification()
    for name in ("script", "arguments", "command", "framework", "communicator", "target", "node_count"):
        assert getattr(loaded, name) == getattr(config, name)
    for name in ("docker", "mpi", "pytorch", "tensorflow", "spark"):
        assert getattr(loaded, name) == getattr(config, name)
    assert loaded.environment.spark == config.environment.spark
    assert loaded.environment.name == "train"


def test_it_is_in_the_folder_that_azure_ml_has_for_it(tmp_path: Path) -> None:
    RunConfiguration().save(tmp_path, "trial")
    assert (tmp_path / ".azureml" / "trial.runconfig").is_file()
    old = tmp_path / "old"
    (old / "aml_config").mkdir(parents=True)
    RunConfiguration().save(old, "trial")
    assert (old / "aml_config" / "trial.runconfig").is_file()
    RunConfiguration.delete(old, "trial")
    assert list((old / "aml_config").iterdir()) == []


def test_a_file_of_azure_mls_is_read_and_what_has_no_meaning_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ".azureml"
    folder.mkdir()
    (folder / "trial.runconfig").write_text(AZURE)
    (folder / "conda_dependencies.yml").write_text("dependencies: [python=3.9, pip: [numpy]]")

    with pytest.warns(UserWarning, match=r"environment\.docker\.baseImageRegistry, yarn has no meaning here"):
        config = RunConfiguration.load(tmp_path, "trial")

    assert (config.script, config.arguments, config.target) == ("train.py", ["--alpha", 0.5], "cpu-cluster")
    assert config.environment.python.conda_dependencies.pip_packages == ["numpy"]
    assert config.environment.environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    assert config.environment.docker.shm_size == "2g"
    assert config.environment.spark.conf()["spark.jars.packages"] == "com.example:reader:1.0"
    assert config.spark.configuration == {"spark.app.name": "Azure ML Experiment"}
    assert config.distributed_job().process_count == 4


def test_a_secret_is_not_written(tmp_path: Path) -> None:
    config = RunConfiguration()
    config.environment_variables["API_TOKEN"] = "hidden"
    with pytest.raises(UserError, match="the variable 'API_TOKEN' looks like a secret"):
        config.save(tmp_path, "trial")
    assert list(tmp_path.iterdir()) == []


def test_data_among_the_arguments_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"RunConfiguration\.arguments holds .*which no file can; give it to the step"):
        RunConfiguration("train.py", [PipelineData("data")]).save(tmp_path / "trial.runconfig")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "is no run configuration; write one with RunConfiguration.save"),
        ("a: [", "cannot be read: "),
        ("docker: yes", "section docker is True, which cannot be"),
        ("arguments: train", "arguments is 'train', which cannot be"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "trial.runconfig").write_text(text)
    with pytest.raises(UserError, match=message):
        RunConfiguration.load(tmp_path / "trial.runconfig")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run configuration '.*trial\.runconfig' cannot be read: .*No such file"):
        RunConfiguration.load(tmp_path, "trial")
    with pytest.raises(UserError, match=r"cannot be deleted: No such file"):
        RunConfiguration.delete(tmp_path, "trial")
    with pytest.raises(UserError, match="Name the run configuration"):
        RunConfiguration().save()
