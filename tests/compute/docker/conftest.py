"""One Docker engine for all tests here, and a project whose steps run on it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.docker_engine import DockerEngine
from fakes.project import Project
from refrain.compute.docker.compute import DockerCompute
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import Job, JobPath

MakeJob = Callable[..., Job]
MakeCompute = Callable[..., DockerCompute]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as engine:
        yield engine


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def compute(engine: DockerEngine) -> MakeCompute:
    def make(grace_seconds: float = 1.0, **settings: object) -> DockerCompute:
        made = DockerCompute(DockerSettings.of(engine.settings(**settings)), grace_seconds)
        made.prepare(Job("", (), "", {}, "").runs_in, lambda _: None)
        return made

    return make


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    def make(code: str, secrets: tuple[str, ...] = (), argv: tuple[str, ...] = ()) -> Job:
        return Job(
            run_id=f"run.{uuid.uuid4().hex}.1",
            argv=argv or ("python", "-c", code),
            working_directory=str(tmp_path),
            environment={"PYTHONUNBUFFERED": "1"},
            log_path=os.devnull,
            secrets=secrets,
            scratch=str(tmp_path),
            paths=lambda: (JobPath(str(tmp_path), str(tmp_path), is_writable=True),),
        )

    return make
