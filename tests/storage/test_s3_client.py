"""The S3 client without an event loop: it is set up as the s3fs is, and sends what that would send."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED

from fakes.remote_stores import S3Server, s3_server
from refrain.storage.filesystem import FileSystem
from refrain.storage.parts import md5_of
from refrain.storage.s3_client import blocking_client, call
from refrain.storage.s3_parts import S3Writing


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def _files(server: S3Server, **options: Any) -> FileSystem:
    settings = {
        "key": "who",
        "secret": "ever",
        "endpoint_url": server.url,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    return FileSystem(f"s3://{server.make_bucket()}/data", options={**settings, **options})


def test_the_client_has_the_settings_and_the_credentials_of_the_s3fs(server):
    client = _files(server, config_kwargs={"s3": {"addressing_style": "path"}}).beside(blocking_client)
    credentials = client._request_signer._credentials
    assert (client.meta.endpoint_url, client.meta.region_name) == (server.url, "eu-west-1")
    assert (credentials.access_key, credentials.secret_key) == ("who", "ever")
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.retries["total_max_attempts"] == 1


def test_who_asks_without_credentials_signs_nothing(server):
    assert _files(server, anon=True).beside(blocking_client).meta.config.signature_version is UNSIGNED


def test_what_the_s3fs_adds_to_each_request_is_added(server):
    files = _files(server, s3_additional_kwargs={"ServerSideEncryption": "AES256"})
    url = f"{files.url}/object"
    S3Writing(files, url).put(b"data", md5_of(b"data"))
    assert (
        files.call("look", lambda fs: fs.call_s3("head_object", **_address(fs, url)))["ServerSideEncryption"]
        == "AES256"
    )


def test_an_object_is_sent_under_its_md5_and_no_other_sum(server):
    files = _files(server)
    sent = []
    client = files.beside(blocking_client)
    client.meta.events.register("before-send.s3", lambda request, **_: sent.append(dict(request.headers)))
    S3Writing(files, f"{files.url}/object").put(b"data", md5_of(b"data"))
    (headers,) = sent
    assert headers["Content-MD5"] == b"jXd/OF09/siBXSD3SWAm3A=="
    assert not [name for name in headers if name.lower().startswith("x-amz-checksum")]


def test_an_answer_that_is_an_error_is_of_the_kind_that_s3fs_raises(server):
    files = _files(server)
    client = files.beside(blocking_client)
    fs = files.call("open", lambda fs: fs)
    with pytest.raises(FileNotFoundError):
        call(fs, client, "get_object", **_address(fs, f"{files.url}/nothing"))


def test_a_fork_gets_a_client_of_its_own(server, monkeypatch):
    files = _files(server)
    before = files.beside(blocking_client)
    assert files.beside(blocking_client) is before
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert files.beside(blocking_client) is not before


def _address(fs: Any, url: str) -> dict[str, str]:
    bucket, key, _ = fs.split_path(url)
    return {"Bucket": bucket, "Key": key}
