"""An S3 server with very many objects, which it lists page by page and does not have."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from fakes.web_server import serving

_PAGE = 1000
_OBJECT = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;{tag}&quot;</ETag><Size>4096</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
_ANSWER = (
    '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
    "<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{more}</IsTruncated>{token}{objects}"
    "</ListBucketResult>"
)


@dataclass
class ManyObjects:
    """The server: where it is, and what it was asked for."""

    count: int
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    changed: int = -1  # the number of an object whose bytes are others than before

    @property
    def url(self) -> str:
        """The folder that holds all of them."""
        return "s3://bucket/data"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to find the server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def answer(self, query: dict[str, list[str]]) -> bytes:
        """Return one page of the listing."""
        begin = int(query.get("continuation-token", ["0"])[0])
        end = min(begin + _PAGE, self.count) if query["prefix"][0].startswith("data") else begin
        objects = (_OBJECT.format(key=f"data/{n // 100:04}/{n % 100:02}", tag=self._tag(n)) for n in range(begin, end))
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < self.count else ""
        more = "true" if token else "false"
        return _ANSWER.format(count=end - begin, more=more, token=token, objects="".join(objects)).encode()

    def _tag(self, number: int) -> str:
        text = f"{number}{' changed' if number == self.changed else ''}"
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def many_objects(count: int) -> Iterator[ManyObjects]:
    """Serve *count* objects on a free port."""
    server = ManyObjects(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            is_listing = "list-type" in query
            server.requests["LIST" if is_listing else "GET"] += 1
            self._send(200 if is_listing else 404, server.answer(query) if is_listing else b"")

        def do_HEAD(self) -> None:
            server.requests["HEAD"] += 1
            self._send(404, b"")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = http.server_port
    with serving(http):
        yield server
