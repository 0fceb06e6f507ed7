"""Refrain on Airflow: operators, whole pipelines as DAGs, and an embedded Airflow. Names are loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refrain_operators.command_operator import CommandOperator as CommandOperator
    from refrain_operators.dag import pipeline_dag as pipeline_dag
    from refrain_operators.data_transfer_operator import DataTransferOperator as DataTransferOperator
    from refrain_operators.databricks_operator import DatabricksOperator as DatabricksOperator
    from refrain_operators.embedded import EmbeddedAirflow as EmbeddedAirflow
    from refrain_operators.gathered import Gathered as Gathered
    from refrain_operators.parallel_run_operator import ParallelRunOperator as ParallelRunOperator
    from refrain_operators.python_script_operator import PythonScriptOperator as PythonScriptOperator
    from refrain_operators.rest import AirflowClient as AirflowClient
    from refrain_operators.reuse_sensor import ReuseSensor as ReuseSensor
    from refrain_operators.spark_operator import SparkOperator as SparkOperator
    from refrain_operators.step_operator import StepOperator as StepOperator
    from refrain_operators.submitted import submitted_dags as submitted_dags

_MODULES = {
    "AirflowClient": "refrain_operators.rest",
    "CommandOperator": "refrain_operators.command_operator",
    "DataTransferOperator": "refrain_operators.data_transfer_operator",
    "DatabricksOperator": "refrain_operators.databricks_operator",
    "EmbeddedAirflow": "refrain_operators.embedded",
    "Gathered": "refrain_operators.gathered",
    "ParallelRunOperator": "refrain_operators.parallel_run_operator",
    "PythonScriptOperator": "refrain_operators.python_script_operator",
    "ReuseSensor": "refrain_operators.reuse_sensor",
    "SparkOperator": "refrain_operators.spark_operator",
    "StepOperator": "refrain_operators.step_operator",
    "pipeline_dag": "refrain_operators.dag",
    "submitted_dags": "refrain_operators.submitted",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605  # the names of _MODULES, which are strings


def __getattr__(name: str) -> Any:
    """Load a public name on its first use, so that a file which only names pipelines does not load Airflow."""
    if name not in _MODULES:
        raise AttributeError(f"module 'refrain_operators' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
