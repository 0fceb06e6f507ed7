from __future__ import annotations

from pathlib import Path

from cli.sample import Refrain, write


def test_a_model_is_registered_listed_shown_downloaded_and_deleted(project: Path, refrain: Refrain) -> None:
    assert refrain("model").out == "No model is registered.\n"
    Path("net.bin").write_text("weights")
    said = refrain("model", "register", "net", "net.bin", "--tag", "stage=live", "--description", "A net")
    assert (said.code, said.out) == (0, "net.bin is version 1 of model 'net' now.\n")
    refrain("model", "register", "net", "net.bin", "--framework", "Torch", "--property", "auc=0.9")

    listed = refrain("model", "list")
    assert [line.split()[:2] for line in listed.out.splitlines()] == [["NAME", "VERSION"], ["net", "2"]]
    document = refrain("model", "list", "net", "--json").document
    assert [model["version"] for model in document["models"]] == [2, 1]
    shown = refrain("model", "show", "net:1").out
    assert "description       A net" in shown
    assert "tags              stage=live" in shown
    assert refrain("model", "show", "net", "--json").document["properties"] == {"auc": "0.9"}

    said = refrain("model", "download", "net:1", "copy")
    assert said.out == "Version 1 of model 'net' is at copy/net.bin now.\n"
    assert Path("copy/net.bin").read_text() == "weights"
    assert refrain("model", "delete", "net:2").out == (
        "Version 2 of model 'net' is forgotten; 'refrain gc' removes its bytes.\n"
    )
    assert refrain("model", "show", "net", "--json").document["version"] == 1


def test_what_is_not_there_or_not_said_is_told(project: Path, refrain: Refrain) -> None:
    Path("net.bin").write_text("weights")
    refrain("model", "register", "net", "net.bin")
    for words, message in (
        (("show", "nett"), "Unknown model 'nett'. Known: net. Did you mean 'net'?"),
        (("list", "nett"), "Unknown model 'nett'. Known: net. Did you mean 'net'?"),
        (("show", "net:2"), "Model 'net' has no version 2. Known: 1."),
        (("show", "net:x"), "Model needs a name, or an id such as 'name:1', not 'net:x'."),
        (("delete", "net"), "Say which version of model 'net' is to be deleted: net:VERSION."),
        (("register", "net", "net.bin", "--tag", "stage"), "A tag or a property is written NAME=VALUE, not 'stage'."),
    ):
        said = refrain("model", *words)
        assert (said.code, said.err.strip()) == (2, f"refrain: {message}")
    assert refrain("model", "register", "net", "none").code == 1
    refrain("model", "download", "net")
    said = refrain("model", "download", "net")
    assert said.code == 1, "net.bin is there, and stays"
    assert "'net.bin' is there already." in said.err


PIPELINE = """
from refrain import ModelInput, Pipeline, PipelineData, PythonScriptStep, Workspace

step = PythonScriptStep("use.py", name="use", source_directory="use", inputs=[ModelInput("net")])
pipeline = Pipeline(Workspace(), [step], name="uses")
"""


def test_the_models_of_a_step_are_shown(project: Path, refrain: Refrain) -> None:
    Path("net.bin").write_text("weights")
    refrain("model", "register", "net", "net.bin")
    write(project, "uses.py", PIPELINE)
    write(project, "use/use.py", "from refrain import Model; print(Model.get_model_path('net')); Model.list(None)")
    said = refrain("run", "uses.py", "--json")
    assert said.code == 0, said.err
    shown = refrain("runs", "show", f"{said.document['run_id'][:8]}.use")
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["net", "1", "latest", "input"] in lines
    assert ["(all)", "latest", "listed"] in lines
