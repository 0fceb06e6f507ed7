from __future__ import annotations

from pathlib import Path

from cli.sample import PIPELINE, PREPARE, TRAIN, Refrain, write
from refrain import Workspace


def test_before_the_first_run_only_what_has_its_inputs_is_decided(refrain: Refrain, project: Path) -> None:
    called = refrain("explain", "pipeline.py")
    assert called.code == 0
    assert called.out.splitlines()[1].split(maxsplit=1) == ["prepare", "first run"]
    assert "decided when prepare has run" in called.out
    assert "1 can only be decided once those before them have run." in called.out


def test_nothing_is_run_and_no_run_is_recorded(refrain: Refrain, project: Path) -> None:
    refrain("explain", "pipeline.py")
    assert refrain("runs", "--json").document["runs"] == []


def test_what_would_be_reused_names_the_run_and_what_that_saves(refrain: Refrain, project: Path) -> None:
    first = refrain("run", "pipeline.py", "--json").document
    called = refrain("explain", "pipeline.py")
    assert f"from {first['run_id'][:8]}.train.1, which took" in called.out
    assert called.out.rstrip().splitlines()[-1].startswith("2 of 2 steps would be reused (")


def test_a_changed_parameter_is_told_from_old_to_new(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    called = refrain("explain", "pipeline.py", "--param", "alpha=0.25")
    assert "parameter alpha: 0.5 → 0.25" in called.out


def test_a_changed_file_is_named(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    write(project, "train/train.py", TRAIN + "# changed\n")
    steps = refrain("explain", "pipeline.py", "--json").document["steps"]
    assert steps[1]["changes"] == [{"what": "source", "detail": "changed train.py"}]


def test_a_step_is_shown_with_every_field_and_what_changed(refrain: Refrain, project: Path) -> None:
    first = refrain("run", "pipeline.py", "--json").document
    called = refrain("explain", "pipeline.py", "train", "--param", "alpha=0.25")
    fields = {line[:13].strip(): line[13:].split() for line in called.out.splitlines()}
    assert f"Compared with {first['run_id'][:8]}.train.1, the most similar earlier result." in called.out
    assert fields["parameter alpha"[:13]][-3:] == ["0.5", "→", "0.25"]
    for name in ("kind", "source", "argument 1", "input clean", "output model", "Python", "platform", "packages"):
        assert name in fields


def test_an_order_without_data_is_one_of_the_fields(refrain: Refrain, project: Path) -> None:
    write(project, "ordered.py", PIPELINE.replace("pipeline = ", "train.run_after(prepare)\npipeline = "))
    first = refrain("run", "ordered.py", "--json").document
    (step,) = refrain("explain", "ordered.py", "train", "--json").document["steps"]
    assert {"field": "order", "now": f"after {first['run_id'][:8]}.prepare.1", "change": ""} in step["fields"]


def test_a_step_s_document_has_its_fields_and_preimage(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    (step,) = refrain("explain", "pipeline.py", "train", "--json").document["steps"]
    assert (step["verdict"], step["preimage"]["kind"]) == ("reused", "python_script")
    assert {"field": "argument 1", "now": "'train.py'", "change": ""} in step["fields"]


def test_force_is_explained_too(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    steps = refrain("explain", "pipeline.py", "--force", "train", "--json").document["steps"]
    assert [step["verdict"] for step in steps] == ["reused", "forced"]


def test_an_unknown_step_is_wrong_use(refrain: Refrain, project: Path) -> None:
    called = refrain("explain", "pipeline.py", "trian")
    assert called.code == 2
    assert "There is no step 'trian'. Known: prepare, train. Did you mean 'train'?" in called.err


def test_a_step_whose_source_is_gone_has_an_error(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    (project / "train").rename(project / "elsewhere")
    called = refrain("explain", "pipeline.py", "--json")
    if called.code == 1:  # found when the step is decided, not when it is defined
        assert [step["verdict"] for step in called.document["steps"]] == ["reused", "error"]
    else:
        assert called.code == 2
        assert "train" in called.document["error"]["message"]


def test_a_step_behind_one_that_runs_has_a_forecast(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    write(project, "prepare/prepare.py", PREPARE + "# changed\n")
    prepare, train = refrain("explain", "pipeline.py", "--json").document["steps"]
    assert (prepare["verdict"], train["verdict"], train["expected"]) == ("changed", "waits for its inputs", "reused")
    assert train["detail"] == "decided when prepare has run; reused if that is the same as before"
    train = refrain("explain", "pipeline.py", "--param", "alpha=0.25", "--json").document["steps"][1]
    assert train["detail"] == (
        "decided when prepare has run; runs even if that is the same as before: changed: parameter alpha: 0.5 → 0.25"
    )
    assert train["expected"] == "changed"


def test_a_forced_step_has_a_forecast_for_those_behind_it(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    steps = refrain("explain", "pipeline.py", "--force", "prepare", "--json").document["steps"]
    assert [(step["verdict"], step["expected"]) for step in steps] == [
        ("forced", None),
        ("waits for its inputs", "reused"),
    ]


def test_a_run_is_explained_afterwards_by_the_same_record(refrain: Refrain, project: Path) -> None:
    Workspace(project / ".refrain/workspace").set_verification("stat")
    refrain("run", "pipeline.py")
    before = refrain("explain", "pipeline.py", "--param", "alpha=0.25", "--json").document["steps"]
    run_id = refrain("run", "pipeline.py", "--param", "alpha=0.25", "--json").document["run_id"]
    after = refrain("explain", run_id[:8], "--json").document
    assert (after["run_id"], after["pipeline"]) == (run_id, "retrain")
    assert [{k: v for k, v in step.items() if k != "run_id"} for step in after["steps"]] == before
    called = refrain("explain", run_id[:8])
    assert called.out.splitlines()[2].split(maxsplit=2) == ["train", "changed", "parameter alpha: 0.5 → 0.25"]
    assert called.out.splitlines()[-1].startswith("1 of 2 steps were reused (")


def test_a_step_of_a_run_is_shown_with_every_field(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    run_id = refrain("run", "pipeline.py", "--param", "alpha=0.25", "--json").document["run_id"]
    for words in ((run_id[:8], "train"), (f"{run_id[:8]}.train",)):
        lines = refrain("explain", *words).out.splitlines()
        assert lines[0] == "train: changed: parameter alpha: 0.5 → 0.25"
        assert any(line.startswith("parameter alpha") and line.endswith("0.5 → 0.25") for line in lines)
    reused = refrain("explain", run_id[:8], "prepare").out.splitlines()
    assert any(line.startswith("packages") for line in reused)


def test_a_run_that_is_not_there_is_wrong_use(refrain: Refrain, project: Path) -> None:
    called = refrain("explain", "abcdef")
    assert (called.code, "No run has an id that begins with 'abcdef'" in called.err) == (2, True)


def test_steps_that_share_a_source_directory_are_named_before_and_during_a_run(refrain: Refrain, project: Path) -> None:
    write(project, "train/prepare.py", PREPARE)
    write(project, "shared.py", PIPELINE.replace('source_directory="prepare"', 'source_directory="train"'))
    called = refrain("explain", "shared.py")
    assert called.out.startswith("Warning: Steps prepare, train share the source directory '")
    assert len(refrain("explain", "shared.py", "--json").document["warnings"]) == 1
    assert refrain("run", "shared.py").err.count("share the source directory") == 1


def test_a_run_verifies_bytes_when_it_is_told_to(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    run_id = refrain("run", "pipeline.py", "--verify", "full", "--json").document["run_id"]
    steps = refrain("explain", run_id[:8], "--json").document["steps"]
    assert [step["check"] for step in steps] == ["content", "content"]
    called = refrain("run", "pipeline.py", "--verify", "always")
    assert (called.code, "Unknown verification 'always'" in called.err) == (2, True)


def test_a_step_is_forced_with_what_comes_after_it(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    forced = refrain("run", "pipeline.py", "--force", "prepare+", "--json").document
    assert [step["verdict"] for step in forced["steps"]] == ["forced", "forced"], run_id


def test_a_file_whose_name_could_begin_a_run_s_id_is_a_file(refrain: Refrain, project: Path) -> None:
    write(project, "feed.py", PIPELINE)
    called = refrain("explain", "feed.py:pipeline")
    assert (called.code, called.out) == (0, refrain("explain", "pipeline.py").out)
