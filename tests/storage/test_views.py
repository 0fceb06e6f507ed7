"""Views: ordinary files to everybody, of which only what is read is fetched."""

from __future__ import annotations

import errno
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fakes.fuse import mounts, need_fuse, view_servers
from fakes.remote_stores import S3Server, s3_server
from refrain.errors import DataError, UserError
from refrain.storage import views
from refrain.storage.filesystem import FileSystem
from refrain.storage.listing import Listed, tag_of
from refrain.storage.remote_files import RemoteReading, info_of
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.view_server import BLOCK, KEPT_BLOCKS, Blocks, Object, View

LARGE = 40 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def place(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
    state = WorkspaceState(tmp_path / "workspace")
    state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
    yield state.stores.on("objects", "data")
    server.refusal = None
    views.end(tmp_path)


def _put(place: Place, folder: Path, contents: dict[str, bytes]) -> None:
    pairs = []
    for name, data in contents.items():
        path = folder / "put" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        pairs.append((path, place.below(name).path))
    place.store.put(pairs)


def _shown(place: Place, view: Path) -> Path:
    need_fuse()
    return place.store.mount(place.path, view, is_lazy=True)


def _tree(top: Path) -> dict[str, tuple[bytes, int, int, int]]:
    found = {}
    for parent, _, names in os.walk(top):
        for name in names:
            path, status = Path(parent, name), os.stat(os.path.join(parent, name))
            found[str(path.relative_to(top))] = (path.read_bytes(), status.st_size, status.st_mtime_ns, status.st_mode)
    return found


def test_a_view_shows_what_the_cache_shows(place: Place, tmp_path: Path) -> None:
    contents = {"a.csv": b"x,y\n1,2\n", "deep/er/b": b"", "deep/c d": os.urandom(3 * BLOCK + 17), "ü": b"u"}
    _put(place, tmp_path, contents)
    cached = place.store.mount(place.path, tmp_path / "cached")
    shown = _shown(place, tmp_path / "a view")
    assert _tree(shown) == _tree(cached)
    assert pd.read_csv(shown / "a.csv").to_dict("list") == {"x": [1], "y": [2]}
    subprocess.run(["cp", "-r", str(shown), str(tmp_path / "copy")], check=True)
    assert {name: data for name, (data, *_) in _tree(tmp_path / "copy").items()} == contents
    shutil.copytree(shown, tmp_path / "another")
    with open(shown / "deep/c d", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[BLOCK - 5 : BLOCK + 5] == contents["deep/c d"][BLOCK - 5 : BLOCK + 5]
    assert os.stat(shown).st_mode == os.stat(cached).st_mode


def test_a_file_keeps_its_name_in_a_view(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a.csv": b"1"})
    shown = _shown(place.below("a.csv"), tmp_path / "view")
    assert (shown.name, shown.read_bytes(), os.listdir(shown.parent)) == ("a.csv", b"1", ["a.csv"])


def test_nothing_can_be_written_to_a_view(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a": b"1"})
    shown = _shown(place, tmp_path / "view")
    acts = [
        lambda: (shown / "a").open("r+b"),
        lambda: (shown / "new").write_text("x"),
        (shown / "a").unlink,
        (shown / "folder").mkdir,
        lambda: (shown / "a").rename(shown / "b"),
        lambda: (shown / "a").chmod(0o777),
        lambda: os.utime(shown / "a"),
    ]
    for act in acts:
        with pytest.raises(OSError, match="Read-only") as raised:
            act()
        assert raised.value.errno == errno.EROFS
    assert views.end(tmp_path) == []
    assert place.files() == ["a"]


def test_of_a_large_file_only_what_is_read_is_fetched(place: Place, server: S3Server, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(LARGE)
    _put(place, tmp_path, {"large": data})
    shown = _shown(place, tmp_path / "view")
    server.ranges.clear()
    sent = server.bytes_sent
    with open(shown / "large", "rb", buffering=0) as file:
        for start in (LARGE - 1000, LARGE // 2):  # a hundredth of it, at two places
            file.seek(start)
            assert file.read(LARGE // 200) == data[start : start + LARGE // 200]
    assert server.ranges
    assert all(server.ranges)
    assert server.bytes_sent - sent < LARGE / 10


def test_who_reads_a_file_to_its_end_fetches_it_once_in_few_requests(
    place: Place, server: S3Server, tmp_path: Path
) -> None:
    data = random.Random(1).randbytes(LARGE)
    _put(place, tmp_path, {"large": data})
    shown = _shown(place, tmp_path / "view")
    server.ranges.clear()
    sent = server.bytes_sent
    assert (shown / "large").read_bytes() == data
    assert server.bytes_sent - sent < LARGE * 1.01
    assert len(server.ranges) < 16
    assert (shown / "large").read_bytes() == data


def test_a_changed_object_gives_an_error_and_is_told(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a": b"1" * 4 * BLOCK, "b": b"2"})
    shown = _shown(place, tmp_path / "view")
    with open(shown / "a", "rb") as file:
        assert file.read(1) == b"1"
        _put(place, tmp_path, {"a": b"3" * 4 * BLOCK})
        file.seek(3 * BLOCK)
        with pytest.raises(OSError, match="Input/output error"):
            file.read(1)
    assert (shown / "b").read_bytes() == b"2"
    (fault,) = views.end(tmp_path)
    assert fault.startswith(f"{place.path}/a changed while it was being fetched")


def test_an_object_that_may_not_be_read_gives_an_error_and_is_told(
    place: Place, server: S3Server, tmp_path: Path
) -> None:
    _put(place, tmp_path, {"a": b"1"})
    shown = _shown(place, tmp_path / "view")
    server.refusal = ("403 Forbidden", "AccessDenied")
    with pytest.raises(OSError, match="Input/output error"):
        (shown / "a").read_bytes()
    (fault,) = views.end(tmp_path)
    assert fault.startswith(f"Cannot read {place.path}/a: ")
    assert "top-secret-word" not in fault


def test_a_view_ends_while_it_is_read(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a": b"1" * 4 * BLOCK})
    shown = _shown(place, tmp_path / "view")
    assert len(view_servers(tmp_path / "cache")) == 1
    descriptor = os.open(shown / "a", os.O_RDONLY)
    assert os.read(descriptor, 1) == b"1"
    assert views.end(tmp_path) == []
    with pytest.raises(OSError, match="not connected"):
        os.close(descriptor)
    assert mounts(tmp_path) == []
    assert view_servers(tmp_path / "cache") == []
    assert os.listdir(tmp_path / "view") == []


def test_a_server_that_was_killed_is_told_and_its_folder_unmounted(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a": b"1"})
    _shown(place, tmp_path / "view")
    (server,) = view_servers(tmp_path / "cache")
    os.kill(server, signal.SIGKILL)
    assert views.end(tmp_path) == [f"the process that served {tmp_path / 'view'} ended before the step"]
    assert mounts(tmp_path) == []


def test_no_credential_is_among_a_servers_arguments(place: Place, tmp_path: Path) -> None:
    _put(place, tmp_path, {"a": b"1"})
    _shown(place, tmp_path / "view")
    (server,) = view_servers(tmp_path / "cache")
    assert Path(f"/proc/{server}/cmdline").read_bytes().split(b"\0")[1:] == [b"-m", b"refrain.storage.view_server", b""]


def test_many_read_at_once(place: Place, tmp_path: Path) -> None:
    contents = {f"{number}": bytes([number]) * (BLOCK + number) for number in range(8)}
    _put(place, tmp_path, contents)
    shown = _shown(place, tmp_path / "view")
    found: dict[str, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: (shown / n).read_bytes()})) for n in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == contents


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b", "a"], ["a//b"], ["a/../b"], ["a" * 256]])
def test_an_object_whose_name_is_none_of_a_file_is_refused(paths: list[str]) -> None:
    objects = [Listed(path, f"s3://bucket/{path}", 1, "tag") for path in paths]
    with pytest.raises(DataError, match=r"s3://bucket/a.* cannot be shown as a file"):
        View(FileSystem("s3://bucket"), objects, [], lambda: None)


def test_a_machine_that_cannot_mount_says_why_and_the_way_out(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mfusepy")
    _put(place, tmp_path, {"a": b"1"})
    monkeypatch.setenv("FUSE_LIBRARY_NAME", "no-such-library")  # read by FUSE's bindings
    with pytest.raises(DataError, match=r"REFRAIN_MOUNT=fuse: libfuse is missing: .*apt-get install .*Without REFRAIN"):
        place.store.mount(place.path, tmp_path / "view", is_lazy=True)
    assert mounts(tmp_path) == []
    assert view_servers(tmp_path / "cache") == []


def test_an_unknown_way_to_mount_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_MOUNT", "nfs")
    with pytest.raises(UserError, match=r"REFRAIN_MOUNT='nfs' is no way to mount; write one of cache, fuse\."):
        views.are_lazy()
    monkeypatch.setenv("REFRAIN_MOUNT", "")
    assert not views.are_lazy()


def test_what_is_kept_in_memory_is_bounded() -> None:
    blocks = Blocks()
    for number in range(KEPT_BLOCKS + 1):
        blocks.put("a", number, b"x")
        assert blocks.get("a", 0) == b"x"
    assert len(blocks.kept) == KEPT_BLOCKS
    assert blocks.get("a", 1) is None


def test_on_a_store_that_checks_no_tags_a_changed_object_is_noticed_too() -> None:
    files = FileSystem("memory://views")
    files.call("write", lambda fs: fs.pipe_file("memory://views/a", b"1" * 4 * BLOCK))
    info = files.call("read", lambda fs: info_of(fs, "memory://views/a"))
    listed = Listed("a", "memory://views/a", 4 * BLOCK, tag_of(info))
    found = Object(RemoteReading(files, listed), Blocks())
    assert found.read(BLOCK - 1, BLOCK + 1) == b"11"
    files.call("write", lambda fs: fs.pipe_file("memory://views/a", b"2" * 4 * BLOCK))
    with pytest.raises(DataError, match=r"memory://views/a changed while it was being fetched"):
        found.read(3 * BLOCK, 4 * BLOCK)


def test_a_server_ends_with_its_engine(place: Place, tmp_path: Path) -> None:
    need_fuse()
    _put(place, tmp_path, {"a": b"1"})
    code = f"""
import os, signal, sys
from pathlib import Path
from refrain.storage.state import WorkspaceState
place = WorkspaceState(Path({str(tmp_path / "workspace")!r})).stores.on("objects", "data")
top = place.store.mount(place.path, Path({str(tmp_path / "view")!r}), is_lazy=True)
sys.stdout.write((top / "a").read_text())
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stdout) == (-9, b"1")
    deadline = time.monotonic() + 60
    while (view_servers(tmp_path / "cache") or mounts(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert view_servers(tmp_path / "cache") == []
    assert mounts(tmp_path) == []
