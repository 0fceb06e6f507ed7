"""``refrain compute test`` of a Kubernetes cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.kubernetes_api import IMAGE, KubernetesApi
from refrain.cli import main
from refrain.compute.kubernetes.kind import KubernetesKind
from refrain.compute.target import Target
from refrain.errors import ComputeError, StepFailedError, UserError
from refrain.storage.state import WorkspaceState

Try = Callable[..., list[str]]


@pytest.fixture
def tried(api: KubernetesApi, tmp_path: Path) -> Try:
    def examine(**settings: object) -> list[str]:
        read = api.settings(tmp_path, python=sys.executable) | settings
        return list(KubernetesKind().examine(Target("box", "kubernetes", read, "gpu"), WorkspaceState(tmp_path / "ws")))

    return examine


def test_each_thing_that_works_is_told(tried: Try, api: KubernetesApi, tmp_path: Path) -> None:
    found = tried()

    assert found[:3] == [
        f"the API server of the cluster of {api.config_file} answers: version v1.34.0",
        "this user may create, follow and delete pods and secrets in the namespace 'default'",
        f"the claim 'claim-0' is there (Bound), and so is {tmp_path}",
    ]
    assert found[3].startswith(f"a pod was started with {IMAGE}, and its output arrived: {sys.executable} is Python 3.")
    assert found[4:] == [
        f"it read a file of {tmp_path / 'ws'} and wrote one",
        "the pod is gone",
        "on Airflow, a worker of the queue 'gpu' takes its tasks; that was not tried from here",
    ]
    assert api.pods == {}
    assert list((tmp_path / "ws").iterdir()) == []


def test_what_this_user_may_not_is_told(tried: Try, api: KubernetesApi) -> None:
    api.denied = {"create pods", "get pods/log"}
    message = "In the namespace 'default' this user may not create pods, get pods/log. Let an administrator"
    with pytest.raises(ComputeError, match=message):
        tried()
    assert api.made == []


def test_a_claim_that_is_not_in_the_cluster_is_told(tried: Try, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no claim 'lake' in the namespace 'default'. Create it, or correct"):
        tried(claims=[{"claim": "lake", "path": str(tmp_path)}])


def test_a_claim_that_is_not_on_this_machine_is_told(tried: Try) -> None:
    with pytest.raises(UserError, match=r"The claim 'claim-0' is not at '/nowhere' on this machine. Mount its volume"):
        tried(claims=[{"claim": "claim-0", "path": "/nowhere"}])


def test_a_claim_that_is_another_volume_than_that_of_this_machine_is_told(
    tried: Try, api: KubernetesApi, tmp_path: Path
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 3.11.0\n")
    script.chmod(0o755)
    with pytest.raises(
        ComputeError, match=r"What the pod wrote is not at .*/work/written': the claim there is another"
    ):
        tried(python=str(script))


def test_a_pod_that_fails_is_told_with_what_it_said(tried: Try, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no such library\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(StepFailedError, match="A pod was made and ended with exit code 3: no such library"):
        tried(python=str(script))


def test_a_workspace_that_is_on_no_claim_is_told(tried: Try) -> None:
    with pytest.raises(UserError, match=r"which is on no claim of its compute target. Claims: none."):
        tried(claims=[])


def test_an_image_without_python_is_told(tried: Try) -> None:
    with pytest.raises(StepFailedError, match=r"its container has no program 'python3\.7'\. Take an image that has it"):
        tried(python="python3.7")


def test_the_command_sets_and_tries_a_target(
    api: KubernetesApi, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = api.settings(tmp_path, python=sys.executable, limits={"memory": "1Gi"})
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()]
    assert main(["init"]) == main(["compute", "set", "box", "kubernetes", *words]) == 0
    capsys.readouterr()

    code = main(["compute", "test", "box"])

    assert (code, capsys.readouterr().out.splitlines()[-2:]) == (0, ["the pod is gone", "'box' works."])
