"""``refrain compute test`` of a Docker engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.docker_engine import DockerEngine
from fakes.processes import unprivileged
from refrain.cli import main
from refrain.compute.docker.kind import DockerKind
from refrain.compute.target import Target
from refrain.errors import ComputeError, StepFailedError, UserError
from refrain.storage.state import WorkspaceState

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
Unprivileged = Callable[[], contextlib.AbstractContextManager[Path]]
__all__ = ["unprivileged"]
Try = Callable[..., list[str]]


@pytest.fixture
def tried(engine: DockerEngine, tmp_path: Path) -> Try:
    def examine(**settings: object) -> list[str]:
        target = Target("box", "docker", engine.settings(**settings), "gpu")
        return list(DockerKind().examine(target, WorkspaceState(tmp_path / "workspace")))

    return examine


def test_each_thing_that_works_is_told(tried: Try, engine: DockerEngine, tmp_path: Path) -> None:
    found = tried()

    assert found[0].startswith(f"the Docker engine at {engine.address} answers: version ")
    assert found[1].startswith(f"the image {engine.image} is there: python of image sha256:")
    assert found[2].startswith("a container was started, and its output arrived: python is Python 3.")
    assert found[3] == f"it read a file of {tmp_path / 'workspace'} and wrote one, which belongs to this user"
    assert found[4:] == [
        "the container is gone",
        "on Airflow, a worker of the queue 'gpu' takes its tasks; that was not tried from here",
    ]
    assert engine.containers() == []
    assert list((tmp_path / "workspace").iterdir()) == []


def test_an_image_without_python_is_told(tried: Try) -> None:
    message = r"ended with exit code 127: its container has no program 'python3\.7'\. Take an image that has it"
    with pytest.raises(StepFailedError, match=message):
        tried(python="python3.7")


def test_an_image_that_is_not_there_is_told(tried: Try) -> None:
    with pytest.raises(UserError, match="There is no image 'nobody/has-this' on the Docker engine"):
        tried(image="nobody/has-this")


def test_no_image_at_all_is_told(tried: Try) -> None:
    with pytest.raises(UserError, match="Neither the step's environment nor its compute target names an image"):
        tried(image="")


def test_a_user_who_may_not_write_there_is_told(tried: Try) -> None:
    with pytest.raises(StepFailedError, match=r"Permission denied.* The setting user names another user than this one"):
        tried(user="1234:0")


def test_what_belongs_to_another_user_is_told(tried: Try, engine: DockerEngine, unprivileged: Unprivileged) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    tried()  # so that this process's guard is there, whose program another user may not be able to run
    engine.let_everybody_in()
    with unprivileged() as folder:
        target = Target("box", "docker", engine.settings(user="0:0"))
        examined = DockerKind().examine(target, WorkspaceState(folder / "workspace"))
        with pytest.raises(ComputeError, match=r"belongs to the user 0, and this is \d+\. Leave out the setting user"):
            list(examined)


def test_the_command_sets_and_tries_a_target(
    engine: DockerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"{name}={value}" for name, value in engine.settings().items()]
    assert main(["init"]) == main(["compute", "set", "box", "docker", *words, "memory=256m"]) == 0
    capsys.readouterr()

    code = main(["compute", "test", "box"])

    assert (code, capsys.readouterr().out.splitlines()[-2:]) == (0, ["the container is gone", "'box' works."])
