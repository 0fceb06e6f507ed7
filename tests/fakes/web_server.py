"""A web server of files, on a free port of this machine."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class WebServer:
    """Serves texts by path; it counts the bytes of its answers."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    knows_ranges: bool = True
    knows_sizes: bool = True
    moved: dict[str, str] = field(default_factory=dict)  # from a path to another
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # headers, such as ETag, by path
    zips: bool = False  # sends everything compressed to whoever says that he can read that
    bytes_sent: int = 0


@contextmanager
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": server}))
    server.url = f"http://127.0.0.1:{listening.server_port}"
    with serving(listening):
        yield server


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[None]:
    """Answer in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: WebServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, has_body: bool) -> None:
        if self.path in self.served.moved:
            self.send_response(302)
            self.send_header("Location", self.served.moved[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.served.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        body = self._begin(content, self.headers.get("Range") if self.served.knows_ranges else None)
        for name, value in self.served.tags.get(self.path, {}).items():
            self.send_header(name, value)
        if self.served.zips and "gzip" in self.headers.get("Accept-Encoding", ""):
            self.send_header("Content-Encoding", "gzip")
            body = gzip.compress(body)
        if self.served.knows_sizes:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body:
            self.served.bytes_sent += len(body)
            self.wfile.write(body)

    def _begin(self, content: bytes, wanted: str | None) -> bytes:
        if wanted is None:
            self.send_response(200)
            return content
        begin, _, end = wanted.removeprefix("bytes=").partition("-")
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        return content[int(begin) : int(end or len(content)) + 1]
