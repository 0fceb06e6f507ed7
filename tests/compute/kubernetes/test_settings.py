from __future__ import annotations

import pytest

from fakes.kubernetes_api import IMAGE
from refrain.compute.kinds import check
from refrain.compute.kubernetes.settings import Claim, Cluster, KubernetesSettings
from refrain.compute.target import Target
from refrain.errors import UserError


def test_settings_are_read() -> None:
    read = KubernetesSettings.of(
        {
            "image": IMAGE,
            "namespace": "ml",
            "claims": [{"claim": "lake", "path": "/mnt/lake", "sub_path": "team"}],
            "requests": {"cpu": 2, "memory": "4Gi"},
            "limits": {"memory": "8Gi"},
            "gpus": 1,
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "registry_logins": ["registry"],
            "config_file": "/etc/kube",
            "context": "prod",
        }
    )
    assert read == KubernetesSettings(
        image=IMAGE,
        namespace="ml",
        claims=(Claim("lake", "/mnt/lake", "team"),),
        requests={"cpu": "2", "memory": "4Gi"},
        limits={"memory": "8Gi", "nvidia.com/gpu": "1"},
        tolerations=({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},),
        registry_logins=("registry",),
        cluster=Cluster(config_file="/etc/kube", context="prod"),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"imgae": "x"}, "there is no setting 'imgae'. .* Did you mean 'image'?"),
        ({"image": "python:3.11"}, "must be named by its digest, not 'python:3.11': .* Write name@sha256:"),
        ({"namespace": "My_Space"}, "the setting 'namespace' must be a name as Kubernetes has them: .* not 'My_Space'"),
        (
            {"claims": ["lake"]},
            "the setting 'claims' must be a list of records with claim, path, sub_path, not of 'lake'",
        ),
        ({"claims": [{"clam": "lake"}]}, "the setting 'claims' has no 'clam'. Known: .* Did you mean 'claim'?"),
        ({"claims": [{"claim": "lake", "path": "lake"}]}, "at which folder this machine and the pods see the claim"),
        ({"claims": [{"claim": "lake", "path": "/"}]}, "at which folder this machine and the pods see the claim"),
        (
            {"claims": [{"path": "/lake"}]},
            "the setting 'claims: claim' must be a name as Kubernetes has them: .* not None",
        ),
        ({"claims": [{"claim": "lake", "path": "/a", "sub_path": "../b"}]}, "a folder within the volume, not '../b'"),
        (
            {"claims": [{"claim": "a", "path": "/lake"}, {"claim": "b", "path": "/lake"}]},
            "the setting 'claims' names the path '/lake' twice. Keep one claim for it.",
        ),
        (
            {"requests": {"memory": "much"}},
            "'requests: memory' must be a quantity .* such as 500m, 2 or 8Gi, not 'much'",
        ),
        ({"shm_size": "8g"}, "the setting 'shm_size' must be a quantity"),
        ({"gpus": -1}, "the setting 'gpus' must be a number of GPUs, not -1."),
        ({"labels": {"team": "a b"}}, "the setting 'labels' must hold labels as Kubernetes has them: .* 'team': 'a b'"),
        (
            {"labels": {"refrain/run": "x"}},
            "must leave labels that begin with 'refrain/' to Refrain, not 'refrain/run'",
        ),
        ({"node_selector": {"gpu": True}}, "the setting 'node_selector' must hold labels"),
        ({"tolerations": [{"key": 1}]}, "the setting 'tolerations': 'key' must be of type str, not 1."),
        ({"registry_logins": [1]}, "the setting 'registry_logins' must be a name as Kubernetes has them"),
        ({"user": "ali"}, "the setting 'user' must be two numbers, uid:gid, such as 1000:1000, not 'ali'."),
        ({"start_seconds": 0}, "the setting 'start_seconds' must be a number of seconds above 0, not 0."),
        (
            {"conn_id": "a", "in_cluster": True},
            "the settings conn_id, in_cluster name a cluster each. Keep one of them.",
        ),
        ({"context": "a", "in_cluster": True}, "the settings context, in_cluster name a cluster each."),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"Compute target 'box': .*{message}"):
        check(Target("box", "kubernetes", settings))


def test_no_setting_has_a_name_that_a_workspace_takes_for_a_secret() -> None:
    from refrain.compute.kubernetes.settings import _TYPES
    from refrain.storage.connections import is_secret_name

    assert [name for name in _TYPES if is_secret_name(name)] == []


@pytest.mark.parametrize(
    ("cluster", "text"),
    [
        (Cluster(in_cluster=True), "the cluster of this pod"),
        (Cluster(conn_id="prod"), "the cluster of the connection 'prod'"),
        (Cluster(config_file="/etc/kube", context="a"), "the cluster of /etc/kube, context 'a'"),
        (Cluster(), "the cluster of ~/.kube/config"),
    ],
)
def test_a_cluster_is_named_as_its_settings_name_it(
    cluster: Cluster, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert str(cluster) == text
