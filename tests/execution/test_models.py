"""Registered models in steps: as inputs, as what a script asks for, and as what it registers."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from fakes.project import Project
from refrain import Model, ModelInput, PipelineData, RunConfiguration
from refrain.data.models.record import ModelRecord, ModelVersions
from refrain.reuse.decision import Verdict

READS = """
    import sys
    from azureml.core.model import Model
    path = Model.get_model_path(*sys.argv[2:])
    open(sys.argv[1], "w").write(open(path).read())
"""
"""Writes a model, by name and perhaps version, to its first argument."""

REGISTERS = """
    import os, sys
    from azureml.core import Run
    run = Run.get_context()
    os.makedirs("outputs", exist_ok=True)
    open("outputs/net.txt", "w").write(sys.argv[2])
    model = run.register_model("net", "outputs/net.txt", tags={"by": "step"}, model_framework="None")
    open(sys.argv[1], "w").write(f"{model.name} {model.version} {model.tags} {model.run_id == run.id}")
"""
"""Registers its second argument as a model."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def registered(project: Project, text: str, name: str = "net", **labels: object) -> Model:
    path = project.folder / "net.txt"
    path.write_text(text)
    return Model.register(project.workspace, path, name, **labels)


def test_a_step_reads_a_model_by_the_path_of_its_input(project: Project) -> None:
    out, model = PipelineData("out"), registered(project, "one")
    code = "import sys; open(sys.argv[1], 'w').write(open(sys.argv[2]).read())"
    ran = project.run(project.step("reads", code, [out, model], outputs=[out]))
    assert ran.text("reads", "out") == "one"
    assert ran.step("reads").models == (
        {
            "how": "input",
            "name": "net",
            "asked": 1,
            "version": 1,
            "digest": model._record.content.digest,
            "selection": {},
        },
    )


def test_the_newest_model_of_each_run_counts_by_its_name_and_its_bytes(project: Project) -> None:
    registered(project, "one")
    out = PipelineData("out")

    def run(name: str = "net") -> tuple[str, str]:
        step = project.step("reads", READS, [out, name], outputs=[out], inputs=[ModelInput(name)])
        ran = project.run(step)
        return ran.verdict("reads").value, ran.text("reads", "out")

    assert run() == ("first run", "one")
    assert run() == ("reused", "one")
    registered(project, "one")
    assert run() == ("reused", "one")
    registered(project, "two")
    assert run() == ("changed", "two")
    registered(project, "two", "other")
    assert run("other") == ("changed", "two")


def test_a_changed_model_is_named_by_the_explanation(project: Project) -> None:
    registered(project, "one")
    out = PipelineData("out")
    step = project.step("reads", READS, [out, "net"], outputs=[out], inputs=[ModelInput("net")])
    project.run(step)
    registered(project, "two")
    assert project.run(step).heard.decisions["reads"].sentence() == "runs: changed: input net: changed the file"


def test_a_model_that_is_not_there_is_said_before_the_step_starts(project: Project) -> None:
    registered(project, "one", "not")
    out = PipelineData("out")
    ran = project.run(project.step("reads", READS, [out, "net"], outputs=[out], inputs=[ModelInput("net")]))
    assert ran.error("reads") == ("Step 'reads', input 'net': Unknown model 'net'. Known: not. Did you mean 'not'?")


def test_a_damaged_model_stops_the_step_that_reads_it(project: Project) -> None:
    model, out = registered(project, "one"), PipelineData("out")
    Path(model.url.removeprefix("file://")).write_text("own")
    ran = project.run(project.step("reads", READS, [out, "net"], outputs=[out], inputs=[model]))
    assert "Step 'reads', input 'net': Version 1 of model 'net' at " in ran.error("reads")
    assert "is not what was registered" in ran.error("reads")


def test_a_script_asks_for_a_model_that_nobody_declared(project: Project) -> None:
    registered(project, "one")
    out = PipelineData("out")
    step = project.step("reads", READS, [out, "net"], outputs=[out])
    first = project.run(step)
    assert first.text("reads", "out") == "one"
    (use,) = first.step("reads").models
    assert (use["how"], use["name"], use["asked"], use["version"]) == ("read", "net", "latest", 1)
    (warning,) = [note for note in first.heard.notes if "model" in note]
    assert warning.startswith(
        "its script asked for the newest version of model 'net', 1, which is not among its inputs"
    )
    assert "put ModelInput('net') among the inputs" in warning
    assert project.run(step).verdict("reads") is Verdict.REUSED
    registered(project, "two")
    again = project.run(step)
    assert again.verdict("reads") is Verdict.MODEL_CHANGED
    assert again.heard.decisions["reads"].sentence() == (
        "runs: model changed: its script used version 1 of model 'net' as the newest, and now that is version 2"
    )
    assert again.text("reads", "out") == "two"
    assert project.run(step).verdict("reads") is Verdict.REUSED


def test_a_version_that_was_asked_for_by_number_stays_the_same(project: Project) -> None:
    model, out = registered(project, "one"), PipelineData("out")
    code = READS.replace("*sys.argv[2:]", "'net', 1")
    step = project.step("reads", code, [out], outputs=[out])
    first = project.run(step)
    assert not [note for note in first.heard.notes if "model" in note]
    registered(project, "two")
    assert project.run(step).verdict("reads") is Verdict.REUSED
    model.delete()
    assert project.run(step).heard.decisions["reads"].detail == (
        "its script used version 1 of model 'net', which is gone"
    )


def test_a_model_whose_record_is_damaged_costs_a_run(project: Project) -> None:
    registered(project, "one")
    out = PipelineData("out")
    code = """
        import sys
        from azureml.core import Run
        from refrain import Model
        models = [model.name for model in Model.list(Run.get_context().experiment.workspace)]
        open(sys.argv[1], "w").write(" ".join(models))
    """
    step = project.step("lists", code, [out], outputs=[out])
    project.run(step)
    assert project.run(step).verdict("lists") is Verdict.REUSED
    project.state.registry.add("models", "other", {"schema": 1})
    again = project.run(step)
    assert again.verdict("lists") is Verdict.MODEL_CHANGED
    assert "what its script was told of models cannot be looked up again: The record 'registry/models/other/1'" in (
        again.heard.decisions["lists"].detail
    )


def test_a_script_that_found_no_model_runs_again_when_there_is_one(project: Project) -> None:
    code = """
        import sys
        from azureml.core.model import Model
        from azureml.exceptions import ModelNotFoundException
        try:
            text = open(Model.get_model_path("net")).read()
        except ModelNotFoundException as error:
            text = str(error)
        open(sys.argv[1], "w").write(text)
    """
    out = PipelineData("out")
    step = project.step("reads", code, [out])
    assert project.run(step).text("reads", "out") == "Unknown model 'net'. Known: none."
    assert project.run(step).verdict("reads") is Verdict.REUSED
    registered(project, "one")
    again = project.run(step)
    assert again.heard.decisions["reads"].detail == "its script found no model 'net', and now there is version 1"
    assert again.text("reads", "out") == "one"


def test_a_script_registers_a_model_which_a_reused_step_does_not_do_again(project: Project) -> None:
    out = PipelineData("out")
    step = project.step("registers", REGISTERS, [out, "one"])
    first = project.run(step)
    assert first.text("registers", "out") == "net 1 {'by': 'step'} True"
    model = Model(project.workspace, "net")
    assert (model.version, model.tags, model.run_id) == (1, {"by": "step"}, first.step("registers").run_id)
    assert first.step("registers").models[0]["how"] == "registered"
    registered(project, "two")
    again = project.run(step)
    assert again.verdict("registers") is Verdict.REUSED
    assert Model(project.workspace, "net").version == 2
    model.delete()
    third = project.run(step)
    assert third.heard.decisions["registers"].detail == "its script registered version 1 of model 'net', which is gone"
    assert third.text("registers", "out").startswith("net 3 ")


def test_a_challenger_runs_until_it_has_lost_against_what_it_registered(project: Project) -> None:
    code = """
        import sys
        from azureml.core import Model, Run
        ws = Run.get_context().experiment.workspace
        champion = float(Model(ws, "net").tags["auc"])
        if champion < 0.9:
            open("net.txt", "w").write("challenger")
            model = Model.register(ws, "net.txt", "net", tags={"auc": 0.9})
        open(sys.argv[1], "w").write(f"{champion} {Model(ws, 'net').version} {[m.id for m in Model.list(ws)]}")
        assert ws.models["net"].version == Model(ws, "net").version
    """
    out = PipelineData("out")
    registered(project, "champion", tags={"auc": 0.5})
    step = project.step("compares", code, [out])
    assert project.run(step).text("compares", "out") == "0.5 2 ['net:2', 'net:1']"
    second = project.run(step)
    assert second.verdict("compares") is Verdict.MODEL_CHANGED
    assert second.text("compares", "out") == "0.9 2 ['net:2', 'net:1']"
    assert project.run(step).verdict("compares") is Verdict.REUSED
    Model(project.workspace, "net").add_tags({"auc": "0.4"})
    assert project.run(step).heard.decisions["compares"].detail == (
        "its script used version 2 of model 'net', of which something else is known now"
    )


def test_what_is_known_of_a_model_is_that_of_the_input(project: Project) -> None:
    code = """
        import sys
        from azureml.core import Model, Run
        model = Model(Run.get_context().experiment.workspace, "net")
        open(sys.argv[1], "w").write(f"{model.version} {open(Model.get_model_path('net')).read()}")
    """
    first, out = registered(project, "one"), PipelineData("out")
    registered(project, "two")
    step = project.step("sees", code, [out], inputs=[first])
    assert project.run(step).text("sees", "out") == "1 one"
    registered(project, "three")
    assert project.run(step).verdict("sees") is Verdict.REUSED
    first.add_tags({"stage": "retired"})
    assert project.run(step).heard.decisions["sees"].detail == (
        "its script used version 1 of model 'net', of which something else is known now"
    )


def test_what_is_known_of_the_newest_model_counts_although_it_is_an_input(project: Project) -> None:
    code = """
        import sys
        from azureml.core import Model, Run
        model = Model(Run.get_context().experiment.workspace, "net")
        open(sys.argv[1], "w").write(f"{model.version} {model.tags}")
    """
    out = PipelineData("out")
    step = project.step("sees", code, [out], inputs=[ModelInput("net")])
    registered(project, "same", tags={"threshold": "0.1"})
    first = project.run(step)
    assert first.text("sees", "out") == "1 {'threshold': '0.1'}"
    assert not any("newest version" in note for note in first.heard.notes)
    assert project.run(step).verdict("sees") is Verdict.REUSED
    registered(project, "same", tags={"threshold": "0.9"})
    assert project.run(step).text("sees", "out") == "2 {'threshold': '0.9'}"


def test_a_script_can_delete_what_it_has_registered(project: Project) -> None:
    code = """
        import sys
        from azureml.core import Model, Run
        open("net.txt", "w").write("net")
        model = Model.register(Run.get_context().experiment.workspace, "net.txt", "net")
        model.delete()
        open(sys.argv[1], "w").write(model.id)
    """
    assert project.run(project.step("drops", code, [PipelineData("out")])).text("drops", "out") == "net:1"
    assert project.workspace.models == {}


def test_what_a_failed_step_used_is_recorded(project: Project) -> None:
    registered(project, "one")
    out = PipelineData("out")
    step = project.step("reads", READS + "    raise SystemExit(3)\n", [out, "net"], outputs=[out])
    ran = project.run(step)
    assert ran.status == "Failed"
    assert [use["version"] for use in ran.step("reads").models] == [1]


def test_another_try_of_a_step_registers_nothing_twice(project: Project) -> None:
    versions, content = ModelVersions(project.state.registry), registered(project, "one", "other")._record.content
    tries = [ModelRecord(content, run_id=run_id) for run_id in ("r1.train.1", "r1.train.2", "r2.train.1", "", "")]
    assert [versions.add("net", record) for record in tries] == [1, 1, 2, 3, 4]


def test_an_interpreter_without_refrain_is_told_of_models_too(project: Project, tmp_path: Path) -> None:
    registered(project, "one")
    out, config = PipelineData("out"), RunConfiguration()
    venv.create(tmp_path / "bare", with_pip=False)
    config.environment.python.user_managed_dependencies = True
    config.environment.python.interpreter_path = str(tmp_path / "bare" / "bin" / "python")
    code = (
        READS.replace("azureml.core.model", "refrain")
        + """
    import refrain
    assert not hasattr(refrain, "__version__")
    """
    )
    step = project.step("reads", code, [out, "net"], outputs=[out], runconfig=config)
    assert project.run(step).text("reads", "out") == "one"


def test_a_run_says_what_it_has_when_a_model_is_not_among_it(project: Project) -> None:
    out = PipelineData("out")
    ran = project.run(
        project.step("registers", REGISTERS.replace('"outputs/net.txt", tags', '"outputs/no.txt", tags'), [out, "1"])
    )
    assert "ModelPathNotFoundException: This run has no file or folder 'outputs/no.txt'" in ran.error("registers")
    assert "It has: outputs/net.txt." in ran.error("registers")
