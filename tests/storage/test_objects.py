"""Objects: whole or not at all, with any number of writers."""

import os
import re
import stat
import subprocess
import sys

import pytest

from refrain.errors import WorkspaceError
from refrain.storage.objects import LocalObjectStore


@pytest.fixture
def store(tmp_path):
    return LocalObjectStore(tmp_path / "root")


def files(store):
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def test_what_is_put_can_be_had(store):
    store.put("a/b", b"one")
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two"
    assert store.exists("a/b")
    assert files(store) == ["a/b"]


def test_what_is_not_there_is_none(store):
    assert store.get("a") is None
    assert not store.exists("a")
    assert store.names("a") == []
    store.delete("a")


def test_only_the_first_creation_counts(store):
    assert store.create("a", b"one")
    assert not store.create("a", b"two")
    assert store.get("a") == b"one"
    assert files(store) == ["a"]


def test_of_many_processes_exactly_one_creates_an_object(race, tmp_path):
    code = """
from pathlib import Path
from refrain.storage.objects import LocalObjectStore
store = LocalObjectStore(Path(sys.argv[1]))
def work(number):
    return store.create("race/key", str(number).encode())
"""
    answers = race(code, 20)
    assert sorted(answers) == ["False"] * 19 + ["True"]
    store = LocalObjectStore(tmp_path)
    assert store.get("race/key") == str(answers.index("True")).encode()
    assert files(store) == ["race/key"]


def test_temporary_files_are_never_listed(store):
    store.put("a/key", b"")
    (store.root / "a/.tmp-left-by-a-crash").touch()
    assert store.names("a") == ["key"]


def test_names_are_those_directly_below(store):
    for key in ("a/2", "a/1/deep", "b"):
        store.put(key, b"")
    assert store.names("a") == ["1", "2"]
    assert store.names("") == ["a", "b"]


def test_a_deleted_object_is_gone(store):
    store.put("a", b"")
    store.delete("a")
    assert not store.exists("a")


def test_a_private_object_is_private_from_the_first_moment(store, monkeypatch):
    seen = []
    real = os.link

    def link(source, target):
        seen.append(stat.S_IMODE(os.stat(source).st_mode))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    before = os.umask(0)
    try:
        store.create("key", b"", private=True)
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert stat.S_IMODE((store.root / "key").stat().st_mode) == 0o600


def test_a_full_disk_leaves_nothing(store):
    store.put("a/there", b"old")
    code = """
import resource, signal, sys
from pathlib import Path
from refrain.errors import WorkspaceError
from refrain.storage.objects import LocalObjectStore
store = LocalObjectStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for act in (store.put, store.create):
    for key in ("a/there", "b/new"):
        try:
            act(key, b"x" * 2000)
        except WorkspaceError as error:
            print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, store.root], capture_output=True, text=True, check=True)
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == ["File too large."] * 4
    assert files(store) == ["a/there"]
    assert store.get("a/there") == b"old"


def test_an_interrupted_write_leaves_nothing(store, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.put("a", b"x")
    assert files(store) == []


def test_two_writers_never_share_a_temporary_file(store, monkeypatch):
    """Process ids and thread ids are the same in two containers that share the folder."""
    used = []
    monkeypatch.setattr(os, "replace", lambda source, target: used.append(source))
    store.put("a", b"")
    store.put("a", b"")
    assert len(set(used)) == 2


def test_a_read_only_folder_is_named(unprivileged):
    with unprivileged() as root:
        store = LocalObjectStore(root)
        store.put("a/b", b"old")
        (root / "a").chmod(0o500)
        for act in (store.put, store.create):
            with pytest.raises(WorkspaceError, match=r"Cannot write '.*/a/c': Permission denied\."):
                act("a/c", b"")
        with pytest.raises(WorkspaceError, match=r"Cannot delete '.*/a/b': Permission denied\."):
            store.delete("a/b")
        assert store.get("a/b") == b"old"


def test_an_unreadable_folder_is_named(unprivileged):
    with unprivileged() as root:
        store = LocalObjectStore(root)
        store.put("a/b", b"old")
        (root / "a").chmod(0)
        with pytest.raises(WorkspaceError, match=r"Cannot read '.*/a/b': Permission denied\."):
            store.get("a/b")
        with pytest.raises(WorkspaceError, match=r"Cannot list '.*/a': Permission denied\."):
            store.names("a")
        for above in ("a", ""):
            with pytest.raises(WorkspaceError, match=r"Cannot list '.*/a': Permission denied\."):
                list(store.walk(above))


def test_a_file_where_a_folder_should_be_is_named(store):
    store.put("a", b"")
    with pytest.raises(WorkspaceError, match=re.escape(f"Cannot write '{store.root}/a/b': Not a directory.")):
        store.put("a/b", b"")


def test_an_object_is_empty_if_its_bytes_are(store):
    store.put("a", b"")
    assert store.get("a") == b""


def test_an_object_larger_than_one_read_comes_back_whole(store):
    content = bytes(range(256)) * 1000
    store.put("a", content)
    assert store.get("a") == content


def test_a_forked_writer_uses_other_temporary_names(store):
    names = []
    for _ in range(2):
        with store._written("a", b"", durable=False) as (temporary, _path):
            names.append(os.path.basename(temporary))
    process = os.fork()
    if process == 0:
        with store._written("a", b"", durable=False) as (temporary, _path):
            os._exit(os.path.basename(temporary) in names or str(os.getpid()) not in temporary)
    assert len(set(names)) == 2
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
