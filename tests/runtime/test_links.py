"""Links: outputs of which the script says what they are."""

import json
from pathlib import Path

import pytest

from refrain.data.dataset import Dataset
from refrain.runtime.errors import UserErrorException
from refrain.runtime.links import OutputLink
from refrain.runtime.run import Run


@pytest.fixture
def context(context, tmp_path: Path):
    return {**context, "output_links": {"chosen": {"kind": "file", "path": str(tmp_path / "links" / "chosen")}}}


@pytest.fixture
def files(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    return Dataset.File.from_files(str(tmp_path / "a.csv"))


def test_an_output_that_is_linked_is_among_the_output_datasets(run: Run) -> None:
    assert run.output_datasets["prepared"] == "/data/prepared"
    assert isinstance(run.output_datasets["chosen"], OutputLink)
    assert list(run.parent.output_datasets) == []


def test_a_link_leaves_the_definition_and_the_last_one_counts(run: Run, files, tmp_path: Path) -> None:
    run.output_datasets["chosen"].link(files.take(1))
    run.output_datasets["chosen"].link(files)
    assert json.loads((tmp_path / "links" / "chosen").read_text()) == files.to_json()
    assert [path.name for path in (tmp_path / "links").iterdir()] == ["chosen"]


@pytest.mark.parametrize("what", ["a.csv", None, Dataset.Tabular.from_parquet_files("/x", validate=False)])
def test_something_else_is_refused(run: Run, what) -> None:
    with pytest.raises(UserErrorException, match=r"The output 'chosen' links a FileDataset, not .*Dataset.File"):
        run.output_datasets["chosen"].link(what)
