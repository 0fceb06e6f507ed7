"""Digests by a process with a memory map."""

import os
import shutil

import pytest

from refrain.storage.digest import digest_bytes
from refrain.storage.mapped import digest_mapped, is_in_memory


@pytest.fixture
def opened(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_a_mapped_file_has_the_digest_of_its_bytes(opened):
    data = os.urandom(3 * 2**20 + 1)
    os.write(opened, data)
    assert digest_mapped(opened) == digest_bytes(data)


def test_the_whole_file_counts_wherever_it_was_read_last(opened):
    os.write(opened, b"whole")
    os.lseek(opened, 3, os.SEEK_SET)
    assert digest_mapped(opened) == digest_bytes(b"whole")


def test_a_file_that_is_larger_than_what_is_mapped_at_once_is_hashed_whole(opened):
    os.truncate(opened, 65 * 2**20 + 5)
    os.pwrite(opened, b"end", 65 * 2**20)
    assert digest_mapped(opened) == digest_bytes(os.pread(opened, 66 * 2**20, 0))


def test_a_process_that_fails_leaves_the_file_to_be_read(opened, monkeypatch):
    os.write(opened, b"data")
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    assert digest_mapped(opened) is None


def test_without_a_python_to_run_the_file_is_left_to_be_read(opened, monkeypatch):
    os.write(opened, b"data")
    monkeypatch.setattr("sys.executable", "")
    assert digest_mapped(opened) is None


def test_a_file_that_was_just_written_is_in_memory_and_one_that_was_dropped_is_not(opened):
    size = 2**20
    os.write(opened, os.urandom(size))
    if not is_in_memory(opened, size):
        pytest.skip("this file system cannot say what is in memory")
    os.fsync(opened)
    os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
    assert not is_in_memory(opened, size)


def test_a_file_that_has_shrunk_is_not_in_memory(opened):
    os.write(opened, b"data")
    assert not is_in_memory(opened, 2**30)
