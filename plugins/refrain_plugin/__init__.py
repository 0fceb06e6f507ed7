"""The Airflow plugin: what Refrain adds to Airflow's own processes, registered by entry point alone."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from refrain_plugin import job_listener, run_listener


class RefrainPlugin(AirflowPlugin):
    """Keeps the pipeline runs' records in step with Airflow's DAG runs, and ends jobs that nobody waits for."""

    name = "refrain"
    listeners = (run_listener, job_listener)
