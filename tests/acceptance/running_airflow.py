"""An Airflow that runs, as acceptance tests use it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from refrain_operators.embedded import EmbeddedAirflow
from refrain_operators.rest import AirflowClient, Json

# A machine that is busy with other things may take this long over what takes seconds.
PATIENCE = 180.0


@dataclass(frozen=True)
class RunningAirflow:
    """What a test needs of the Airflow that runs.

    :param workspace: the folder that steps know as REFRAIN_WORKSPACE.
    """

    client: AirflowClient
    home: Path
    dags_folder: Path
    workspace: Path
    url: str

    @property
    def password(self) -> str:
        """The password of the user `admin`."""
        return EmbeddedAirflow(self.home).home.password()

    def add_dag(self, dag_id: str, source: str) -> None:
        """Write a DAG file named like its DAG, wait until Airflow has read it and let it run."""
        (self.dags_folder / f"{dag_id}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        self.client.wait_for_dag(dag_id, timeout=PATIENCE, filename=f"{dag_id}.py")
        self.client.unpause(dag_id)

    def run(self, dag_id: str, conf: dict[str, object] | None = None, timeout: float = PATIENCE) -> Json:
        """Trigger a DAG and wait until its run has ended; returns the run, its state under ``state``."""
        run = self.client.trigger(dag_id, conf=conf)
        return self.client.wait_for_run(dag_id, run["dag_run_id"], timeout=timeout)


def running(
    folder: Path, sql_alchemy_conn: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[RunningAirflow]:
    """Start an Airflow with a workspace beside its home, unless *environment* names another, and stop it."""
    workspace, dags_folder = folder / "workspace", folder / "dags"
    dags_folder.mkdir()
    embedded = EmbeddedAirflow(
        folder / "home",
        dags_folder=dags_folder,
        port=0,
        sql_alchemy_conn=sql_alchemy_conn,
        environment={"REFRAIN_WORKSPACE": str(workspace), **(environment or {})},
    )
    with embedded:
        yield RunningAirflow(embedded.client(), embedded.home.path, dags_folder, workspace, embedded.url)
