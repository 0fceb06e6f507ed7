"""Blobs: bytes under their own digest, checked whenever they are read."""

import stat
import subprocess
import sys

import pytest

from refrain.errors import CorruptObjectError, SnapshotError
from refrain.storage.blobs import BlobStore, blob_key, manifest_key
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Entry, Manifest, TreeKind
from refrain.storage.objects import LocalObjectStore

DIGEST = digest_bytes(b"hello")


@pytest.fixture
def objects(tmp_path):
    return LocalObjectStore(tmp_path / "ws")


@pytest.fixture
def blobs(objects):
    return BlobStore(objects)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"hello")
    return str(path)


def test_a_file_comes_back(blobs, source, tmp_path):
    blobs.put_file(source, DIGEST)
    blobs.copy_out(DIGEST, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"hello"
    assert not (tmp_path / "copy").stat().st_mode & stat.S_IXUSR


def test_an_executable_file_comes_back_executable(blobs, source, tmp_path):
    blobs.put_file(source, DIGEST)
    blobs.copy_out(DIGEST, str(tmp_path / "copy"), executable=True)
    assert (tmp_path / "copy").stat().st_mode & stat.S_IXUSR


def test_a_stored_file_is_not_read_again(blobs, source):
    blobs.put_file(source, DIGEST)
    blobs.put_file("/no/such/file", DIGEST)


def test_a_file_that_changed_is_refused(blobs, tmp_path):
    (tmp_path / "source").write_bytes(b"other")
    with pytest.raises(SnapshotError, match="source' changed while it was captured; run again when its writer"):
        blobs.put_file(str(tmp_path / "source"), DIGEST)


def test_a_file_that_is_gone_is_refused(blobs):
    with pytest.raises(SnapshotError, match="'/no/such/file' cannot be read any more: No such file or directory; run"):
        blobs.put_file("/no/such/file", DIGEST)


def test_a_missing_blob_is_named(blobs, tmp_path):
    with pytest.raises(CorruptObjectError, match=f"Blob {DIGEST} is not in the workspace"):
        blobs.copy_out(DIGEST, str(tmp_path / "copy"))


def test_a_damaged_blob_is_deleted_so_that_it_can_be_stored_anew(blobs, objects, source, tmp_path):
    objects.put(blob_key(DIGEST), b"hellO")
    with pytest.raises(CorruptObjectError, match=f"Blob {DIGEST} was corrupt and has been deleted; run again to store"):
        blobs.copy_out(DIGEST, str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
    blobs.put_file(source, DIGEST)
    blobs.copy_out(DIGEST, str(tmp_path / "copy"))


def test_nothing_is_written_over(blobs, source, tmp_path):
    blobs.put_file(source, DIGEST)
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(FileExistsError):
        blobs.copy_out(DIGEST, str(tmp_path / "copy"))


def test_a_full_disk_never_truncates_a_file_in_silence(blobs, objects, tmp_path):
    big = b"x" * 3000
    objects.put(blob_key(digest_bytes(big)), big)
    code = """
import resource, signal, sys
from pathlib import Path
from refrain.storage.blobs import BlobStore
from refrain.storage.objects import LocalObjectStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    BlobStore(LocalObjectStore(Path(sys.argv[1]))).copy_out(sys.argv[2], sys.argv[3])
except OSError as error:
    print(error.strerror)
"""
    command = [sys.executable, "-c", code, objects.root, digest_bytes(big), tmp_path / "copy"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "File too large\n"


TREE = Manifest(TreeKind.DIRECTORY, (Entry("a", 5, DIGEST),))


def test_a_manifest_comes_back(blobs):
    blobs.put_manifest(TREE)
    assert blobs.get_manifest(TREE.digest) == TREE


def test_an_unknown_manifest_is_none(blobs):
    assert blobs.get_manifest(TREE.digest) is None


def test_a_damaged_manifest_is_named_and_replaced(blobs, objects):
    objects.put(manifest_key(TREE.digest), TREE.content[:-1])
    with pytest.raises(CorruptObjectError, match="is corrupt"):
        blobs.get_manifest(TREE.digest)
    blobs.put_manifest(TREE)
    assert blobs.get_manifest(TREE.digest) == TREE


def test_keys_are_golden():
    """A change here loses every stored result."""
    assert blob_key(DIGEST) == f"blobs/ea/{DIGEST}"
    assert manifest_key(DIGEST) == f"manifests/ea/{DIGEST}"
