"""Files of remote stores and of web servers, read piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.web_server import WebServer, web_server
from refrain import Dataset, Datastore, Workspace
from refrain.errors import DataError, DataNotFoundError, UserError
from refrain.storage.reading import RemoteFile
from refrain.storage.state import stores_without_workspace

DATA = bytes(range(256)) * 100


class Bytes:
    """Remembers what was asked for."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.is_changed = False

    def fetch(self, begin: int, end: int) -> bytes:
        self.ranges.append((begin, end))
        return DATA[begin:end]

    def require_same(self) -> None:
        if self.is_changed:
            raise DataError("it changed")

    def open(self) -> RemoteFile:
        return RemoteFile("x", len(DATA), self.fetch, self.require_same)


def test_only_what_is_asked_for_is_fetched() -> None:
    asked = Bytes()
    with asked.open() as file:
        assert file.seek(-10, io.SEEK_END) == len(DATA) - 10
        assert file.read(4) == DATA[-10:-6]
        assert file.read(100) == DATA[-6:]
        assert file.read(100) == b""
        file.seek(5)
        file.seek(5, io.SEEK_CUR)
        assert (file.read(2), file.tell()) == (DATA[10:12], 12)
    assert asked.ranges == [(len(DATA) - 10, len(DATA) - 6), (len(DATA) - 6, len(DATA)), (10, 12)]


def test_the_rest_comes_at_once() -> None:
    asked = Bytes()
    with asked.open() as file:
        file.seek(100)
        assert file.read() == DATA[100:]
    assert asked.ranges == [(100, len(DATA))]


def test_pieces_of_two_contents_are_noticed() -> None:
    asked = Bytes()
    file = asked.open()
    file.read(1)
    file.read(1)
    asked.is_changed = True
    with pytest.raises(DataError, match="it changed"):
        file.close()
    file.close()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    with web_server() as server:
        yield server


@pytest.mark.parametrize(("ranges", "sizes"), [(True, True), (False, True), (False, False)])
def test_a_file_of_a_web_server_is_read_whatever_the_server_can(web: WebServer, ranges: bool, sizes: bool) -> None:
    web.files["/a/data.bin"] = DATA
    web.knows_ranges, web.knows_sizes = ranges, sizes
    with stores_without_workspace().named(f"{web.url}/a/data.bin").open(buffering=0) as file:
        file.seek(300)
        assert file.read(5) == DATA[300:305]
        file.seek(-5, io.SEEK_END)
        assert file.read() == DATA[-5:]
    if ranges:
        assert web.bytes_sent < 100


def test_datasets_are_read_from_web_servers(web: WebServer, tmp_path: Path) -> None:
    web.files |= {"/in/2020/a.csv": b"n\n1\n", "/in/2021/b.csv?download=1": b"n\n2\n"}
    urls = [web.url + path for path in web.files]
    table = Dataset.Tabular.from_delimited_files(urls, include_path=True)
    assert table.to_arrow().to_pylist() == [{"Path": urls[0], "n": 1}, {"Path": urls[1], "n": 2}]
    files = Dataset.File.from_files(urls)
    assert files.to_path() == ["/a.csv", "/b.csv"]
    assert [Path(path).read_bytes() for path in files.download(str(tmp_path / "copy"))] == [b"n\n1\n", b"n\n2\n"]


def test_a_web_server_has_no_listing(web: WebServer, tmp_path: Path) -> None:
    store = Datastore.register(Workspace(tmp_path / "ws"), "web", web.url)
    with pytest.raises(DataError, match=r"cannot be looked for: a web server lists no files\. Name each by its URL"):
        Dataset.File.from_files((store, "*.csv")).to_path()
    with pytest.raises(DataNotFoundError, match=r"none.csv' does not exist. Correct the path"):
        Dataset.File.from_files(f"{web.url}/none.csv").to_path()


@pytest.mark.parametrize("query", ["sig=abc", "sv=1&SIG=abc", "access_token=x", "X-Amz-Signature=x"])
def test_a_url_with_a_credential_is_refused(query: str) -> None:
    for url in (f"https://host/a.csv?{query}", "https://me:secret@host/a.csv"):
        with pytest.raises(UserError, match="the URL of 'host' holds a credential, which would be stored") as caught:
            Dataset.File.from_files(url)
        assert "abc" not in str(caught.value)
        assert "secret" not in str(caught.value)
