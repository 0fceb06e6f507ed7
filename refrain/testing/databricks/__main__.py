"""``python -m refrain.testing.databricks FOLDER``: a Databricks workspace on this machine, until it is interrupted."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from refrain.testing.databricks.server import databricks_server


def main() -> None:
    """Serve, and say how to get there."""
    parser = argparse.ArgumentParser(prog="python -m refrain.testing.databricks", description=__doc__)
    parser.add_argument("folder", type=Path, help="keeps its files; notebooks go below workspace/")
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    options = parser.parse_args()
    with databricks_server(options.folder, options.port) as server:
        sys.stdout.write(f"Databricks for tests at {server.url}, with the cluster {server.cluster_id}\n")
        sys.stdout.write(f"export AIRFLOW_CONN_DATABRICKS_DEFAULT='{server.connection()}'\n")
        sys.stdout.write(
            f"refrain compute set NAME databricks shares_files=true existing_cluster_id={server.cluster_id}\n"
        )
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
