"""Pipelines that were submitted with Experiment.submit, each as an Airflow DAG."""

from __future__ import annotations

from refrain_operators import submitted_dags

globals().update(submitted_dags())
