"""Refrain: machine-learning pipelines on Apache Airflow that do not repeat what has not changed.

Every public name is loaded on first use, so that ``import refrain`` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing itself would cost each process of a step more than all of this
if TYPE_CHECKING:
    from typing import Any

    from refrain.data.consumption import DatasetConsumptionConfig as DatasetConsumptionConfig
    from refrain.data.data_path import DataPath as DataPath
    from refrain.data.data_path import DataPathComputeBinding as DataPathComputeBinding
    from refrain.data.dataset import Dataset as Dataset
    from refrain.data.dataset import FileDataset as FileDataset
    from refrain.data.datastore import Datastore as Datastore
    from refrain.data.models.model import Model as Model
    from refrain.data.models.reference import ModelInput as ModelInput
    from refrain.data.output_config import HDFSOutputDatasetConfig as HDFSOutputDatasetConfig
    from refrain.data.output_config import LinkFileOutputDatasetConfig as LinkFileOutputDatasetConfig
    from refrain.data.output_config import LinkTabularOutputDatasetConfig as LinkTabularOutputDatasetConfig
    from refrain.data.output_config import OutputFileDatasetConfig as OutputFileDatasetConfig
    from refrain.data.output_config import OutputTabularDatasetConfig as OutputTabularDatasetConfig
    from refrain.data.parameters import PipelineParameter as PipelineParameter
    from refrain.data.pipeline_data import InputPortBinding as InputPortBinding
    from refrain.data.pipeline_data import PipelineData as PipelineData
    from refrain.data.pipeline_output import PipelineOutputFileDataset as PipelineOutputFileDataset
    from refrain.data.pipeline_output import PipelineOutputTabularDataset as PipelineOutputTabularDataset
    from refrain.data.port_data import PortDataReference as PortDataReference
    from refrain.data.reference import DataReference as DataReference
    from refrain.data.sql.reference import SqlDataReference as SqlDataReference
    from refrain.data.sql.reference import StoredProcedureParameter as StoredProcedureParameter
    from refrain.data.sql.reference import StoredProcedureParameterType as StoredProcedureParameterType
    from refrain.data.tabular.dataset import TabularDataset as TabularDataset
    from refrain.data.tabular.promotion import PromoteHeadersBehavior as PromoteHeadersBehavior
    from refrain.data.tabular.types import DataType as DataType
    from refrain.environments.conda_dependencies import CondaDependencies as CondaDependencies
    from refrain.environments.databricks import DatabricksCluster as DatabricksCluster
    from refrain.environments.databricks import EggLibrary as EggLibrary
    from refrain.environments.databricks import JarLibrary as JarLibrary
    from refrain.environments.databricks import MavenLibrary as MavenLibrary
    from refrain.environments.databricks import PyPiLibrary as PyPiLibrary
    from refrain.environments.databricks import RCranLibrary as RCranLibrary
    from refrain.environments.distribution import MpiConfiguration as MpiConfiguration
    from refrain.environments.distribution import PyTorchConfiguration as PyTorchConfiguration
    from refrain.environments.distribution import TensorflowConfiguration as TensorflowConfiguration
    from refrain.environments.environment import DockerSection as DockerSection
    from refrain.environments.environment import Environment as Environment
    from refrain.environments.environment import PythonSection as PythonSection
    from refrain.environments.environment import SparkPackage as SparkPackage
    from refrain.environments.environment import SparkSection as SparkSection
    from refrain.environments.run_configuration import DockerConfiguration as DockerConfiguration
    from refrain.environments.run_configuration import RunConfiguration as RunConfiguration
    from refrain.environments.run_configuration import SparkConfiguration as SparkConfiguration
    from refrain.errors import ComputeTargetException as ComputeTargetException
    from refrain.errors import ModelNotFoundException as ModelNotFoundException
    from refrain.pipelines.compute_target import AmlCompute as AmlCompute
    from refrain.pipelines.compute_target import ComputeTarget as ComputeTarget
    from refrain.pipelines.compute_target import DatabricksCompute as DatabricksCompute
    from refrain.pipelines.compute_target import SynapseCompute as SynapseCompute
    from refrain.pipelines.experiment import Experiment as Experiment
    from refrain.pipelines.pipeline import Pipeline as Pipeline
    from refrain.pipelines.run import PipelineRun as PipelineRun
    from refrain.pipelines.run import StepRun as StepRun
    from refrain.pipelines.workspace import Workspace as Workspace
    from refrain.runtime.run import Run as Run
    from refrain.steps.command_step import CommandStep as CommandStep
    from refrain.steps.data_transfer import DataTransferStep as DataTransferStep
    from refrain.steps.databricks import DatabricksStep as DatabricksStep
    from refrain.steps.parallel_config import ParallelRunConfig as ParallelRunConfig
    from refrain.steps.parallel_run import ParallelRunStep as ParallelRunStep
    from refrain.steps.python_script import PythonScriptStep as PythonScriptStep
    from refrain.steps.script_run import ScriptRunConfig as ScriptRunConfig
    from refrain.steps.sequence import StepSequence as StepSequence
    from refrain.steps.spark import SparkResources as SparkResources
    from refrain.steps.spark import SparkStep as SparkStep
    from refrain.steps.spark import SynapseSparkStep as SynapseSparkStep

__version__ = "0.1.0"

_MODULES = {
    "AmlCompute": "refrain.pipelines.compute_target",
    "CommandStep": "refrain.steps.command_step",
    "ComputeTarget": "refrain.pipelines.compute_target",
    "ComputeTargetException": "refrain.errors",
    "CondaDependencies": "refrain.environments.conda_dependencies",
    "DataPath": "refrain.data.data_path",
    "DataPathComputeBinding": "refrain.data.data_path",
    "DataReference": "refrain.data.reference",
    "DataTransferStep": "refrain.steps.data_transfer",
    "DataType": "refrain.data.tabular.types",
    "DatabricksCluster": "refrain.environments.databricks",
    "DatabricksCompute": "refrain.pipelines.compute_target",
    "DatabricksStep": "refrain.steps.databricks",
    "Dataset": "refrain.data.dataset",
    "DatasetConsumptionConfig": "refrain.data.consumption",
    "Datastore": "refrain.data.datastore",
    "DockerConfiguration": "refrain.environments.run_configuration",
    "DockerSection": "refrain.environments.environment",
    "EggLibrary": "refrain.environments.databricks",
    "Environment": "refrain.environments.environment",
    "Experiment": "refrain.pipelines.experiment",
    "FileDataset": "refrain.data.dataset",
    "HDFSOutputDatasetConfig": "refrain.data.output_config",
    "InputPortBinding": "refrain.data.pipeline_data",
    "JarLibrary": "refrain.environments.databricks",
    "LinkFileOutputDatasetConfig": "refrain.data.output_config",
    "LinkTabularOutputDatasetConfig": "refrain.data.output_config",
    "MavenLibrary": "refrain.environments.databricks",
    "Model": "refrain.data.models.model",
    "ModelInput": "refrain.data.models.reference",
    "ModelNotFoundException": "refrain.errors",
    "MpiConfiguration": "refrain.environments.distribution",
    "OutputFileDatasetConfig": "refrain.data.output_config",
    "OutputTabularDatasetConfig": "refrain.data.output_config",
    "ParallelRunConfig": "refrain.steps.parallel_config",
    "ParallelRunStep": "refrain.steps.parallel_run",
    "Pipeline": "refrain.pipelines.pipeline",
    "PipelineData": "refrain.data.pipeline_data",
    "PipelineOutputFileDataset": "refrain.data.pipeline_output",
    "PipelineOutputTabularDataset": "refrain.data.pipeline_output",
    "PipelineParameter": "refrain.data.parameters",
    "PipelineRun": "refrain.pipelines.run",
    "PortDataReference": "refrain.data.port_data",
    "PromoteHeadersBehavior": "refrain.data.tabular.promotion",
    "PyPiLibrary": "refrain.environments.databricks",
    "PyTorchConfiguration": "refrain.environments.distribution",
    "PythonScriptStep": "refrain.steps.python_script",
    "PythonSection": "refrain.environments.environment",
    "RCranLibrary": "refrain.environments.databricks",
    "Run": "refrain.runtime.run",
    "RunConfiguration": "refrain.environments.run_configuration",
    "ScriptRunConfig": "refrain.steps.script_run",
    "SparkConfiguration": "refrain.environments.run_configuration",
    "SparkPackage": "refrain.environments.environment",
    "SparkResources": "refrain.steps.spark",
    "SparkSection": "refrain.environments.environment",
    "SparkStep": "refrain.steps.spark",
    "SqlDataReference": "refrain.data.sql.reference",
    "StepRun": "refrain.pipelines.run",
    "StepSequence": "refrain.steps.sequence",
    "StoredProcedureParameter": "refrain.data.sql.reference",
    "StoredProcedureParameterType": "refrain.data.sql.reference",
    "SynapseCompute": "refrain.pipelines.compute_target",
    "SynapseSparkStep": "refrain.steps.spark",
    "TabularDataset": "refrain.data.tabular.dataset",
    "TensorflowConfiguration": "refrain.environments.distribution",
    "Workspace": "refrain.pipelines.workspace",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605  # the names of _MODULES, which are strings


def __getattr__(name: str) -> Any:
    """Load a public name on its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'refrain' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what can be had from here."""
    return sorted({*globals(), *_MODULES})
