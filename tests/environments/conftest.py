"""A folder of wheels, and the environments of a workspace that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.wheels import make_wheel
from refrain.compute.local import LocalCompute
from refrain.environments.environments import Environments
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.pipelines.workspace import Workspace


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    make_wheel(folder, "model", "1.0", ["numbers-x>=1"], "def main(): print('said')", {"model-say": "model:main"})
    make_wheel(folder, "numbers-x", "1.0")
    make_wheel(folder, "numbers-x", "2.0")
    return folder


@pytest.fixture
def wanted(wheels: Path):
    """Makes a specification of packages in that folder."""

    def make(*requirements: str, **settings: object) -> EnvironmentSpec:
        options = ("--no-index", f"--find-links={wheels}")
        return EnvironmentSpec(packages=PackageSpec(requirements=requirements, options=options, **settings))

    return make


@pytest.fixture
def environments(tmp_path: Path):
    """Makes the environments of one workspace, as one process sees them."""

    def make(cache: str = "cache", workspace: str = "workspace") -> Environments:
        registry = Workspace(tmp_path / workspace).state.registry
        return LocalCompute(environments=lambda run: Environments(registry, tmp_path / cache, run)).environments

    return make
