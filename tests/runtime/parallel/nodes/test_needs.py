from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from refrain import Dataset
from refrain.data import brought
from refrain.runtime.parallel.nodes.needs import needs
from refrain.runtime.parallel.settings import Settings


def settings(*words: object) -> Settings:
    required = ["--scoring_module_name", "score.py", "--error_threshold", "0", "--output_action", "summary_only"]
    return Settings([*required, *map(str, words)])


def files(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a\n1\n")
    return [str(folder / name) for name in names]


def described(path: Path, dataset: object) -> Path:
    listed = dataset.source_files()
    path.write_text(brought.describe(dataset, listed, {file.path: Path(file.path) for file in listed}))
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes this process that of a run with these inputs, and returns the run's folder."""

    def make(paths: dict[str, Path], objects: dict[str, Path]) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        context = {
            "schema": 1, "run_id": "r.score.1", "name": "score", "experiment": "e",
            "workspace": {"name": "w", "root": "/"},
            "input_datasets": {name: str(path) for name, path in paths.items()},
            "datasets": {name: str(path) for name, path in objects.items()},
        }  # fmt: skip
        (folder / "context.json").write_text(json.dumps(context))
        monkeypatch.setenv("REFRAIN_RUN_DIR", str(folder))
        return folder

    return make


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REFRAIN_RUN_DIR", raising=False)
    return str(tmp_path / "score.py")


def test_of_a_folder_the_file_behind_its_first_link_is_needed(tmp_path: Path, script: str) -> None:
    (there,) = files(tmp_path / "elsewhere", "a.txt")
    link = tmp_path / "mounted" / "deep" / "a.txt"
    link.parent.mkdir(parents=True)
    link.symlink_to(there)
    assert needs(settings("--input_fds_0", "mounted")) == [script, str(tmp_path / "mounted"), str(link)]


def test_what_is_not_there_on_this_machine_is_asked_of_no_node(tmp_path: Path, script: str) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "a.txt").symlink_to("/not/there")
    assert needs(settings("--input_fds_0", "mounted")) == [script, str(tmp_path / "mounted")]


def test_an_empty_folder_and_a_single_file_are_needed_as_they_are(tmp_path: Path, script: str) -> None:
    (tmp_path / "empty").mkdir()
    (single,) = files(tmp_path, "single")
    words = ["--input_fds_0", tmp_path / "empty", "--input_fds_1", single]
    assert needs(settings(*words)) == [script, str(tmp_path / "empty"), single]


def test_of_files_that_are_cut_by_keys_one_of_each_folder_is_needed(tmp_path: Path, script: str) -> None:
    files(tmp_path / "by", "de/1.txt", "de/2.txt", "fr/1.txt")
    dataset = Dataset.File.from_files(str(tmp_path / "by" / "**"), partition_format="/{country}/{n}.txt")
    words = ["--input_ds_0", described(tmp_path / "d.json", dataset), "--partition_keys", '["country"]']
    found = needs(settings(*words))
    assert [found[0], *(Path(path).parent.name for path in found[1:])] == [script, "de", "fr"]
    assert all(Path(path).is_file() for path in found[1:])


def test_no_more_than_a_hundred_files_of_a_dataset_are_looked_for(tmp_path: Path) -> None:
    files(tmp_path / "by", *(f"{number}/a.txt" for number in range(120)))
    dataset = Dataset.File.from_files(str(tmp_path / "by" / "**"), partition_format="/{n}/a.txt")
    assert len(needs(settings("--input_ds_0", described(tmp_path / "d.json", dataset)))) == 1 + 100


def test_the_files_of_a_table_that_is_cut_are_not_needed(tmp_path: Path, script: str) -> None:
    (csv,) = files(tmp_path, "t.csv")
    table = described(tmp_path / "d.json", Dataset.Tabular.from_delimited_files(csv))
    assert needs(settings("--input_ds_0", table)) == [script]


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', '{"schema": 1, "definition": {"kind": "file"}}'])
def test_a_description_that_cannot_be_read_is_left_to_who_cuts_it(tmp_path: Path, script: str, text: str) -> None:
    (tmp_path / "d.json").write_text(text)
    assert needs(settings("--input_ds_0", tmp_path / "d.json")) == [script]


def test_side_inputs_are_needed_as_far_as_the_run_knows_them(
    tmp_path: Path, script: str, run: Callable[..., Path]
) -> None:
    main, side, csv = files(tmp_path, "main/a.txt", "side/b.txt", "t.csv")
    table = described(tmp_path / "side.json", Dataset.Tabular.from_delimited_files(csv))
    folder = run({"scored": tmp_path / "main", "labels": tmp_path / "side"}, {"lookup": table})
    found = needs(settings("--input_fds_0", "scored"))
    assert found == [script, str(tmp_path / "main"), str(folder), main, side, str(table), csv]
