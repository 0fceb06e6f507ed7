from __future__ import annotations

from pathlib import Path

from cli.sample import PIPELINE, TRAIN, Refrain, write


def test_before_the_first_run_only_what_has_its_inputs_is_decided(refrain: Refrain, project: Path) -> None:
    called = refrain("explain", "pipeline.py")
    assert called.code == 0
    assert called.out.splitlines()[1].split(maxsplit=1) == ["prepare", "first run"]
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
