"""Digests of bytes and files."""

import os
import subprocess
import sys

import pytest

from refrain.storage import digest
from refrain.storage.digest import digest_and_stat, digest_bytes, digest_file, is_digest
from refrain.storage.mapped import digest_mapped


def test_a_digest_is_golden():
    """A change here loses every stored result."""
    assert digest_bytes(b"") == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest_bytes(b"abc") == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 9 * 2**20 + 7])
def test_a_file_has_the_digest_of_its_bytes_whatever_its_size(tmp_path, size):
    data = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert digest_file(tmp_path / "file") == digest_bytes(data[:size])


@pytest.mark.parametrize("mapped_bytes", [0, 2**40], ids=["mapped", "read"])
def test_a_file_that_is_truncated_while_it_is_read_does_not_end_the_process(tmp_path, mapped_bytes):
    """A memory map of its own would, by SIGBUS, and take an Airflow worker with it."""
    code = """
import os, sys, threading
from refrain.storage import digest
path, digest.MAPPED_BYTES = sys.argv[1], int(sys.argv[2])
os.truncate(path, 64 << 20)
stop = threading.Event()
def cut():
    while not stop.is_set():
        os.truncate(path, 0)
        os.truncate(path, 64 << 20)
threading.Thread(target=cut).start()
for _ in range(20):
    assert digest.is_digest(digest.digest_file(path))
stop.set()
"""
    (tmp_path / "file").touch()
    command = [sys.executable, "-c", code, tmp_path / "file", str(mapped_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_large_file_has_the_digest_of_its_bytes_mapped_or_not(tmp_path, monkeypatch):
    data = os.urandom(5 * 2**20 + 3)
    (tmp_path / "file").write_bytes(data)
    mapped = []
    monkeypatch.setattr(digest, "MAPPED_BYTES", len(data))
    monkeypatch.setattr(
        "refrain.storage.mapped.digest_mapped", lambda descriptor: mapped.append(digest_mapped(descriptor))
    )
    assert digest_file(tmp_path / "file") == digest_bytes(data)
    assert mapped == [digest_bytes(data)]


@pytest.mark.parametrize("size", [100, 3 * 2**20])
def test_a_file_system_that_gives_less_than_was_asked_for_gives_the_same_digest(tmp_path, monkeypatch, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    read, readv = os.read, os.readv
    monkeypatch.setattr(os, "read", lambda descriptor, count: read(descriptor, max(1, count // 3)))
    monkeypatch.setattr(os, "readv", lambda descriptor, buffers: readv(descriptor, [buffers[0][:777_777]]))
    assert digest_file(tmp_path / "file") == digest_bytes(data)


def test_the_stat_is_that_of_the_file_that_was_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    found, status = digest_and_stat(tmp_path / "file")
    assert (found, os.path.samestat(status, os.stat(tmp_path / "file"))) == (digest_bytes(b"abc"), True)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "nothing")


def test_only_64_lower_case_hexadecimal_digits_are_a_digest():
    assert is_digest("0" * 64)
    assert not any(is_digest(text) for text in ("0" * 63, "0" * 65, "A" * 64, "g" * 64, None, 5, b"0" * 64))
