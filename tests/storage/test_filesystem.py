"""A file system that fails: each request is sent as often as we say, and by nobody else once more."""

from __future__ import annotations

import http.server
import json

import pytest

from fakes.web_server import serving
from refrain.errors import DataError
from refrain.storage.filesystem import FileSystem


class _Busy(http.server.BaseHTTPRequestHandler):
    """Says to every request that the server is busy."""

    requests = 0

    def _answer(self) -> None:
        type(self).requests += 1
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = _answer  # noqa: N815  # names of the base class

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def _azure(url: str) -> dict[str, object]:
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    text = f"DefaultEndpointsProtocol=http;AccountName=someone;AccountKey={key};BlobEndpoint={url}/someone;"
    return {"conn_type": "wasb", "extra": {"connection_string": text}}


def _aws(url: str) -> dict[str, object]:
    return {"conn_type": "aws", "login": "who", "password": "ever", "extra": {"endpoint_url": url, "region_name": "x"}}


@pytest.mark.parametrize(("scheme", "connection"), [("abfs", _azure), ("s3", _aws)])
def test_a_busy_store_is_asked_as_often_as_we_say(monkeypatch, scheme, connection):
    monkeypatch.setattr("refrain.storage.retry._FIRST_SECONDS", 0.001)
    monkeypatch.setattr("refrain.storage.retry.TRIES", 3)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Busy", (_Busy,), {}))
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AIRFLOW_CONN_BUSY", json.dumps(connection(url)))
        files = FileSystem(f"{scheme}://there/data", "busy")
        with pytest.raises(DataError, match=r"^Cannot write there: .*[^.]\. Check the connection 'busy'"):
            files.call("write there", lambda fs: fs.pipe_file(f"{scheme}://there/data/file", b"x"))
        assert server.RequestHandlerClass.requests == 3
