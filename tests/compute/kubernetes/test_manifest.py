"""The pod of a job, as data."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.kubernetes_api import IMAGE, Refused, require_valid
from refrain.compute.job import Job, JobPath
from refrain.compute.kubernetes import manifest
from refrain.compute.kubernetes.manifest import Owner
from refrain.compute.kubernetes.settings import KubernetesSettings
from refrain.errors import UserError

MakeJob = Callable[..., Job]
LAKE = {"claim": "lake", "path": "/mnt/lake"}
OWNER = Owner(1000, 100, (100, 44))


def _job(*paths: JobPath, **more: Any) -> Job:
    values: dict[str, Any] = {
        "run_id": "5ca1ab1e.train.1",
        "argv": ("python", "train.py", "--rate", "$(HOME)"),
        "working_directory": "/mnt/lake/stage/work",
        "environment": {"PRICE": "5$", "HOME": "/root-of-x", "USER": "ali", "LOGNAME": "ali"},
        "log_path": os.devnull,
        "scratch": "/mnt/lake/stage",
        "paths": lambda: paths or (JobPath("/mnt/lake/stage", "/mnt/lake/stage", is_writable=True),),
    }
    return Job(**{**values, **more})


def _pod(job: Job, mounted: tuple[str, ...] = (), owner: Owner = OWNER, **settings: Any) -> dict[str, Any]:
    read = KubernetesSettings.of({"claims": [LAKE], **settings})
    made = manifest.pod(job, IMAGE, read, owner, lambda _: mounted)
    require_valid(made, "V1Pod")
    return made


def _mounts(pod: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod["spec"]["containers"][0]["volumeMounts"]
    return found


def test_a_job_is_a_pod_of_one_container_that_is_never_started_again() -> None:
    assert _pod(_job()) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": manifest.name_of("5ca1ab1e.train.1"),
            "namespace": "default",
            "labels": {"refrain/run": "5ca1ab1e.train.1"},
            "annotations": {"refrain/run-id": "5ca1ab1e.train.1"},
        },
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": 1000, "runAsGroup": 100, "supplementalGroups": [44]},
            "containers": [
                {
                    "name": "step",
                    "image": IMAGE,
                    "command": ["python", "train.py", "--rate", "$$(HOME)"],
                    "workingDir": "/mnt/lake/stage/work",
                    "env": [
                        {"name": "HOME", "value": "/root-of-x"},
                        {"name": "LOGNAME", "value": "ali"},
                        {"name": "PRICE", "value": "5$$"},
                        {"name": "USER", "value": "ali"},
                    ],
                    "resources": {},
                    "volumeMounts": [
                        {"name": "claim-0", "mountPath": "/mnt/lake/stage", "readOnly": False, "subPath": "stage"}
                    ],
                    "securityContext": {"allowPrivilegeEscalation": False},
                }
            ],
            "volumes": [{"name": "claim-0", "persistentVolumeClaim": {"claimName": "lake"}}],
        },
    }


def test_what_the_target_says_is_in_the_pod() -> None:
    pod = _pod(
        _job(),
        namespace="ml",
        service_account="trainer",
        registry_logins=["registry"],
        requests={"cpu": 2},
        limits={"memory": "8Gi"},
        gpus=2,
        shm_size="1Gi",
        node_selector={"pool": "gpu"},
        tolerations=[{"key": "gpu", "operator": "Exists", "tolerationSeconds": 60}],
        labels={"team": "a"},
    )
    spec = pod["spec"]
    assert pod["metadata"]["namespace"] == "ml"
    assert pod["metadata"]["labels"] == {"team": "a", "refrain/run": "5ca1ab1e.train.1"}
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("trainer", True)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "2"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"},
    }
    assert spec["volumes"][-1] == {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    assert _mounts(pod)[-1] == {"name": "shm", "mountPath": "/dev/shm"}
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 60}]


def test_each_path_comes_from_the_nearest_claim_and_inputs_can_only_be_read() -> None:
    paths = (
        JobPath("/mnt/lake", "/mnt/lake"),
        JobPath("/mnt/lake/deep/out", "/mnt/lake/deep/out", is_writable=True),
        JobPath("/data/link", "/mnt/lake/far/data.csv"),
        JobPath("/mnt/lakeside/in", "/mnt/lakeside/in"),
    )
    claims = [
        LAKE,
        {"claim": "deep", "path": "/mnt/lake/deep", "sub_path": "a"},
        {"claim": "side", "path": "/mnt/lakeside"},
    ]
    pod = _pod(_job(*paths), claims=claims)
    assert _mounts(pod) == [
        {"name": "claim-0", "mountPath": "/mnt/lake", "readOnly": True},
        {"name": "claim-1", "mountPath": "/mnt/lake/deep/out", "readOnly": False, "subPath": "a/out"},
        {"name": "claim-0", "mountPath": "/data/link", "readOnly": True, "subPath": "far/data.csv"},
        {"name": "claim-2", "mountPath": "/mnt/lakeside/in", "readOnly": True, "subPath": "in"},
    ]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"]] == [
        "lake",
        "deep",
        "side",
    ]


def test_what_is_on_no_claim_is_refused_with_the_way_out() -> None:
    message = (
        r"The step needs '/data/raw', which is on no claim of its compute target. Claims: /mnt/lake. Add the claim "
        r"that holds it to the setting claims \(refrain compute set\), or keep the workspace, its datastores and "
    )
    with pytest.raises(UserError, match=message):
        _pod(_job(JobPath("/data/raw", "/data/raw")))


@pytest.mark.parametrize("point", ["/mnt/lake/stage/inputs/raw", "/mnt/lake", "/mnt/lake/stage", "/mnt/lake/sta"])
def test_what_only_this_machine_has_mounted_on_a_claim_is_refused(point: str) -> None:
    job = _job(JobPath("/mnt/lake/stage", "/mnt/lake/stage"))
    if point in ("/mnt/lake", "/mnt/lake/sta"):
        assert _pod(job, (point,))
        return
    message = f"at '{point}' something else is mounted on this machine, which pods do not see on the claim 'lake'"
    with pytest.raises(UserError, match=message):
        _pod(job, ("/mnt/lake", point))


def test_our_runtime_need_be_on_no_claim() -> None:
    pod = _pod(_job(JobPath(manifest.RUNTIME, manifest.RUNTIME)))
    assert _mounts(pod) == [
        {"name": "claim-0", "mountPath": manifest.RUNTIME, "readOnly": True, "subPath": "stage/runtime"}
    ]
    there = [{"claim": "home", "path": str(Path(manifest.RUNTIME).parent)}]
    pod = _pod(_job(JobPath(manifest.RUNTIME, manifest.RUNTIME)), claims=there)
    assert _mounts(pod)[0]["subPath"] == "runtime"


def test_secret_variables_are_in_a_secret_of_the_run_and_nowhere_in_the_pod() -> None:
    job = _job(
        environment={"A": "plain", "TOKEN": "s3cr3t$", "URL": "http://u:s3cr3t$@host", "PIN": "7"},
        secrets=("s3cr3t$", "7"),
        argv=("python", "7"),
    )
    made = manifest.secret(job, KubernetesSettings())
    assert made is not None
    require_valid(made, "V1Secret")
    name = manifest.name_of(job.run_id)
    assert made["metadata"]["name"] == name
    assert made["metadata"]["labels"] == {"refrain/run": job.run_id}
    assert [base64.b64decode(text).decode() for text in made["data"].values()] == [
        "7",
        "s3cr3t$",
        "http://u:s3cr3t$@host",
    ]
    pod = _pod(job)
    assert "s3cr3t" not in json.dumps(pod)
    env = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
    assert env["A"] == {"name": "A", "value": "plain"}
    assert env["TOKEN"] == {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "variable-1"}}}
    assert made["data"]["variable-1"] == base64.b64encode(b"s3cr3t$").decode()


def test_a_job_without_secrets_has_no_secret() -> None:
    assert manifest.secret(_job(), KubernetesSettings()) is None


def test_a_secret_in_an_argument_is_refused() -> None:
    job = _job(argv=("python", "--url=http://s3cr3t@host"), secrets=("s3cr3t",))
    with pytest.raises(
        UserError, match=r"An argument of the step holds a secret, .* from its environment variable"
    ) as told:
        _pod(job)
    assert "s3cr3t" not in str(told.value)


def test_a_path_that_cannot_be_mounted_is_refused() -> None:
    with pytest.raises(UserError, match=r"no path with a ':' can be mounted on Kubernetes. Rename it."):
        _pod(_job(JobPath("/mnt/lake/a:b", "/mnt/lake/a:b")))


def test_a_run_id_that_is_too_long_for_a_label_is_one_by_its_digest() -> None:
    run_id = f"{'a' * 60}.step.1"
    labels = _pod(replace(_job(), run_id=run_id))["metadata"]
    assert len(labels["labels"]["refrain/run"]) == 32
    assert labels["annotations"] == {"refrain/run-id": run_id}
    assert labels["labels"]["refrain/run"] != manifest.label_of(f"{'a' * 60}.step.2")


def test_a_pod_has_the_user_of_this_process_unless_the_target_names_one() -> None:
    assert Owner.of(KubernetesSettings()) == Owner(os.geteuid(), os.getegid(), tuple(os.getgroups()))
    assert Owner.of(KubernetesSettings(user="1000:100")) == Owner(1000, 100)


def test_the_check_of_these_tests_refuses_what_the_api_does_not_know() -> None:
    pod = _pod(_job())
    pod["spec"]["restart_policy"] = "Never"
    with pytest.raises(Refused, match="unknown field"):
        require_valid(pod, "V1Pod")
