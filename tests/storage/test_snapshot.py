"""Snapshots of source directories: what belongs to them, and how they come back."""

import os
import stat
import subprocess
import sys

import pytest

from refrain.errors import CorruptObjectError, SnapshotError
from refrain.storage import snapshot as module
from refrain.storage.blobs import BlobStore, blob_key, manifest_key
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import Entry, Manifest, TreeKind
from refrain.storage.objects import LocalObjectStore
from refrain.storage.snapshot import capture, read_manifest, restore, take_snapshot
from refrain.storage.trees import Trees


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)")
    return folder


@pytest.fixture
def objects(tmp_path):
    return LocalObjectStore(tmp_path / "ws")


@pytest.fixture
def blobs(objects):
    return BlobStore(objects)


@pytest.fixture
def held(source, trees):
    """The paths that a snapshot of the source holds now."""
    return lambda: [entry.path for entry in read_manifest(str(source), trees).entries]


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.fsencode(name))


def ignore(source, *lines, name=".amlignore"):
    (source / name).write_text("\n".join(lines))


def test_the_digest_of_a_snapshot_is_golden(source, trees):
    """A change here loses every stored result."""
    (source / "run.sh").write_text("echo")
    (source / "run.sh").chmod(0o755)
    (source / "empty").mkdir()
    assert (
        take_snapshot(str(source), trees).digest == "71a9fc128d4f6060ffbf2c18f5d13ca0a4943858df0ac069be89430769316697"
    )


def test_what_is_captured_comes_back_with_empty_folders_and_executable_bits(source, trees, blobs, tmp_path):
    write(source, "pkg/deep/a.py", os.fsdecode(b"caf\xe9"), "line\nbreak")
    (source / "pkg/deep/a.py").chmod(0o755)
    (source / "empty/inner").mkdir(parents=True)
    taken = take_snapshot(str(source), trees)
    restore(capture(taken, trees, blobs), blobs, tmp_path / "work")
    again = take_snapshot(str(tmp_path / "work"), trees)
    assert again.digest == taken.digest
    assert (tmp_path / "work/empty/inner").is_dir()
    assert (tmp_path / "work/pkg/deep/a.py").stat().st_mode & stat.S_IXUSR
    assert not (tmp_path / "work/train.py").stat().st_mode & stat.S_IXUSR


def test_the_executable_bit_changes_the_digest(source, trees):
    before = take_snapshot(str(source), trees).digest
    (source / "train.py").chmod(0o755)
    assert take_snapshot(str(source), trees).digest != before


def test_times_owners_and_other_bits_do_not(source, trees):
    before = take_snapshot(str(source), trees).digest
    os.utime(source / "train.py", (1, 1))
    (source / "train.py").chmod(0o600)
    assert take_snapshot(str(source), trees).digest == before


def test_where_the_source_lies_does_not_count(source, trees, tmp_path):
    before = take_snapshot(str(source), trees).digest
    source.rename(tmp_path / "elsewhere")
    assert take_snapshot(str(tmp_path / "elsewhere"), trees).digest == before


def test_a_linked_folder_counts_by_its_files(source, held, tmp_path):
    write(tmp_path / "shared", "common.py")
    (source / "shared").symlink_to(tmp_path / "shared")
    assert held() == ["shared/common.py", "train.py"]


def test_bytecode_repositories_and_workspaces_are_left_out(source, held):
    write(source, "__pycache__/train.pyc", ".git/HEAD", "pkg/__pycache__/a.pyc", "pkg/a.py", ".refrain/workspace/x")
    assert held() == ["pkg/a.py", "train.py"]


def test_the_file_by_which_a_worktree_finds_its_repository_is_left_out(source, held):
    """It holds an absolute path."""
    write(source, ".git")
    assert held() == ["train.py"]


def test_the_workspace_and_the_cache_are_left_out_whatever_they_are_called(source, index):
    write(source, "state/workspace.json", "state/blobs/x", "state.py", "sub/state/a.py", "sub/cache/index")
    trees = Trees(index, (str(source / "state"), str(source / "sub/cache")))
    assert [e.path for e in read_manifest(str(source), trees).entries] == ["state.py", "sub/state/a.py", "train.py"]


@pytest.mark.parametrize("folder", ["{source}", "{source}/..", "{source}-other", "/nowhere"])
def test_a_workspace_elsewhere_leaves_nothing_out(source, index, folder):
    trees = Trees(index, (folder.format(source=source),))
    assert [e.path for e in read_manifest(str(source), trees).entries] == ["train.py"]


@pytest.mark.parametrize("name", [".amlignore", ".gitignore"])
def test_an_ignore_file_is_obeyed_and_captured(source, held, name):
    write(source, "data.csv", "sub/data.csv", "keep.py")
    ignore(source, "*.csv", name=name)
    assert held() == [name, "keep.py", "sub/", "train.py"]


def test_amlignore_takes_the_place_of_gitignore(source, held):
    write(source, "a.log", "b.csv")
    ignore(source, "*.log", name=".gitignore")
    ignore(source, "*.csv")
    assert held() == [".amlignore", ".gitignore", "a.log", "train.py"]


def test_an_empty_amlignore_ignores_nothing(source, held):
    write(source, "a.log")
    ignore(source, "*.log", name=".gitignore")
    ignore(source)
    assert "a.log" in held()


def test_ignore_files_further_down_are_not_read(source, held):
    write(source, "sub/a.log")
    ignore(source / "sub", "*.log")
    assert held() == ["sub/.amlignore", "sub/a.log", "train.py"]


def test_a_folder_of_that_name_is_no_ignore_file(source, held):
    write(source, ".amlignore/x", "a.log")
    ignore(source, "*.log", name=".gitignore")
    assert held() == [".amlignore/x", ".gitignore", "train.py"]


def test_nothing_comes_back_from_under_an_ignored_folder(source, held):
    write(source, "data/a.csv", "data/keep.csv")
    ignore(source, "data/", "!data/keep.csv")
    assert held() == [".amlignore", "train.py"]


@pytest.mark.parametrize("pattern", ["data/*", "data/**", "data/** "])
def test_a_file_can_be_kept_where_only_the_content_is_ignored(source, held, pattern):
    write(source, "data/a.csv", "data/keep.csv", "data/deep/b.csv")
    ignore(source, pattern, "!data/keep.csv")
    assert held() == [".amlignore", "data/keep.csv", "train.py"]


def test_patterns_are_relative_to_the_root(source, held):
    write(source, "a.py", "sub/a.py", "sub/b.py")
    ignore(source, "/a.py", "sub/b.py", "# comment", "", "!other")
    assert held() == [".amlignore", "sub/a.py", "train.py"]


def test_a_byte_order_mark_does_not_hide_the_first_pattern(source, held):
    write(source, "a.log")
    (source / ".amlignore").write_bytes(b"\xef\xbb\xbf*.log\n")
    assert "a.log" not in held()


def test_the_folders_in_a_folder_can_be_ignored_and_its_files_stay(source, held):
    write(source, "data/a.csv", "data/deep/b.csv", "data/deep/er/c.csv")
    ignore(source, "data/**/")
    assert held() == [".amlignore", "data/a.csv", "train.py"]


def test_an_ignored_fifo_is_no_error(source, held):
    os.mkfifo(source / "pipe")
    ignore(source, "pipe")
    assert held() == [".amlignore", "train.py"]


def refused(source, trees, message, **options):
    with pytest.raises(SnapshotError, match=message):
        take_snapshot(str(source), trees, **options)


def test_a_fifo_is_refused_with_the_way_out(source, trees):
    os.mkfifo(source / "pipe")
    refused(source, trees, "source' cannot be captured: '.*/pipe' is a FIFO.* Remove it, or name it in .amlignore")


def test_an_ignore_file_that_is_no_text_is_named(source, trees):
    (source / ".amlignore").write_bytes(b"\xff\xfe*")
    refused(source, trees, "The ignore file '.*/.amlignore' cannot be read: 'utf-8' codec")


@pytest.mark.parametrize("name", ["nothing", "source/train.py"])
def test_a_source_that_is_no_directory_is_refused(tmp_path, source, trees, name):
    refused(tmp_path / name, trees, f"The source directory '{tmp_path}/{name}' does not exist or is not a directory")


def test_too_many_bytes_are_refused_before_any_is_read(source, trees, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 2**20)
    write(source, "a.py")
    (source / "big.bin").touch()
    os.truncate(source / "big.bin", 12 * 2**40)  # hashing it would take hours
    refused(
        source, trees, "holds 12582912 MB, more than the 1 MB of a snapshot. Keep data out of it, or name it in .aml"
    )


def test_ignored_bytes_do_not_count(source, trees, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    (source / "big.bin").write_bytes(b"x" * 101)
    ignore(source, "*.bin")
    take_snapshot(str(source), trees)


def test_exactly_the_limit_is_allowed(source, trees, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 8)
    monkeypatch.setattr(module, "MAX_FILES", 1)
    (source / "empty").mkdir()
    assert take_snapshot(str(source), trees).identity.files == 1


def test_too_many_files_are_refused_unless_the_user_insists(source, trees, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 1)
    write(source, "a.py")
    refused(
        source,
        trees,
        "holds 2 files, more than the 1 of a snapshot. .* or set AML_SNAPSHOT_NO_FILE_LIMIT=1",
        environ={},
    )
    take_snapshot(str(source), trees, {"AML_SNAPSHOT_NO_FILE_LIMIT": "1"})


def test_the_limits_are_azures():
    assert (module.MAX_BYTES, module.MAX_FILES) == (300 * 1024 * 1024, 2000)


def test_a_source_that_changed_since_is_refused(source, trees, blobs):
    taken = take_snapshot(str(source), trees)
    (source / "train.py").write_text("print(2)")
    with pytest.raises(SnapshotError, match="source' changed while the step was being prepared; run again"):
        capture(taken, trees, blobs)


def test_a_source_that_vanished_since_is_refused(source, trees, blobs):
    taken = take_snapshot(str(source), trees)
    blobs.put_manifest(read_manifest(str(source), trees))
    (source / "train.py").unlink()
    with pytest.raises(SnapshotError, match=r"train.py' cannot be read any more"):
        capture(taken, trees, blobs)


def test_a_captured_source_can_change_or_go(source, trees, blobs, tmp_path):
    taken = take_snapshot(str(source), trees)
    capture(taken, trees, blobs)
    (source / "train.py").unlink()
    restore(capture(taken, trees, blobs), blobs, tmp_path / "work")
    assert (tmp_path / "work/train.py").read_text() == "print(1)"


def test_a_damaged_blob_is_stored_anew_from_the_source(source, trees, blobs, objects, tmp_path):
    taken = take_snapshot(str(source), trees)
    manifest = capture(taken, trees, blobs)
    objects.put(blob_key(digest_bytes(b"print(1)")), b"print(0)")
    with pytest.raises(CorruptObjectError, match="was corrupt and has been deleted; run again"):
        restore(manifest, blobs, tmp_path / "first")
    restore(capture(taken, trees, blobs), blobs, tmp_path / "second")
    assert (tmp_path / "second/train.py").read_text() == "print(1)"


def test_a_missing_blob_is_stored_anew_from_the_source(source, trees, blobs, objects, tmp_path):
    taken = take_snapshot(str(source), trees)
    capture(taken, trees, blobs)
    objects.delete(blob_key(digest_bytes(b"print(1)")))
    restore(capture(taken, trees, blobs), blobs, tmp_path / "work")


def test_a_damaged_manifest_is_stored_anew_from_the_source(source, trees, blobs, objects):
    taken = take_snapshot(str(source), trees)
    objects.put(manifest_key(taken.digest), b"{}")
    assert capture(taken, trees, blobs).digest == taken.digest
    assert blobs.get_manifest(taken.digest) is not None


def test_a_place_that_cannot_be_written_is_named(blobs, tmp_path):
    (tmp_path / "file").touch()
    manifest = Manifest(TreeKind.DIRECTORY, (Entry("a/", 0, ""),))
    with pytest.raises(SnapshotError, match=r"The source cannot be written to '.*/file/work': Not a directory"):
        restore(manifest, blobs, tmp_path / "file/work")


def test_pathspec_is_loaded_only_where_there_is_an_ignore_file(source):
    code = """
import sys
from pathlib import Path
from refrain.storage.snapshot import take_snapshot
from refrain.storage.statindex import StatIndex
from refrain.storage.trees import Trees
take_snapshot(sys.argv[1], Trees(StatIndex(Path(sys.argv[1]) / "cache")))
print("pathspec" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
