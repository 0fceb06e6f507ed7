"""Tabular and file datasets on an S3 server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from refrain.data.files.dataset import FileDataset
from refrain.data.ports import FromFiles
from refrain.data.tabular.access import Folders, Place
from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.source import Delimited, Source
from refrain.errors import DataNotFoundError

pytest.importorskip("moto.server", reason="needs moto's S3 server")
pytest.importorskip("s3fs")
ROWS = 400_000


@pytest.fixture(scope="module")
def access() -> Iterator[Folders]:
    import s3fs
    from moto.server import ThreadedMotoServer

    before = dict(os.environ)
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", AWS_DEFAULT_REGION="us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    fs = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}", skip_instance_cache=True)
    fs.mkdir("bucket")
    fs.pipe("bucket/in/2020/1.csv", b"n,s\n" + b"1,some text\n" * ROWS)
    fs.pipe("bucket/in/2021/2.csv", b"n,s\n2,x\n")
    yield Folders({"lake": (fs, "bucket")})
    server.stop()
    os.environ.clear()
    os.environ.update(before)


def table(path: str, access: Folders, **options: Any) -> TabularDataset:
    return TabularDataset(Source((Place("lake", path),), Delimited(), **options), access=access)


def test_globs_partitions_and_conditions(access: Folders) -> None:
    dataset = table("in/*/*.csv", access, include_path=True, partition=PartitionFormat("/{year:yyyy}/*.csv"))
    found = dataset.filter(dataset["year"] > datetime(2020, 6, 1)).to_arrow().to_pylist()
    assert found == [{"Path": "/in/2021/2.csv", "n": 2, "s": "x", "year": datetime(2021, 1, 1)}]


def test_a_reader_that_stops_early_leaves_the_rest(access: Folders) -> None:
    assert table("in", access).take(3).to_arrow()["n"].to_pylist() == [1, 1, 1]
    assert sum(batch.table.num_rows for batch in table("in", access).batches(1 << 20)) == ROWS + 1


def test_files_are_listed_and_downloaded(access: Folders, tmp_path: Path) -> None:
    files = FileDataset(FromFiles((("lake", "in"),)), access=access)
    assert files.to_path() == ["/2020/1.csv", "/2021/2.csv"]
    (found,) = files.skip(1).download(str(tmp_path))
    assert Path(found).read_text() == "n,s\n2,x\n"


def test_what_matches_nothing_is_named(access: Folders) -> None:
    with pytest.raises(DataNotFoundError, match=r"'none/\*\.csv' on datastore 'lake' matches no file"):
        table("none/*.csv", access).to_arrow()
    with pytest.raises(DataNotFoundError, match=r"'none\.csv' on datastore 'lake' does not exist"):
        table("none.csv", access).to_arrow()
