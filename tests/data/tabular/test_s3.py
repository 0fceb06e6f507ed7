"""Tabular and file datasets on an S3 server, through a datastore with the credentials of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes.remote_stores import S3Server, s3_server
from refrain import Dataset, Datastore, Workspace
from refrain.data.tabular.dataset import TabularDataset
from refrain.errors import DataError, DataNotFoundError

pytest.importorskip("moto.server", reason="needs moto's S3 server")
pytest.importorskip("s3fs")
ROWS = 400_000
csv = Dataset.Tabular.from_delimited_files


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    bucket = server.make_bucket()
    fs = fsspec.filesystem("s3", key="x", secret="y", endpoint_url=server.url, skip_instance_cache=True)
    fs.pipe(f"{bucket}/in/2020/1.csv", b"n,s\n" + b"1,some text\n" * ROWS)
    fs.pipe(f"{bucket}/in/2021/2.csv", b"n,s\n2,x\n")
    return bucket


@pytest.fixture
def lake(tmp_path: Path, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
    return Datastore.register(Workspace(tmp_path / "ws"), "lake", f"s3://{bucket}", "lake")


def test_globs_partitions_and_conditions(lake: Datastore) -> None:
    dataset = csv((lake, "in/*/*.csv"), include_path=True, partition_format="/{year:yyyy}/*.csv")
    found = dataset.filter(dataset["year"] > datetime(2020, 6, 1)).to_arrow().to_pylist()
    assert found == [{"Path": "/in/2021/2.csv", "n": 2, "s": "x", "year": datetime(2021, 1, 1)}]


def test_a_reader_that_stops_early_leaves_the_rest(lake: Datastore) -> None:
    assert csv((lake, "in")).take(3).to_arrow()["n"].to_pylist() == [1, 1, 1]
    assert sum(batch.table.num_rows for batch in csv((lake, "in")).batches(1 << 20)) == ROWS + 1


def test_files_are_listed_and_downloaded(lake: Datastore, tmp_path: Path) -> None:
    files = Dataset.File.from_files((lake, "in"))
    assert files.to_path() == ["/2020/1.csv", "/2021/2.csv"]
    (found,) = files.skip(1).download(str(tmp_path))
    assert Path(found).read_text() == "n,s\n2,x\n"


def test_what_matches_nothing_is_named(lake: Datastore) -> None:
    with pytest.raises(DataNotFoundError, match=r"'none/\*\.csv' on datastore 'lake' matches no file"):
        csv((lake, "none/*.csv"))
    with pytest.raises(DataNotFoundError, match=r"'none\.csv' on datastore 'lake' does not exist"):
        csv((lake, "none.csv"))


def test_a_column_of_a_large_parquet_file_costs_a_part_of_it(lake: Datastore, server: S3Server, tmp_path: Path) -> None:
    table = pa.table({"n": pa.array(range(200_000)), "text": [f"{number:0200}" for number in range(200_000)]})
    pq.write_table(table, tmp_path / "wide.parquet", compression="none", use_dictionary=False, row_group_size=20_000)
    size = (tmp_path / "wide.parquet").stat().st_size
    lake.upload_files([str(tmp_path / "wide.parquet")], target_path="parquet", show_progress=False)
    dataset = Dataset.Tabular.from_parquet_files((lake, "parquet"), validate=False)
    server.bytes_sent = 0
    assert dataset.keep_columns(["n"]).to_arrow()["n"].to_pylist() == list(range(200_000))
    assert server.bytes_sent < size / 10
    server.bytes_sent = 0
    assert dataset.take(5).to_arrow().num_rows == 5
    assert server.bytes_sent < size / 2


def test_partitions_are_written_to_the_store(lake: Datastore, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("k,v\na,1\nb,2\n")
    made = csv(str(tmp_path / "t.csv")).partition_by(["k"], (lake, "parts"))
    assert isinstance(made, TabularDataset)
    assert made.to_arrow().to_pylist() == [{"v": 1, "k": "a"}, {"v": 2, "k": "b"}]
    before = lake.state.stores.on("lake", "parts").files()
    broken = csv(str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("k,v\na,1\n..,2\n")
    with pytest.raises(DataError, match="cannot name a folder"):
        broken.partition_by(["k"], (lake, "parts"))
    assert lake.state.stores.on("lake", "parts").files() == before


def test_a_wrong_credential_is_an_error_that_does_not_show_it(
    tmp_path: Path, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_NOBODY", raising=False)
    store = Datastore.register(Workspace(tmp_path / "ws"), "lake", f"s3://{bucket}", "nobody")
    with pytest.raises(Exception, match="There is no connection 'nobody'"):
        csv((store, "in"))
