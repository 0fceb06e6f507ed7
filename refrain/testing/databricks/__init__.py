"""A Databricks workspace on this machine: the endpoints that steps use, and tasks that really run.

::

    with databricks_server(folder) as server:
        os.environ["AIRFLOW_CONN_DATABRICKS_DEFAULT"] = server.connection()

It fails like the real one when it is told to, see :class:`refrain.testing.databricks.faults.Faults`.
"""

from __future__ import annotations

from refrain.testing.databricks.server import DatabricksServer, databricks_server

__all__ = ["DatabricksServer", "databricks_server"]
