"""Models as a script has them, against an engine that answers by a table."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refrain.runtime.context import Workspace
from refrain.runtime.errors import (
    ModelNotFoundException,
    ModelPathNotFoundException,
    RunException,
    UserErrorException,
)
from refrain.runtime.models import Model
from refrain.runtime.questions import reply, waiting
from refrain.runtime.run import Run

KNOWN = {
    "id": "net:3", "name": "net", "version": 3, "description": None, "tags": {"a": "b"}, "properties": {},
    "framework": "Torch", "frameworkVersion": "2", "runId": None, "url": "file:///store/net.bin",
}  # fmt: skip
OWN = Workspace("ws", "/data/ws")


class Engine(dict[str, Any]):
    """Answers by the word that is asked, and remembers the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    def serve(self, folder: Path, is_over: threading.Event) -> None:
        while not is_over.is_set():
            for name, question in waiting(str(folder)):
                self.asked.append(question["values"])
                reply(str(folder), name, self[question["ask"]])
            time.sleep(0.002)


@pytest.fixture
def engine(tmp_path: Path, run_folder: Path, context: dict[str, Any], run: Run) -> Iterator[Engine]:
    folder = tmp_path / "questions"
    folder.mkdir()
    (run_folder / "context.json").write_text(json.dumps({**context, "questions": str(folder)}))
    made, is_over = Engine(), threading.Event()
    thread = threading.Thread(target=made.serve, args=(folder, is_over))
    thread.start()
    yield made
    is_over.set()
    thread.join()


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("ModelNotFoundException", ModelNotFoundException),
        ("ModelPathNotFoundException", ModelPathNotFoundException),
        ("UserError", UserErrorException),
        ("DataError", RunException),
    ],
)
def test_what_the_engine_refuses_is_raised_under_azures_name(engine: Engine, kind: str, raised: type) -> None:
    engine["path"] = {"error": {"type": kind, "message": "no"}}
    with pytest.raises(raised, match=r"^no$") as caught:
        Model.get_model_path("net")
    assert type(caught.value) is raised


def test_a_model_tells_what_the_engine_knows_of_it(engine: Engine) -> None:
    engine["find"] = {"model": KNOWN}
    model = Model(OWN, "net", tags=["a"])
    assert (model.id, model.name, model.version, model.description, model.tags) == ("net:3", "net", 3, None, {"a": "b"})
    assert (model.model_framework, model.model_framework_version, model.run_id) == ("Torch", "2", None)
    assert engine.asked[0]["tags"] == ["a"]
    engine["update_tags_properties"] = {"model": {**KNOWN, "tags": {"a": "c"}}}
    model.add_tags({"a": "c"})
    assert model.tags == {"a": "c"}
    assert engine.asked[1] == {"id": "net:3", "add_tags": {"a": "c"}, "remove_tags": None, "add_properties": None}


def test_models_of_another_workspace_are_not_asked_for(engine: Engine) -> None:
    with pytest.raises(UserErrorException, match=r"those of its own workspace '/data/ws', not of '/data/other'"):
        Model(Workspace("other", "/data/other"), "net")


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_download_is_a_copy(engine: Engine, tmp_path: Path, work: Path, is_folder: bool) -> None:
    source = tmp_path / "net"
    if is_folder:
        source.mkdir()
        (source / "part").write_text("weights")
    else:
        source.write_text("weights")
    engine["find"], engine["path"] = {"model": KNOWN}, {"path": str(source)}
    model = Model(OWN, "net")
    copy = Path(model.download("here"))
    assert ((copy / "part") if is_folder else copy).read_text() == "weights"
    with pytest.raises(UserErrorException, match=r"'here/net' is there already\. Pass exist_ok=True"):
        model.download("here")
    assert model.download("here", exist_ok=True) == "here/net"
    assert model.download(str(tmp_path)) == str(source), "it is there, and stays"


@pytest.mark.parametrize(("path", "found"), [("kept/x.txt", True), ("outputs/net", True), ("outputs/no", False)])
def test_a_run_registers_artifacts_and_what_will_become_one(
    engine: Engine, run: Run, run_folder: Path, work: Path, path: str, found: bool
) -> None:
    engine["register"] = {"model": KNOWN}
    Path("outputs").mkdir()
    Path("outputs/net").write_text("weights")
    Path("x.txt").write_text("x")
    run.upload_file("kept/x.txt", "x.txt")
    if found:
        assert run.register_model("net", path, tags={"auc": 0.9}).version == 3
        where = run_folder / "artifacts" / path if path.startswith("kept") else work / path
        assert (engine.asked[0]["model_path"], engine.asked[0]["tags"]) == (str(where), {"auc": 0.9})
    else:
        with pytest.raises(ModelPathNotFoundException, match=r"'outputs/no' to .* has: kept/x\.txt, outputs/net\."):
            run.register_model("net", path)
