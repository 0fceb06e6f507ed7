"""Digests of bytes and files."""

import os
import subprocess
import sys

import pytest

from refrain.storage.digest import digest_and_stat, digest_bytes, digest_file, is_digest


def test_a_digest_is_golden():
    """A change here loses every stored result."""
    assert digest_bytes(b"") == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest_bytes(b"abc") == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 9 * 2**20 + 7])
def test_a_file_has_the_digest_of_its_bytes_whatever_its_size(tmp_path, size):
    data = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert digest_file(tmp_path / "file") == digest_bytes(data[:size])


def test_a_file_that_is_truncated_while_it_is_read_does_not_end_the_process(tmp_path):
    """With a memory map it does, by SIGBUS, and takes an Airflow worker with it."""
    code = """
import os, sys, threading
from refrain.storage.digest import digest_file
path = sys.argv[1]
os.truncate(path, 64 << 20)
stop = threading.Event()
def cut():
    while not stop.is_set():
        os.truncate(path, 0)
        os.truncate(path, 64 << 20)
threading.Thread(target=cut).start()
for _ in range(20):
    digest_file(path)
stop.set()
"""
    (tmp_path / "file").touch()
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


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
    digest, status = digest_and_stat(tmp_path / "file")
    assert (digest, os.path.samestat(status, os.stat(tmp_path / "file"))) == (digest_bytes(b"abc"), True)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        digest_file(tmp_path / "nothing")


def test_only_64_lower_case_hexadecimal_digits_are_a_digest():
    assert is_digest("0" * 64)
    assert not any(is_digest(text) for text in ("0" * 63, "0" * 65, "A" * 64, "g" * 64, None, 5, b"0" * 64))
