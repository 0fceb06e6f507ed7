"""Images that come from a registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.docker_engine import DockerEngine
from fakes.docker_registry import DockerRegistry
from fakes.project import Project, Ran
from refrain import PipelineData
from refrain.compute.docker.compute import DockerCompute
from refrain.compute.docker.settings import DockerSettings
from refrain.environments.specification import EnvironmentSpec

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry.start(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def pushed(engine: DockerEngine, registry: DockerRegistry) -> Iterator[str]:
    """The name of an image that is in the registry, and not on the engine."""
    name = f"{registry.address}/team/python:1"
    engine.client.tag(engine.image, name)
    said = list(engine.client.push(name, stream=True, decode=True, auth_config=registry.login))
    assert not [piece for piece in said if "error" in piece], said
    engine.client.remove_image(name)
    yield name
    engine.remove_image(name)


def _run(project: Project, engine: DockerEngine, name: str) -> Ran:
    box = engine.target(project.state, image=name, pull="missing", conn_id="registry")
    return project.run(project.step("write", arguments=[PipelineData("out")], compute_target=box))


def test_an_image_is_fetched_once_with_the_connection_s_login_and_counts_before_it_is_here_as_afterwards(
    project: Project, engine: DockerEngine, registry: DockerRegistry, pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", registry.connection())
    first, second = _run(project, engine, pushed), _run(project, engine, pushed)

    assert first.status == "Completed", first.outcome.errors
    assert first.heard.notes == [f"Environment: fetching the image {pushed}"]
    assert second.reused() == ["write"]
    digests = engine.client.inspect_image(pushed)["RepoDigests"]
    made = DockerCompute(DockerSettings.of(engine.settings(image=pushed)))
    counted = made.identify(EnvironmentSpec()).version.removeprefix("python of image ")
    assert f"{pushed.rpartition(':')[0]}@{counted}" in digests
    pinned = DockerCompute(DockerSettings.of(engine.settings(image=f"{pushed.rpartition(':')[0]}@{counted}")))
    assert pinned.identify(EnvironmentSpec()) == made.identify(EnvironmentSpec())


def test_without_a_login_the_message_says_what_the_registry_says_and_no_password(
    project: Project, engine: DockerEngine, registry: DockerRegistry, pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", registry.connection("a wrong one"))
    failed = _run(project, engine, pushed).error("write")
    assert f"The registry '{registry.address}' does not let the connection 'registry' in: " in failed
    assert "401 Unauthorized" in failed
    assert "a wrong one" not in failed

    box = engine.target(project.state, image=pushed, pull="missing")
    failed = project.run(project.step("write", arguments=[PipelineData("out")], compute_target=box)).error("write")
    assert f"There is no image {pushed!r} on the Docker engine, and its registry says: " in failed
    assert "the target's setting conn_id" in failed


def test_an_image_that_the_registry_does_not_have_is_named(
    project: Project, engine: DockerEngine, registry: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", registry.connection())
    name = f"{registry.address}/team/none:1"
    assert f"There is no image {name!r} on the Docker engine" in _run(project, engine, name).error("write")


def test_a_registry_that_cannot_be_reached_is_told_apart_from_one_that_does_not_have_the_image(
    project: Project, engine: DockerEngine
) -> None:
    box = engine.target(project.state, image="127.0.0.1:1/team/python:1", pull="missing")
    failed = project.run(project.step("write", arguments=[PipelineData("out")], compute_target=box)).error("write")
    assert "The image '127.0.0.1:1/team/python:1' is not on the engine, and its registry cannot be asked: " in failed
    assert "connection refused" in failed
