"""A Kubernetes API for each test, whose pods are processes of this machine."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.kubernetes_api import KubernetesApi, kubernetes_api
from fakes.project import Project
from refrain.compute.job import Job, JobPath
from refrain.compute.kubernetes.compute import KubernetesCompute
from refrain.compute.kubernetes.settings import KubernetesSettings

MakeJob = Callable[..., Job]
MakeCompute = Callable[..., KubernetesCompute]


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesApi]:
    with kubernetes_api(tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def compute(api: KubernetesApi, tmp_path: Path) -> MakeCompute:
    def make(grace_seconds: float = 1.0, **settings: object) -> KubernetesCompute:
        read = KubernetesSettings.of(api.settings(tmp_path, **settings))
        return KubernetesCompute(read, grace_seconds, poll_seconds=0.02)

    return make


@pytest.fixture
def job(tmp_path: Path) -> MakeJob:
    def make(code: str = "", **more: object) -> Job:
        values = {
            "run_id": f"run.{uuid.uuid4().hex}.1",
            "argv": (sys.executable, "-c", code),
            "working_directory": str(tmp_path),
            "environment": {"PYTHONUNBUFFERED": "1"},
            "log_path": os.devnull,
            "scratch": str(tmp_path),
            "paths": lambda: (JobPath(str(tmp_path), str(tmp_path), is_writable=True),),
        }
        return Job(**{**values, **more})  # type: ignore[arg-type]

    return make
