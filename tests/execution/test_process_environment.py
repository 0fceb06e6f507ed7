"""What the process sees, and that secrets stay secret."""

from __future__ import annotations

import json

import pytest

from fakes.project import Project
from refrain import (
    PipelineData,
    PipelineParameter,
    RunConfiguration,
)


def test_a_secret_is_in_no_file_of_the_workspace_and_in_no_message(project: Project) -> None:
    config = RunConfiguration()
    config.environment_variables = {"API_TOKEN": "s3cr3t-value", "DATABASE": "db://user:hunter22@host/db", "PLAIN": "p"}
    code = """
        import os, sys
        print("token", os.environ["API_TOKEN"], os.environ["DATABASE"], flush=True)
        open(sys.argv[1], "w").write("x")
    """
    ran = project.run(project.step("tell", code, [PipelineData("out")], runconfig=config))
    assert ran.heard.lines == ["token *** ***"]
    failing = project.run(
        project.step("shout", code + "        sys.exit(1)\n", [PipelineData("out")], runconfig=config)
    )
    texts = [failing.error("shout")]
    texts += [p.read_bytes().decode(errors="replace") for p in project.state.root.rglob("*") if p.is_file()]
    assert [text for text in texts if "s3cr3t-value" in text or "hunter22" in text] == []
    changed = RunConfiguration()
    changed.environment_variables = {**config.environment_variables, "API_TOKEN": "another-value"}
    again = project.run(project.step("tell", code, [PipelineData("out")], runconfig=changed))
    assert again.step("tell").decision["sentence"] == (
        "runs: changed: environment variable API_TOKEN: (secret) → (secret)"
    )


def test_the_process_sees_what_it_declares_and_nothing_of_ours(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDECLARED", "1")
    config = RunConfiguration()
    config.environment_variables = {"DECLARED": "yes"}
    code = """
        import json, os, sys
        print(json.dumps({"argv": sys.argv[2:], "env": dict(os.environ), "cwd": os.listdir()}))
        open(sys.argv[1], "w").write("x")
    """
    step = project.step(
        "look",
        code,
        [PipelineData("out"), "a b", 3, PipelineParameter("rate", 0.5)],
        params={"mode": "fast"},
        runconfig=config,
    )
    ran = project.run(step, parameters={"rate": 2.0})
    seen = json.loads(ran.heard.lines[0])
    record = ran.step("look")
    assert seen["argv"] == ["a b", "3", "2.0"]
    assert seen["cwd"] == ["look.py"]
    assert "UNDECLARED" not in seen["env"]
    assert seen["env"]["DECLARED"] == "yes"
    assert seen["env"]["AML_PARAMETER_mode"] == "fast"
    assert seen["env"]["AML_PARAMETER_rate"] == "2.0"
    assert seen["env"]["AZUREML_RUN_ID"] == record.run_id
    assert seen["env"]["AZUREML_ROOT_RUN_ID"] == ran.id
    assert seen["env"]["AZUREML_ARM_PROJECT_NAME"] == "experiment"
    assert seen["env"]["REFRAIN_RUN_DIR"] == ran.runs.folder(record.run_id)
    assert seen["env"]["AZUREML_DATAREFERENCE_out"].endswith("/out")
