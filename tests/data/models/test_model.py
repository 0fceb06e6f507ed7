"""Registered models: versions, bytes that are stored once and verified, labels, and what is found again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from refrain import Model, ModelNotFoundException, Workspace
from refrain.data.models.content import FOLDER
from refrain.errors import DataError, ModelPathNotFoundException, UserError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"\x00weights\xff")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "net"
    (path / "layers" / "none").mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "layers" / "1").write_text("one")
    return path


def stored(workspace: Workspace) -> list[str]:
    """The files of all models, below the folder that is theirs."""
    top = Path(workspace.root) / FOLDER
    return sorted(str(path.relative_to(top)).partition("/")[2] for path in top.rglob("*") if path.is_file())


def test_a_file_is_registered_and_comes_back(workspace: Workspace, weights: Path, tmp_path: Path, capsys) -> None:
    model = Model.register(
        workspace, weights, "net", {"stage": 1}, {"auc": 0.9}, "A net", model_framework="Torch",
        model_framework_version="2", datasets=[("training", "some-id")],
    )  # fmt: skip
    assert capsys.readouterr().out == "Registering model net\n"
    weights.unlink()
    found = Model(Workspace(workspace.root), "net")
    assert (found.name, found.version, found.id, found.run_id) == ("net", 1, "net:1", None)
    assert (found.description, found.tags, found.properties) == ("A net", {"stage": "1"}, {"auc": "0.9"})
    assert (found.model_framework, found.model_framework_version) == ("Torch", "2")
    assert found.serialize()["datasets"] == [["training", "some-id"]]
    assert found.created_time == model.created_time
    target = found.download(tmp_path / "here")
    assert (target, Path(target).read_bytes()) == (str(tmp_path / "here" / "weights.bin"), b"\x00weights\xff")


def test_a_folder_keeps_its_name_and_all_that_is_in_it(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    Model.register(workspace, folder, "net")
    target = Path(Model(workspace, "net").download(tmp_path / "here"))
    assert target == tmp_path / "here" / "net"
    assert (target / "layers" / "1").read_text() == "one"
    assert (target / "layers" / "none").is_dir()


def test_only_the_chosen_files_of_a_folder_belong_to_a_model(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    model = Model.register(workspace, folder, "net", child_paths=["layers/1"])
    target = Path(model.download(tmp_path / "here"))
    assert [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()] == ["layers/1"]
    with pytest.raises(ModelPathNotFoundException, match=r"folder '.*net' has no 'layers/2'"):
        Model.register(workspace, folder, "net", child_paths=["layers/2"])
    with pytest.raises(DataError, match=r"The child path '\.\./x' leads out of the model's folder"):
        Model.register(workspace, folder, "net", child_paths=["../x"])


def test_each_registration_is_a_version_and_equal_bytes_are_stored_once(workspace: Workspace, weights: Path) -> None:
    first, second = Model.register(workspace, weights, "net"), Model.register(workspace, weights, "other")
    again = Model.register(workspace, weights, "net")
    assert (first.version, second.version, again.version) == (1, 1, 2)
    assert stored(workspace) == [".registered", "weights.bin"]
    weights.write_bytes(b"new")
    assert Model.register(workspace, weights, "net").version == 3
    assert Model(workspace, "net").version == 3
    assert Model(workspace, "net", version=1).url == first.url
    assert Model(workspace, id="net:2").version == 2


def test_many_writers_get_versions_of_their_own(workspace: Workspace, weights: Path) -> None:
    found: list[int] = []

    def register() -> None:
        found.append(Model.register(Workspace(workspace.root), weights, "net").version)

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))
    assert stored(workspace) == [".registered", "weights.bin"]


def test_the_number_of_a_deleted_version_is_not_given_again(workspace: Workspace, weights: Path) -> None:
    Model.register(workspace, weights, "net")
    last = Model.register(workspace, weights, "net")
    last.delete()
    with pytest.raises(ModelNotFoundException, match=r"Model 'net' has no version 2\. Known: 1\."):
        last.add_tags({"a": "b"})
    assert Model(workspace, "net").version == 1
    assert Model.register(workspace, weights, "net").version == 3
    for model in Model.list(workspace, "net"):
        model.delete()
    assert workspace.models == {}
    assert Model.register(workspace, weights, "net").version == 4


def test_bytes_that_were_damaged_are_not_given_to_anybody(workspace: Workspace, weights: Path, tmp_path: Path) -> None:
    model = Model.register(workspace, weights, "net")
    (copy,) = (Path(workspace.root) / FOLDER).glob("*/weights.bin")
    copy.write_bytes(b"\x00WEIGHTS\xff")
    with pytest.raises(DataError, match=r"Version 1 of model 'net' at .* is not what was registered: .* repairs it"):
        model.download(tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []
    Model.register(workspace, weights, "net")
    assert Path(model.download(tmp_path / "here")).read_bytes() == b"\x00weights\xff"


def test_a_download_replaces_nothing_unless_it_may(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    model = Model.register(workspace, folder, "net")
    with pytest.raises(DataError, match=r"net' is there already\. Pass exist_ok=True to replace it"):
        model.download(tmp_path)
    (tmp_path / "net" / "mine").write_text("mine")
    assert model.download(tmp_path, exist_ok=True) == str(folder)
    assert not (folder / "mine").exists()


def test_labels_change_and_properties_do_not(workspace: Workspace, weights: Path) -> None:
    model = Model.register(workspace, weights, "net", {"a": "1"}, {"p": "1"})
    model.add_tags({"b": 2})
    model.remove_tags(["a"])
    model.add_properties({"q": 3})
    model.update(description="new")
    again = Model(workspace, "net")
    assert (again.tags, again.properties, again.description) == ({"b": "2"}, {"p": "1", "q": "3"}, "new")
    with pytest.raises(UserError, match=r"Version 1 of model 'net': its property 'p' is '1' and cannot become '2'"):
        model.add_properties({"p": "2"})


def test_versions_are_found_by_what_they_have(workspace: Workspace, weights: Path) -> None:
    Model.register(workspace, weights, "a", {"stage": "test"})
    Model.register(workspace, weights, "a", {"stage": "live"}, {"p": "1"}, datasets=[("training", "d")])
    Model.register(workspace, weights, "b", model_framework="Torch")

    def ids(**wanted: object) -> list[str]:
        return [model.id for model in Model.list(workspace, **wanted)]

    assert ids() == ["a:2", "a:1", "b:1"]
    assert ids(latest=True) == ["a:2", "b:1"]
    assert ids(name="a", tags=["stage"]) == ["a:2", "a:1"]
    assert ids(tags=[["stage", "test"]]) == ids(tags={"stage": "test"}) == ["a:1"]
    assert ids(properties="p") == ids(dataset_id="d") == ["a:2"]
    assert ids(model_framework="Torch") == ["b:1"]
    assert Model(workspace, "a", tags=[["stage", "test"]]).version == 1
    with pytest.raises(ModelNotFoundException, match=r"No version of model 'a' fits to tags=\['x'\]"):
        Model(workspace, "a", tags=["x"])
    with pytest.raises(UserError, match=r"3 is no label to look for"):
        ids(tags=[3])


def test_what_cannot_be_a_model_is_refused(workspace: Workspace, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelPathNotFoundException, match=r"There is nothing at '.*/none' that a model could be"):
        Model.register(workspace, tmp_path / "none", "net")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"The folder '.*/empty' holds no file that a model could be"):
        Model.register(workspace, tmp_path / "empty", "net")
    with pytest.raises(UserError, match=r"'my model' is no valid name for a model: use letters"):
        Model.register(workspace, weights, "my model")
    Model.register(workspace, weights, "net")
    with pytest.raises(ModelNotFoundException, match=r"Unknown model 'nit'\. Known: net\. Did you mean 'net'\?"):
        Model(workspace, "nit")
    with pytest.raises(UserError, match=r"Model needs a name, or an id such as 'name:1', not 'net'"):
        Model(workspace, id="net")


def test_the_path_of_a_model_outside_of_a_step_is_that_of_a_copy(
    workspace: Workspace, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Model.register(workspace, weights, "net")
    path = Model.get_model_path("net", _workspace=workspace)
    assert path == "azureml-models/net/1/weights.bin"
    assert Model.get_model_path("net", 1, workspace) == path
    assert Path(path).read_bytes() == b"\x00weights\xff"
    with pytest.raises(UserError, match=r"outside of a step needs _workspace="):
        Model.get_model_path("net")
