"""Places on file systems: local, in memory, on datastores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refrain import Dataset, Datastore, Workspace
from refrain.data.tabular.access import ANYWHERE, Place, StoreAccess
from refrain.data.tabular.dataset import TabularDataset
from refrain.errors import DataError, DataNotFoundError, UnknownNameError, UserError

csv = Dataset.Tabular.from_delimited_files


@pytest.fixture
def memory() -> Iterator[Any]:
    fs = fsspec.filesystem("memory")
    fs.pipe("/box/in/1.csv", b"n\n1\n")
    fs.pipe("/box/in/deep/2.csv", b"n\n2\n")
    yield fs
    fs.rm("/box", recursive=True)


def test_a_url_is_read_through_fsspec(memory: Any) -> None:
    found = csv("memory://box/in/**/*.csv", include_path=True).to_arrow().to_pylist()
    assert [row["n"] for row in found] == [1, 2]
    assert found[0]["Path"].startswith("memory://")


def test_any_file_system_can_stand_behind_a_datastore(memory: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    Datastore.register(workspace, "box", "memory://box")
    files = StoreAccess(workspace.state.stores).files([Place("box", "in")])
    assert [(file.name, file.address, file.size) for file in files] == [
        ("/1.csv", "/in/1.csv", 4),
        ("/deep/2.csv", "/in/deep/2.csv", 4),
    ]


def test_parquet_and_json_lines_are_read_through_fsspec(memory: Any) -> None:
    with memory.open("/box/a.parquet", "wb") as file:
        pq.write_table(pa.table({"n": [1]}), file)
    memory.pipe("/box/a.jsonl", b'{"n": 2}\n')
    assert Dataset.Tabular.from_parquet_files("memory://box/a.parquet").to_arrow().to_pylist() == [{"n": 1}]
    assert Dataset.Tabular.from_json_lines_files("memory://box/a.jsonl").to_arrow().to_pylist() == [{"n": 2}]


def test_partitions_are_written_through_fsspec(memory: Any) -> None:
    memory.pipe("/box/p.csv", b"k,v\na,1\nb,2\n")
    made = csv("memory://box/p.csv").partition_by(["k"], "memory://box/out")
    assert isinstance(made, TabularDataset)
    assert made.to_arrow().to_pylist() == [{"v": 1, "k": "a"}, {"v": 2, "k": "b"}]


def test_a_reader_that_stops_early_does_not_crash_the_interpreter() -> None:
    """Arrow's threads would still read ahead, through Python, when there is none any more."""
    program = (
        "import time, fsspec\n"
        "from fsspec.implementations.memory import MemoryFile\n"
        "from refrain import Dataset\n"
        "read = MemoryFile.read\n"
        "MemoryFile.read = lambda self, size=-1: (time.sleep(0.02), read(self, size))[1]\n"
        "fsspec.filesystem('memory').pipe('/x/a.csv', b'n,s\\n' + b'1,some text\\n' * 3_000_000)\n"
        "batches = Dataset.Tabular.from_delimited_files('memory://x/a.csv').batches()\n"
        "next(batches)\n"
        "raise SystemExit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (7, "")


def test_datastores_references_and_lists_are_places(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "ws"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("n\n1\n")
    store = Datastore.register_folder(workspace, "raw", tmp_path / "raw")
    dataset = csv([(store, "*.csv"), store.path("a.csv"), store], include_path=True)
    assert dataset.to_arrow().to_pylist() == [{"Path": "/a.csv", "n": 1}]
    again = TabularDataset.from_json(json.loads(dataset.identity), StoreAccess(Workspace(tmp_path / "ws").state.stores))
    assert again.to_arrow() == dataset.to_arrow()


def test_a_definition_needs_its_datastores(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown datastore 'raw': no workspace is at hand\. Open the dataset"):
        ANYWHERE.files([Place("raw", "a")])
    with pytest.raises(
        UnknownNameError, match=r"Unknown datastore 'workspaceblobstor'.* Did you mean 'workspaceblobst"
    ):
        StoreAccess(Workspace(tmp_path / "ws").state.stores).files([Place("workspaceblobstor", "a")])


def test_a_glob_stands_for_files_and_a_plain_name_may_hold_magic_characters(tmp_path: Path) -> None:
    (tmp_path / "in/x").mkdir(parents=True)
    (tmp_path / "in/x/1.csv").write_text("n\n1\n")
    (tmp_path / "in/[2].csv").write_text("n\n2\n")

    def names(path: str) -> list[str]:
        return [file.name for file in ANYWHERE.files([Place("", str(tmp_path / path))])]

    assert names("in/*") == ["/[2].csv"]
    assert names("in/**") == ["/[2].csv", "/x/1.csv"]
    assert names("in/[2].csv") == ["/[2].csv"]


def test_a_pipe_in_a_folder_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe' is a FIFO, not a file"):
        ANYWHERE.files([Place("", str(tmp_path))])
    with pytest.raises(DataError, match="pipe' is a FIFO, not a file"):
        ANYWHERE.files([Place("", str(tmp_path / "p*"))])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="matches no file"):
        csv(str(tmp_path))


@pytest.mark.parametrize("path", [None, 3, [], ("store", "path"), [["a"]]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(UserError, match=r"from_delimited_files (cannot read|got an empty list)"):
        csv(path)
