"""Jobs in pods, by the official client, of an API whose pods are processes of this machine."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.kubernetes_api import IMAGE, KubernetesApi
from refrain.compute.job import Job, JobPath, JobResult, JobStatus
from refrain.compute.kubernetes import manifest
from refrain.compute.kubernetes.compute import KubernetesCompute
from refrain.environments.specification import EnvironmentSpec, ImageSpec, PackageSpec
from refrain.errors import ComputeError, UnknownNameError, UserError

MakeJob = Callable[..., Job]
MakeCompute = Callable[..., KubernetesCompute]
SLEEPS = "import time; print('sleeping', flush=True); time.sleep(600)"


def _ends(compute: KubernetesCompute, job: Job) -> tuple[JobResult, list[str]]:
    lines: list[str] = []
    result = compute.wait(compute.submit(job), lines.append)
    return result, lines


def _no_pods(api: KubernetesApi) -> bool:
    deadline = time.monotonic() + 60
    while api.pods and time.monotonic() < deadline:
        time.sleep(0.02)
    return not api.pods


def test_a_pod_that_ends_well_has_succeeded_its_output_is_heard_and_it_is_gone(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    made = compute()
    wanted = job("print('one'); print('two'); open('made', 'w').write('x')", log_path=str(log))

    result, lines = _ends(made, wanted)

    assert (result, lines) == (JobResult(JobStatus.SUCCEEDED, 0), ["one", "two"])
    assert log.read_text().split() == lines
    assert (tmp_path / "made").read_text() == "x"
    assert _no_pods(api)
    name = manifest.name_of(wanted.run_id)
    assert made.result(name) == result
    assert made.status(name) is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("raise SystemExit(3)", 3), ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11)],
)
def test_an_exit_code_and_a_signal_are_a_failure(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, code: str, exit_code: int
) -> None:
    assert _ends(compute(), job(code))[0] == JobResult(JobStatus.FAILED, exit_code)
    assert _no_pods(api)


def test_arguments_and_variables_reach_the_process_as_they_are(compute: MakeCompute, job: MakeJob) -> None:
    words = ["a b", "$HOME", "$(HOME)", "$$", "'", '"', "*", "", "ü", "$(", "$$(HOME)"]
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['V'], os.environ['HOME']]))"
    wanted = job(argv=(sys.executable, "-c", code, *words), environment={"V": "$(HOME) $$ $x"})
    _, lines = _ends(compute(), wanted)
    assert json.loads(lines[0]) == [words, "$(HOME) $$ $x", f"{wanted.scratch}/home"]


def test_secret_variables_reach_the_process_are_masked_and_are_gone_with_it(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = "import os; t = os.environ['TOKEN']; print(len(t), t)"
    wanted = job(code, environment={"TOKEN": "s3cr3t$(HOME)"}, secrets=("s3cr3t$(HOME)",))

    assert _ends(compute(), wanted)[1] == ["13 ***"]

    assert "s3cr3t" not in json.dumps(api.made)
    (secret,) = api.made_secrets
    assert wanted.run_id in caplog.text  # of the pod, the official client does log the answer
    assert secret["data"]["variable-0"] not in caplog.text
    assert "s3cr3t" not in caplog.text
    assert api.secrets == {}


def test_a_pod_has_a_copy_of_our_runtime_where_it_could_not_see_it(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, tmp_path: Path
) -> None:
    wanted = job("print(1)")
    paths = (*wanted.paths(), JobPath(manifest.RUNTIME, manifest.RUNTIME))

    _ends(compute(), replace(wanted, paths=lambda: paths))

    mount = api.made[0]["spec"]["containers"][0]["volumeMounts"][-1]
    assert (mount["mountPath"], mount["subPath"], mount["readOnly"]) == (manifest.RUNTIME, "runtime", True)
    assert (tmp_path / "runtime" / "launch.py").read_bytes() == Path(manifest.RUNTIME, "launch.py").read_bytes()


def test_a_canceled_job_may_end_by_itself_and_its_pod_is_gone(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    made = compute(grace_seconds=7.2)
    code = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print('bye'))); print('up', flush=True); "
        "time.sleep(600)"
    )
    job_id = made.submit(job(code))
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "up":
            threading.Thread(target=made.cancel, args=(job_id,)).start()

    result = made.wait(job_id, on_line)

    assert result.status in (JobStatus.CANCELED, JobStatus.SUCCEEDED)
    assert lines == ["up", "bye"]
    assert api.graces[0] == 8
    assert _no_pods(api)


def test_a_job_is_canceled_while_its_pod_waits_for_a_node(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    api.waiting = {"reason": "ContainerCreating"}
    made = compute()
    job_id = made.submit(job())
    assert made.status(job_id) is JobStatus.RUNNING
    threading.Timer(0.3, made.cancel, (job_id,)).start()

    assert made.wait(job_id, lambda _: None) == JobResult(JobStatus.CANCELED, -9)
    assert _no_pods(api)


def test_a_pod_that_somebody_deletes_is_told(compute: MakeCompute, job: MakeJob, api: KubernetesApi) -> None:
    made = compute()
    job_id = made.submit(job(SLEEPS))
    result = made.wait(job_id, lambda _: api.delete_pod(job_id, 0) and None)
    assert result == JobResult(JobStatus.FAILED, -9, "its pod was deleted by somebody else. Run again.")


def test_a_server_that_is_away_for_a_moment_does_not_end_a_step(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    made = compute()
    job_id = made.submit(job("print('done')"))
    api.outages = 2
    lines: list[str] = []
    assert made.wait(job_id, lines.append).status is JobStatus.SUCCEEDED
    assert (lines, api.outages) == (["done"], 0)


def test_a_log_whose_connection_breaks_is_read_to_its_end(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    api.breaks = [6, 3]
    result, lines = _ends(compute(), job("for n in range(1000): print(n)"))
    assert result.status is JobStatus.SUCCEEDED
    assert lines == [str(n) for n in range(1000)]
    assert api.breaks == []


def test_what_is_on_no_claim_is_refused_before_anything_is_made(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="The step needs '/elsewhere', which is on no claim of its compute target"):
        compute().submit(job(paths=lambda: (JobPath("/elsewhere", "/elsewhere"),)))
    assert (api.made, list(tmp_path.iterdir())) == ([], [])


def test_a_pod_that_the_api_does_not_take_is_told(compute: MakeCompute, job: MakeJob, api: KubernetesApi) -> None:
    made, wanted = compute(), job(SLEEPS, environment={"T": "s3cr3t"}, secrets=("s3cr3t",))
    job_id = made.submit(wanted)
    message = r'The cluster does not take the pod: pods "refrain-\w+" already exists. Correct the target\'s settings'
    with pytest.raises(UserError, match=message):
        made.submit(wanted)
    assert (api.pods, api.secrets) == ({}, {})
    made.wait(job_id, lambda _: None)


def test_what_this_user_may_not_is_told_with_the_rights_that_are_needed(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi
) -> None:
    api.denied = {"create pods"}
    message = "does not allow it: pods is forbidden: .* Steps need a role that may create, get, list and delete pods"
    with pytest.raises(ComputeError, match=message):
        compute().submit(job())


def test_a_pod_that_the_cluster_s_rules_refuse_is_told(compute: MakeCompute, job: MakeJob, api: KubernetesApi) -> None:
    api.rule = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0'
    with pytest.raises(ComputeError, match=r"refuses: .* is forbidden: violates PodSecurity .*: runAsUser=0"):
        compute().submit(job())


def test_a_server_that_is_not_there_is_told(compute: MakeCompute, api: KubernetesApi) -> None:
    api.url = "http://127.0.0.1:9"
    with pytest.raises(ComputeError, match=r"The API server of the cluster of .*kubeconfig does not answer: .*refused"):
        compute().end("run.step.1")


def test_settings_that_lead_to_no_cluster_are_told(compute: MakeCompute, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"Nothing says how to reach the cluster of /nowhere: .* Set config_file and context"
    ):
        compute(config_file="/nowhere").end("run.step.1")


def test_a_connection_may_say_where_the_cluster_is(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(api.config_file).read_text()
    extra = {"extra__kubernetes__kube_config": config, "cluster_context": "here"}
    monkeypatch.setenv("AIRFLOW_CONN_PROD", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    assert _ends(compute(config_file="", conn_id="prod"), job("print(1)"))[1] == ["1"]
    monkeypatch.setenv("AIRFLOW_CONN_PROD", json.dumps({"conn_type": "kubernetes", "extra": {"kube_config": "{"}}))
    with pytest.raises(UserError, match="the cluster of the connection 'prod': its kube_config is no JSON"):
        compute(config_file="", conn_id="prod").end("run.step.1")


@pytest.mark.parametrize("secrets", [(), ("s3cr3t",)])
def test_what_a_killed_engine_left_is_ended(
    compute: MakeCompute, job: MakeJob, api: KubernetesApi, secrets: tuple[str, ...]
) -> None:
    wanted = job(SLEEPS, environment={"T": "s3cr3t"}, secrets=secrets)
    engine = compute()
    other, left = engine.submit(job(SLEEPS)), engine.submit(wanted)

    compute().end(wanted.run_id)

    assert (list(api.pods), api.secrets) == ([other], {})
    engine.cancel(other)
    assert [engine.wait(one, lambda _: None).exit_code for one in (other, left)] == [-9, -9]


_ENGINE = """
import json, sys
from refrain.compute.job import Job, JobPath
from refrain.compute.kubernetes.compute import KubernetesCompute
from refrain.compute.kubernetes.settings import KubernetesSettings
settings, folder = json.loads(sys.argv[1]), sys.argv[2]
job = Job("killed.step.1", (sys.executable, "-c", "import time; time.sleep(600)"), folder, {}, "/dev/null",
    paths=lambda: (JobPath(folder, folder, is_writable=True),))
compute = KubernetesCompute(KubernetesSettings.of(settings))
compute.wait(compute.submit(job), print)
"""


def test_an_engine_that_is_killed_leaves_no_pod(api: KubernetesApi, tmp_path: Path) -> None:
    settings = json.dumps(api.settings(tmp_path))
    engine = subprocess.Popen([sys.executable, "-c", _ENGINE, settings, str(tmp_path)])
    deadline = time.monotonic() + 100
    while not api.pods and time.monotonic() < deadline:
        time.sleep(0.05)
    started = list(api.pods)
    engine.kill()
    engine.wait()
    assert started == [manifest.name_of("killed.step.1")]
    while api.pods and time.monotonic() < deadline:
        time.sleep(0.05)
    assert api.pods == {}


def test_an_image_counts_by_its_digest_and_an_architecture_counts(compute: MakeCompute) -> None:
    mirror = ImageSpec("mirror.example/python:3.11@sha256:" + "0" * 64)
    here, there = compute().identify(EnvironmentSpec()), compute().identify(EnvironmentSpec(image=mirror))
    assert here == there
    assert (here.version, here.platform) == (f"python of image sha256:{'0' * 64}", "linux")
    other = ImageSpec(IMAGE[:-1] + "1")
    assert compute().identify(EnvironmentSpec(image=other)) != here
    assert compute(node_selector={"kubernetes.io/arch": "arm64"}).identify(EnvironmentSpec()).platform == "linux-arm64"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (EnvironmentSpec(image=ImageSpec("python:3.11")), "must be named by its digest, not 'python:3.11'"),
        (EnvironmentSpec(image=ImageSpec(dockerfile="FROM x")), "Images are not built on Kubernetes. Build one with"),
        (EnvironmentSpec(packages=PackageSpec(requirements=("numpy",))), "Images are not built on Kubernetes."),
    ],
)
def test_an_environment_that_cannot_be_had_is_refused(
    compute: MakeCompute, environment: EnvironmentSpec, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compute().identify(environment)


def test_no_image_at_all_is_told(compute: MakeCompute) -> None:
    with pytest.raises(UserError, match="Neither the step's environment nor its compute target names an image"):
        compute(image="").prepare(EnvironmentSpec(), lambda _: None)


def test_a_job_of_another_process_is_not_known(compute: MakeCompute) -> None:
    with pytest.raises(UnknownNameError, match="The pod 'x' was not started from here"):
        compute().wait("x", lambda _: None)
    with pytest.raises(UnknownNameError, match="The pod 'x' was not waited for here"):
        compute().result("x")
    compute().cancel("x")


def test_the_process_has_a_home_and_nothing_of_this_machine_s_variables(
    compute: MakeCompute, job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKS", "yes")
    made = compute()
    assert made.variables(EnvironmentSpec(), "python") == {}
    _, lines = _ends(made, job("import os; print(os.path.isdir(os.environ['HOME']), 'LEAKS' in os.environ)"))
    assert lines == ["True False"]
    assert os.path.isdir(job().scratch)
