"""What is said of a pod that does not start, or does not end well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fakes.kubernetes_api import KubernetesApi
from refrain.compute.job import Job, JobResult, JobStatus
from refrain.compute.kubernetes.compute import KubernetesCompute

MakeJob = Callable[..., Job]
MakeCompute = Callable[..., KubernetesCompute]


def _end(compute: KubernetesCompute, job: Job) -> JobResult:
    return compute.wait(compute.submit(job), lambda _: None)


@pytest.mark.parametrize(
    ("waiting", "cause"),
    [
        (
            {"reason": "ImagePullBackOff", "message": "Back-off pulling image"},
            (
                "its pod does not start: ImagePullBackOff, Back-off pulling image. Check the name of the image; where "
                "its registry asks for a login, put that into a Secret of the namespace and name it in the target's "
                "setting registry_logins."
            ),
        ),
        (
            {"reason": "CreateContainerConfigError", "message": 'secret "x" not found.'},
            (
                'its pod does not start: CreateContainerConfigError, secret "x" not found. The pod asks for what the '
                "namespace does not have, or the node does not allow."
            ),
        ),
    ],
)
def test_a_pod_that_cannot_start_is_told_and_is_gone(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, waiting: dict[str, str], cause: str
) -> None:
    api.waiting = waiting
    assert _end(compute(), job()) == JobResult(JobStatus.FAILED, -9, cause)
    assert api.pods == {}


def test_an_image_without_the_program_is_told(compute: MakeCompute, job: MakeJob) -> None:
    cause = _end(compute(), job(argv=("python9",))).cause
    assert cause.startswith(
        "its container has no program 'python9'. Take an image that has it; where its interpreter is"
    )


def test_a_pod_without_a_node_is_waited_for_as_long_as_the_target_says(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no memory."}
    api.status = {"phase": "Pending", "conditions": [said], "containerStatuses": []}
    assert _end(compute(start_seconds=0.2), job()).cause == (
        "its pod has found no node in 0.2 seconds: Unschedulable, 0/3 nodes: no memory. Raise what the cluster has, or "
        "change the target's settings requests, limits, gpus, node_selector and tolerations; start_seconds says how "
        "long to wait."
    )
    assert api.pods == {}


def test_a_pod_that_does_not_start_in_time_is_told(compute: MakeCompute, job: MakeJob, api: KubernetesApi) -> None:
    api.waiting = {"reason": "ContainerCreating"}
    assert _end(compute(start_seconds=0.2), job()).cause == (
        "its pod has not started in 0.2 seconds: ContainerCreating. Look at its events with kubectl, such as those of "
        "a claim that cannot be mounted; start_seconds says how long to wait."
    )


def test_too_much_memory_is_named_with_the_limit_and_the_way_out(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    api.terminated = {"reason": "OOMKilled"}
    result = _end(compute(limits={"memory": "2Gi"}), job("import os; os.kill(os.getpid(), 9)"))
    assert result == JobResult(
        JobStatus.FAILED,
        -9,
        "its pod needed more memory than the 2Gi of its compute target. Raise the target's setting limits (refrain "
        "compute set), or let the step use less.",
    )


def test_an_eviction_is_told(compute: MakeCompute, job: MakeJob, api: KubernetesApi) -> None:
    api.status = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on disk.",
        "containerStatuses": [],
    }
    result = _end(compute(), job())
    assert result.cause == "its pod was ended by the cluster: Evicted, The node was low on disk."
