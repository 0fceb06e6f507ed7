from __future__ import annotations

import pytest

from refrain.compute.docker.settings import DockerSettings, Engine, Pull
from refrain.compute.kinds import check
from refrain.compute.target import Target
from refrain.errors import UserError


def test_settings_are_read() -> None:
    read = DockerSettings.of(
        {
            "image": "python:3.11",
            "engine": "tcp://box:2376",
            "certificates": "/etc/docker",
            "conn_id": "registry",
            "memory": 1024,
            "cpus": 1.5,
            "gpus": 2,
            "mounts": ["/data", "/a:/b", "/c:/d:ro"],
            "pull": "always",
        }
    )
    assert read == DockerSettings(
        image="python:3.11",
        engine=Engine("tcp://box:2376", "/etc/docker", "registry"),
        memory="1024",
        cpus=1.5,
        gpus="2",
        mounts=(("/data", "/data", True), ("/a", "/b", True), ("/c", "/d", False)),
        pull=Pull.ALWAYS,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"imgae": "x"}, "there is no setting 'imgae'. .* Did you mean 'image'?"),
        ({"memory": "much"}, "the setting 'memory' must be a number of bytes, such as 512m or 8g, not 'much'."),
        ({"shm_size": "1.5g"}, "the setting 'shm_size' must be a number of bytes"),
        ({"cpus": -1}, "the setting 'cpus' must be a number of processors above 0, such as 1.5, not -1."),
        ({"pull": "often"}, "the setting 'pull' must be one of always, missing, never, not 'often'."),
        ({"mounts": ["data:/data"]}, "the setting 'mounts' must be a list of absolute paths, .* not 'data:/data'."),
        ({"mounts": ["/a:/b:rx"]}, ".* not '/a:/b:rx'"),
        ({"init": 1}, "the setting 'init' must be of type bool, not 1."),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"Compute target 'box': {message}"):
        check(Target("box", "docker", settings))


def test_an_engine_is_that_of_this_machine_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert str(Engine()) == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    assert str(Engine()) == "tcp://elsewhere:2375"
    assert str(Engine("tcp://box:2375")) == "tcp://box:2375"
