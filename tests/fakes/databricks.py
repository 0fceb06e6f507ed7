"""A project whose steps run on a Databricks server of this machine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project
from refrain import DatabricksStep, PipelineData
from refrain.compute.target import Target, TargetTable
from refrain.testing.databricks import DatabricksServer, databricks_server

WRITES = """
    import sys
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    open(given["-out"].removeprefix("file:"), "w").write(given.get("--text", "data"))
    print("written")
"""
"""Writes its argument --text, or "data", to its output."""


class DatabricksProject(Project):
    """A project with the compute target ``databricks``."""

    def __init__(self, folder: Path, server: DatabricksServer) -> None:
        super().__init__(folder)
        self.server = server
        self.target()

    def target(self, **settings: Any) -> None:
        """Register the target anew, with other settings."""
        known = {"shares_files": True, "existing_cluster_id": self.server.cluster_id, "poll_seconds": 0.1}
        TargetTable(self.state.registry).put(Target("databricks", "databricks", {**known, **settings}))

    def script(self, code: str = WRITES, name: str = "work", **options: Any) -> DatabricksStep:
        """Return a step with a script of its own, which writes ``out``."""
        options.setdefault("outputs", [PipelineData("out")])
        return DatabricksStep(
            name,
            python_script_name=f"{name}.py",
            source_directory=str(self.source(name, code)),
            compute_target="databricks",
            **options,
        )

    def notebook(self, code: str, name: str = "notebook", **options: Any) -> DatabricksStep:
        """Put a notebook there, and return a step that runs it and writes ``out``."""
        self.server.files.put_notebook(f"/Shared/{name}", textwrap.dedent(code))
        options.setdefault("outputs", [PipelineData("out")])
        return DatabricksStep(name, notebook_path=f"/Shared/{name}", compute_target="databricks", **options)

    def submissions(self) -> int:
        """How many runs Databricks has made."""
        return len(self.server.runs.all())

    def jobs(self) -> list[Path]:
        """The notes of jobs whose end has not been dealt with."""
        return sorted((self.state.root / "jobs").glob("??/*.json"))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabricksServer]:
    with databricks_server(tmp_path / "server") as server:
        monkeypatch.setenv("AIRFLOW_CONN_DATABRICKS_DEFAULT", server.connection())
        monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
        yield server


@pytest.fixture
def databricks(server: DatabricksServer, tmp_path: Path) -> DatabricksProject:
    return DatabricksProject(tmp_path, server)
