"""Steps on a compute target that is a Kubernetes cluster: what a process of this machine gets, a pod gets as well."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fakes.kubernetes_api import IMAGE, KubernetesApi
from fakes.project import COPIES, Project
from refrain import Dataset, Datastore, PipelineData, RunConfiguration
from refrain.compute.kubernetes import manifest
from refrain.compute.target import Target, TargetTable
from refrain.execution.stage import sweep

TELLS = """
    import os, sys
    from refrain import Run
    Run.get_context().log("answer", 42)
    os.makedirs("outputs", exist_ok=True)
    open("outputs/kept.txt", "w").write("kept")
    open(sys.argv[1], "w").write("made")
    print("told", os.environ.get("DB_PASSWORD"))
"""


def _target(api: KubernetesApi, project: Project, *paths: Path, **more: object) -> str:
    settings = api.settings(*(paths or (project.folder,)), python=sys.executable, **more)
    TargetTable(project.state.registry).put(Target("box", "kubernetes", settings))
    return "box"


def test_a_step_in_a_pod_leaves_what_it_would_leave_here(api: KubernetesApi, project: Project) -> None:
    box = _target(api, project)
    made, copied = PipelineData("made"), PipelineData("copied")
    config = RunConfiguration()
    config.environment_variables = {"DB_PASSWORD": "s3cr3t"}
    tell = project.step("tell", TELLS, [made], compute_target=box, runconfig=config)
    copy = project.step("copy", COPIES, [made, copied], inputs=[made], compute_target=box)

    ran = project.run(tell, copy)

    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("copy", "copied") == "made"
    assert ran.heard.lines == ["told ***"]
    folder = ran.runs.files(ran.step("tell").run_id).folder
    assert (folder / "artifacts" / "outputs" / "kept.txt").read_text() == "kept"
    assert '"answer"' in (folder / "events.jsonl").read_text()
    assert project.leftovers() == []
    assert "s3cr3t" not in json.dumps(api.made)
    assert api.secrets == {}
    assert project.run(tell, copy).reused() == ["copy", "tell"]


def test_a_pod_sees_the_step_s_folders_and_its_inputs_only_to_be_read(api: KubernetesApi, project: Project) -> None:
    box = _target(api, project)
    raw = project.folder / "raw"
    raw.mkdir()
    (raw / "a.csv").write_text("a")
    store = Datastore.register_folder(project.workspace, "raw", raw)
    given = Dataset.File.from_files((store, "")).as_named_input("raw").as_mount()
    out = PipelineData("out")
    code = "import os, sys; open(sys.argv[2], 'w').write(str(sorted(os.listdir(sys.argv[1]))))"

    ran = project.run(project.step("read", code, [given, out], inputs=[given], outputs=[out], compute_target=box))

    assert ran.text("read", "out") == "['a.csv']"
    container = api.made[0]["spec"]["containers"][0]
    seen = {mount["mountPath"]: mount["readOnly"] for mount in container["volumeMounts"]}
    assert seen[manifest.RUNTIME] is True
    run_folder = str(ran.runs.files(ran.step("read").run_id).folder)
    assert seen[run_folder] is False
    assert seen[str(raw)] is True
    assert container["command"][0] == sys.executable


def test_an_input_that_is_on_no_claim_fails_its_step_with_the_way_out(api: KubernetesApi, project: Project) -> None:
    box = _target(api, project, project.folder / "workspace")
    raw = project.folder / "raw"
    raw.mkdir()
    (raw / "a.csv").write_text("a")
    store = Datastore.register_folder(project.workspace, "raw", raw)
    given = Dataset.File.from_files((store, "a.csv")).as_named_input("raw").as_mount()

    ran = project.run(project.step("read", COPIES, [given, PipelineData("out")], inputs=[given], compute_target=box))

    assert ran.status == "Failed"
    assert f"The step needs '{raw}" in ran.error("read")
    assert "which is on no claim of its compute target" in ran.error("read")
    assert api.made == []
    assert project.leftovers() == []


def test_another_image_lets_the_step_run_again_and_another_tag_of_the_same_does_not(
    api: KubernetesApi, project: Project
) -> None:
    step = project.step("write", arguments=[PipelineData("out")], compute_target=_target(api, project))
    project.run(step)
    _target(api, project, image="mirror.example/python:3.11@sha256:" + "0" * 64)
    assert project.run(step).reused() == ["write"]
    _target(api, project, image=IMAGE[:-1] + "1")
    assert project.run(step).reused() == []


def test_a_failure_says_why_the_cluster_ended_the_pod(api: KubernetesApi, project: Project) -> None:
    api.terminated = {"reason": "OOMKilled"}
    box = _target(api, project)
    ran = project.run(project.step("eat", "import os; os.kill(os.getpid(), 9)", compute_target=box))
    assert "Step 'eat' failed: its pod needed more memory than its node has. Raise the target's setting" in ran.error(
        "eat"
    )


@pytest.mark.timeout(60)
def test_a_tag_is_refused_before_the_step_is_looked_up(api: KubernetesApi, project: Project) -> None:
    from refrain import Environment

    config = RunConfiguration()
    config.environment = Environment.from_docker_image("tagged", "python:3.11")
    ran = project.run(
        project.step("write", arguments=[PipelineData("out")], compute_target=_target(api, project), runconfig=config)
    )
    assert "must be named by its digest, not 'python:3.11'" in ran.error("write")
    sweep(project.state)
    assert api.made == []
