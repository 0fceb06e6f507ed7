import re

import pytest

from refrain.runtime.errors import RunEnvironmentException
from refrain.runtime.run import Run, _OfflineRun


@pytest.fixture
def offline(monkeypatch) -> _OfflineRun:
    monkeypatch.delenv("REFRAIN_RUN_DIR", raising=False)
    run = Run.get_context()
    assert isinstance(run, _OfflineRun)
    return run


def test_an_offline_run_has_an_id_and_is_one(offline):
    assert re.fullmatch(r"OfflineRun_[0-9a-f-]{36}", offline.id)
    assert Run.get_context() is offline


def test_an_offline_run_prints_what_it_is_told(offline, capsys):
    offline.log("acc", 0.9, step=1)
    offline.log_list("l", (n for n in (1, 2)))
    offline.log_row("r", x=1)
    offline.log_table("t", {"x": [1]})
    offline.log_image("i", path="a.png")
    offline.log_confusion_matrix("c", {})
    offline.tag("k", "v")
    offline.upload_files(["a"], ["b"])

    assert capsys.readouterr().out == (
        "Attempted to log scalar metric acc:\n0.9\n"
        "Attempted to log list metric l:\n[1, 2]\n"
        "Attempted to log row metric r:\n{'x': 1}\n"
        "Attempted to log table metric t:\n{'x': [1]}\n"
        "Attempted to log image metric i:\na.png\n"
        "Attempted to log confusion matrix metric c:\n{}\n"
        "Attempted to tag run with k: v\n"
        "Attempted to upload files ['a'] from ['b']\n"
    )


def test_a_block_of_an_offline_run_has_a_start_and_a_stop(offline, capsys):
    with offline.child_run("fold") as child:
        child.log("m", 1)

    out = capsys.readouterr().out
    assert out == f"[START] {child.id}\nAttempted to log scalar metric m:\n1\n[STOP] {child.id}\n"
    assert child.id != offline.id


@pytest.mark.parametrize("name", ["experiment", "input_datasets", "get_metrics", "parent", "register_model"])
def test_what_an_offline_run_lacks_is_named(offline, name):
    assert not hasattr(offline, name)
    with pytest.raises(AttributeError, match=f"no attribute '{name}': this script was not started by a pipeline"):
        getattr(offline, name)


def test_a_script_may_insist_on_a_pipeline(offline):
    with pytest.raises(RunEnvironmentException, match=r"not a step of a pipeline run: .*without allow_offline=False"):
        Run.get_context(allow_offline=False)
