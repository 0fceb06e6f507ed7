import io
import json
import os
import time
from pathlib import Path

import pytest

from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException
from refrain.runtime.run import Run

PNG = b"\x89PNG\r\n\x1a\n...."


def said(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in {"v", "t"}} for line in lines]


class Figure:
    def savefig(self, target: io.BytesIO, format: str) -> None:
        target.write(PNG)


# -- what a run is


def test_a_step_has_one_run(run):
    assert Run.get_context() is run
    assert Run.get_context(allow_offline=False) is run


def test_a_run_knows_itself_and_what_is_above_it(run):
    assert (run.id, run.name, run.type, run.get_status()) == ("r1.train.0", "train", "azureml.StepRun", "Running")
    assert (run.parent.id, run.parent.name, run.parent.parent) == ("r1", "retrain", None)
    assert run.experiment.name == "diabetes"
    assert (run.experiment.workspace.name, run.experiment.workspace.root) == ("ws", "/data/ws")
    assert run.input_datasets == {"raw": "/data/raw.csv"}
    assert run.output_datasets == {"prepared": "/data/prepared"}
    assert run.parent.input_datasets == {}
    with pytest.warns(DeprecationWarning, match="Use Run.id"):
        assert run.number == 1


def test_a_run_details_itself_under_the_keys_of_azure_ml(run, run_folder):
    details = run.get_details()

    assert (details["runId"], details["status"], details["target"]) == ("r1.train.0", "Running", "local")
    assert details["inputDatasets"][0]["consumptionDetails"]["inputName"] == "raw"
    assert details["logFiles"] == {"user_logs/std_log.txt": str(run_folder / "logs" / "std_log.txt")}
    assert time.strptime(details["startTimeUtc"], "%Y-%m-%dT%H:%M:%SZ")


def test_how_a_run_is_shown_can_be_set(run):
    assert (run.display_name, run.description) == ("train", "")

    run.display_name, run.description = "Training", "of the week"

    assert (run.display_name, run.description, run.name) == ("Training", "of the week", "train")


def test_a_run_holds_no_secrets(run):
    with pytest.raises(UserErrorException, match=r"Secret 'key' .*os.environ"):
        run.get_secret("key")


# -- metrics


def test_metrics_come_back_as_they_were_logged(run):
    run.log("loss", 0.5)
    run.log("loss", 0.25, step=1)
    run.log_list("folds", (n for n in (1, 2)))
    run.log_list("none", [])
    run.log_row("sine", angle=0, sine=0.0)
    run.log_table("curve", {"x": [1, 2], "y": [3, 4]})

    assert run.get_metrics() == {
        "loss": [0.5, 0.25],
        "folds": [1, 2],
        "sine": {"angle": 0, "sine": 0.0},
        "curve": {"x": [1, 2], "y": [3, 4]},
    }
    assert run.get_metrics("loss") == {"loss": [0.5, 0.25]}
    assert run.get_metrics("missing") == {}


def test_what_is_logged_to_the_parent_goes_to_the_pipeline_run(run, run_folder):
    run.parent.log("best", 1)
    run.parent.tag("winner", "train")

    assert [(event["run"], event["kind"]) for event in said(run_folder)] == [("..", "metric"), ("..", "tag")]
    assert run.get_metrics() == {}
    assert run.parent.get_metrics() == {"best": 1}
    assert run.parent.get_tags() == {"by": "schedule", "winner": "train"}


def test_an_image_is_kept_under_its_own_path(run, run_folder, work):
    (work / "plots").mkdir()
    (work / "plots" / "a.png").write_bytes(PNG)

    run.log_image("roc", path=work / "plots" / "a.png")

    assert (run_folder / "artifacts" / "plots" / "a.png").read_bytes() == PNG
    assert said(run_folder)[-1] == {"run": "", "kind": "image", "name": "roc", "artifact": "plots/a.png"}
    assert run.get_metrics()["roc"] == "aml://artifactId/ExperimentRun/dcid.r1.train.0/plots/a.png"


def test_plots_are_kept_under_their_name_and_the_time(run, run_folder):
    before = int(time.time())
    for _ in range(3):
        run.log_image("roc/x", plot=Figure())

    names = run.get_file_names()
    assert len(names) == 3
    assert all(before <= int(name[: -len(".png")].split("_")[2]) <= time.time() for name in names)
    assert all((run_folder / "artifacts" / name).read_bytes() == PNG for name in names)


@pytest.mark.parametrize(("arguments", "got"), [({}, "neither"), ({"path": "a.png", "plot": Figure()}, "both")])
def test_an_image_is_a_path_or_a_plot(run, arguments, got):
    with pytest.raises(UserErrorException, match=f"Image 'roc' takes path= or plot= and got {got}. Give exactly one"):
        run.log_image("roc", **arguments)


@pytest.mark.parametrize("kind", ["confusion_matrix", "accuracy_table", "residuals", "predictions"])
def test_documents_are_kept_under_the_name_of_their_metric(run, run_folder, kind):
    document = {"schema_type": kind, "schema_version": "v1", "data": {"matrix": [[1, 2], [3, 4]]}}

    getattr(run, f"log_{kind}")("first", document)
    getattr(run, f"log_{kind}")("second", json.dumps(document))

    assert json.loads((run_folder / "artifacts" / "second").read_text()) == document
    assert said(run_folder)[1] == {"run": "", "kind": "document", "name": "first", "artifact": "first", "type": kind}
    assert run.get_metrics(populate=True) == {"first": document, "second": document}
    with pytest.raises(UserErrorException, match="Artifact 'first' exists already"):
        getattr(run, f"log_{kind}")("first", document)


@pytest.mark.parametrize("value", ["{broken", "[1]", 3])
def test_a_document_is_a_dict_or_its_json(run, value):
    with pytest.raises(UserErrorException, match=r"The confusion matrix 'c' is .*Give a dict"):
        run.log_confusion_matrix("c", value)


def test_a_document_may_hold_arrays(run, run_folder):
    import numpy as np

    run.log_residuals("r", {"data": {"edges": np.array([0.5, 1]), "n": np.int64(3)}})

    assert json.loads((run_folder / "artifacts" / "r").read_text()) == {"data": {"edges": [0.5, 1.0], "n": 3}}


# -- tags and properties


def test_tags_can_be_set_again_and_removed(run):
    run.tag("stage", "prod")
    run.tag("quick")
    run.set_tags({"a": "1", "b": "2", "c": "3"})
    run.remove_tags(["a"])
    run.remove_tags("b")

    assert run.get_tags() == run.tags == {"stage": "prod", "quick": None, "c": "3"}


def test_a_tag_is_text(run):
    with pytest.warns(UserWarning, match=r"Tag 'epochs' is a int; it is stored as text"):
        run.tag("epochs", 3)

    assert run.tags["epochs"] == "3"


def test_tags_are_a_dict(run):
    with pytest.raises(UserErrorException, match=r"Tag values came as a list. Give a dict"):
        run.set_tags(["a"])


def test_a_property_never_changes(run):
    run.add_properties({"author": "ada"})
    run.add_properties({"author": "ada"})

    with pytest.raises(UserErrorException, match=r"Property 'author' of run 'r1.train.0' is 'ada' and cannot become"):
        run.add_properties({"new": "1", "author": "bob"})
    with pytest.raises(UserErrorException, match=r"Property 'StepType' .*run.tag"):
        run.add_properties({"StepType": "x"})
    assert run.get_properties() == run.properties == {"StepType": "PythonScriptStep", "author": "ada"}


# -- files


def test_files_folders_and_streams_are_kept(run, run_folder, work):
    (work / "d" / "e").mkdir(parents=True)
    (work / "d" / "e" / "f").write_text("1")
    (work / "g").write_text("2")

    run.upload_file("one", "g")
    run.upload_file("stream", io.BytesIO(b"3"))
    run.upload_files(["m/a", "m/b"], ["g", "d/e/f"])
    run.upload_folder("folder/", "d")
    run.upload_folder(".", "d")

    names = ["e/f", "folder/e/f", "m/a", "m/b", "one", "stream"]
    assert run.get_file_names() == names
    assert sorted(event["name"] for event in said(run_folder)) == names


def test_wrong_uploads_leave_no_event(run, run_folder, work):
    (work / "g").write_text("2")

    with pytest.raises(UserErrorException, match="is not a relative path"):
        run.upload_file("../g", "g")
    with pytest.raises(UserErrorException, match=r"got 1 names and 2 paths\. Give one path each"):
        run.upload_files(["a"], ["g", "g"])
    with pytest.raises(ArtifactNotFoundException, match="Folder 'a' cannot be uploaded: 'missing' is no folder"):
        run.upload_folder("a", "missing")
    assert not (run_folder / "events.jsonl").exists()


def test_files_come_back(run, work):
    run.upload_file("a/b.txt", io.BytesIO(b"1"))

    run.download_file("a/b.txt")
    run.download_file("a/b.txt", "new/c.txt")
    (work / "there").mkdir()
    run.download_file("a/b.txt", "there")
    run.download_files("a/", output_directory="all", append_prefix=False)

    for path in ("b.txt", "new/c.txt", "there/b.txt", "all/b.txt"):
        assert (work / path).read_bytes() == b"1"


# -- child runs and the end


def test_a_child_run_logs_for_itself(run, run_folder):
    child = run.child_run("fold-1")
    child.log("acc", 1)
    child.upload_file("model", io.BytesIO(b"1"))
    grandchild = child.child_run(run_id="my-run")
    grandchild.log("acc", 2)

    assert child.name == "train>fold-1"
    assert child.id.startswith("r1.train.0.")
    assert (grandchild.id, grandchild.parent, child.parent) == ("my-run", child, run)
    assert run.get_metrics() == {}
    assert run.get_metrics(recursive=True) == {child.id: {"acc": 1}, "my-run": {"acc": 2}}
    assert run.get_metrics(recursive=True, run_type="azureml.StepRun") == {}
    assert [found.id for found in run.get_children()] == [child.id]
    assert [found.id for found in run.get_children(recursive=True)] == [child.id, "my-run"]
    assert (run_folder / "children" / child.id / "artifacts" / "model").exists()
    assert run.get_file_names() == []


@pytest.mark.parametrize("wanted", ["", "..", "../x", "a/b", "-a", "r1.train.0", "a" * 256])
def test_a_child_id_is_fit_for_a_folder(run, wanted):
    with pytest.raises(UserErrorException, match=r"A child run cannot have the id .*Ids begin with a letter"):
        run.child_run(run_id=wanted)


def test_a_child_ends_with_its_block(run, work):
    (work / "made").mkdir()
    (work / "made" / "f").write_text("")
    with run.child_run("good", outputs="made") as good:
        assert good.status == "Running"
    bad = run.child_run("bad")
    with pytest.raises(KeyError), bad:
        raise KeyError("x")
    canceled = run.child_run("canceled")
    canceled.cancel()

    assert (good.status, bad.status, canceled.status) == ("Completed", "Failed", "Canceled")
    assert good.get_file_names() == ["outputs/f"]
    error = bad.get_details()["error"]["error"]
    assert (error["code"], error["message"]) == ("UserError", "User program failed with KeyError: 'x'")
    assert "KeyError" in error["debug_stack_trace"]
    assert [child.id for child in run.get_children(status="Failed")] == [bad.id]


def test_children_are_created_by_count_or_by_tag(run):
    three = run.create_children(count=3)
    tagged = run.create_children(tag_key="fold", tag_values=["a", "b"])

    assert len({child.id for child in three}) == 3
    assert [child.tags for child in tagged] == [{"fold": "a"}, {"fold": "b"}]
    assert [child.id for child in run.get_children(tags={"fold": "b"})] == [tagged[1].id]
    assert len(list(run.get_children(tags="fold"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"takes count=, or tag_key= with tag_values="),
        ({"tag_key": "a"}, r"takes count=, or tag_key= with tag_values="),
        ({"count": 101}, r"cannot make 101 runs .*1 to 100"),
        ({"count": 0}, r"cannot make 0 runs"),
        ({"count": 1, "tag_key": "a", "tag_values": ["1", "2"]}, r"cannot make 2 runs \(count=1\)"),
    ],
)
def test_children_are_created_within_limits(run, arguments, message):
    with pytest.raises(UserErrorException, match=message):
        run.create_children(**arguments)


def test_the_own_run_does_not_end_by_a_call(run, run_folder):
    run.complete()
    run.flush()
    with pytest.warns(UserWarning, match=r"not failed by a call: raise an exception or exit with a code"):
        run.fail("bad data")
    with pytest.warns(UserWarning, match=r"not canceled by a call"):
        run.cancel()
    with run:
        pass

    assert run.status == "Running"
    assert not (run_folder / "events.jsonl").exists()


@pytest.mark.parametrize("method", ["complete", "fail", "cancel", "child_run"])
def test_a_step_does_not_end_its_pipeline(run, method):
    with pytest.raises(NotImplementedError, match=f"A step cannot call {method} on its pipeline run 'r1'"):
        getattr(run.parent, method)()


def test_a_run_survives_a_change_of_folder_and_of_environment(run, tmp_path, monkeypatch):
    os.chdir(tmp_path)
    monkeypatch.delenv("REFRAIN_RUN_DIR")

    run.log("a", 1)

    assert run.get_metrics() == {"a": 1}
