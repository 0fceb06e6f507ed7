"""The worker's cache: shared, bounded, and never wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import refrain
from fakes.other_machine import on_another_machine
from refrain.errors import DataError, UserError
from refrain.storage.cache import WorkerCache, written_to


@pytest.fixture
def cache(tmp_path: Path) -> WorkerCache:
    return WorkerCache(tmp_path / "cache")


def _digest(number: int) -> str:
    return f"{number:064x}"


def _write(path: Path) -> None:
    path.write_bytes(b"x" * 10)


def _objects(cache: WorkerCache) -> dict[str, bytes]:
    paths = (cache.folder / "objects").glob("*/*")
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".tmp-")}


def _never(path: Path) -> None:
    raise AssertionError("fetched again")


def test_an_object_is_fetched_once(cache, tmp_path):
    assert cache.link(_digest(1), 10, tmp_path / "a", _write)
    assert not cache.link(_digest(1), 10, tmp_path / "b", _never)
    assert (tmp_path / "b").read_bytes() == b"x" * 10
    assert os.stat(tmp_path / "b").st_mode & 0o777 == 0o444


def test_of_many_threads_one_fetches(cache, tmp_path):
    def link(number: int) -> bool:
        return cache.link(_digest(1), 10, tmp_path / str(number), lambda path: (time.sleep(0.05), _write(path)))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(link, range(8))) == 1


def test_what_was_written_to_is_fetched_again(cache, tmp_path):
    cache.link(_digest(1), 10, tmp_path / "a" / "x", _write)
    os.chmod(tmp_path / "a" / "x", 0o644)
    assert written_to(tmp_path / "a") is None
    (tmp_path / "a" / "x").write_bytes(b"y" * 10)
    assert written_to(tmp_path / "a") == str(tmp_path / "a" / "x")
    assert cache.link(_digest(1), 10, tmp_path / "b", _write)
    assert (tmp_path / "b").read_bytes() == b"x" * 10


def test_a_failed_fetch_leaves_nothing(cache, tmp_path):
    def fail(path: Path) -> None:
        _write(path)
        raise DataError("cut short")

    with pytest.raises(DataError, match="cut short"):
        cache.link(_digest(1), 10, tmp_path / "a", fail)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "a").exists()


def test_the_least_recently_used_goes_first_and_what_is_in_use_stays(cache, tmp_path, monkeypatch):
    for number in range(4):
        cache.link(_digest(number), 10, tmp_path / str(number), _write)
    for number in (0, 1, 2):
        (tmp_path / str(number)).unlink()
    cache.link(_digest(0), 10, tmp_path / "again", _never)
    (tmp_path / "again").unlink()
    monkeypatch.setenv("REFRAIN_CACHE_BYTES", "20")
    cache.make_room()
    kept = {path.name for path in (cache.folder / "objects").glob("*/*")}
    assert kept == {_digest(0), _digest(3)}


@pytest.mark.parametrize("text", ["20GB", "-1", "1.5", "²"])
def test_a_limit_that_is_no_number_is_refused(cache, monkeypatch, text):
    monkeypatch.setenv("REFRAIN_CACHE_BYTES", text)
    with pytest.raises(UserError, match=f"REFRAIN_CACHE_BYTES='{text}' is no number of bytes"):
        cache.make_room()


def test_an_object_larger_than_the_limit_is_read_and_said_to_be(cache, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("REFRAIN_CACHE_BYTES", "9")
    cache.link(_digest(1), 10, tmp_path / "a", _write)
    cache.make_room()
    assert (tmp_path / "a").read_bytes() == b"x" * 10
    assert "holds 10 bytes, more than the 9 of its limit, because steps are using them" in caplog.text
    (tmp_path / "a").unlink()
    cache.make_room()
    assert _objects(cache) == {}


_KILLED = """
import os, signal, sys
from pathlib import Path
from refrain.storage.cache import WorkerCache
phase, cache, target = sys.argv[1], WorkerCache(Path(sys.argv[2])), Path(sys.argv[3])
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
def fetch(path):
    path.write_bytes(b"x" * (5 if phase == "half" else 10))
    if phase == "half":
        die()
if phase not in ("half", "the end"):
    setattr(os, phase, die)
cache.link("0" * 63 + "1", 10, target, fetch)
die()
"""


@pytest.mark.parametrize("phase", ["half", "chmod", "utime", "link", "replace", "the end"])
def test_a_fetch_that_was_killed_at_any_moment_leaves_a_whole_object_or_none(cache, tmp_path, phase):
    command = [sys.executable, "-c", _KILLED, phase, cache.folder, tmp_path / "killed"]
    environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert _objects(cache) in ({}, {_digest(1): b"x" * 10})
    if (tmp_path / "killed").exists():
        assert (tmp_path / "killed").read_bytes() == b"x" * 10
    cache.link(_digest(1), 10, tmp_path / "a", _write)
    assert (tmp_path / "a").read_bytes() == b"x" * 10
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o444
    assert [path.name for path in (cache.folder / "objects").rglob("*") if path.is_file()] == [_digest(1)]


def test_what_a_killed_step_sees_is_not_written_to_by_the_next(cache, tmp_path):
    command = [sys.executable, "-c", _KILLED, "replace", cache.folder, tmp_path / "killed"]
    environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
    subprocess.run(command, env=environment, check=False)
    with open(tmp_path / "killed", "rb") as file:
        cache.link(_digest(1), 10, tmp_path / "a", lambda path: path.write_bytes(b"y" * 10))
        assert file.read() == b"x" * 10


_MANY = """
import random
from pathlib import Path
from refrain.storage.cache import WorkerCache
os.environ["REFRAIN_CACHE_BYTES"] = "40"
cache = WorkerCache(Path(sys.argv[1]) / "cache")
def work(number):
    order = list(range(12))
    random.Random(number).shuffle(order)
    for which in order:
        target = Path(sys.argv[1]) / "views" / f"{number}-{which}"
        cache.link(f"{which:064x}", 10, target, lambda path: path.write_bytes(f"{which:010}".encode()))
        assert target.read_bytes() == f"{which:010}".encode()
        target.unlink()
        cache.make_room()
    return "done"
"""


def test_32_processes_share_it_while_room_is_made(race, cache, tmp_path):
    assert race(_MANY, 32) == ["done"] * 32
    for name, data in _objects(cache).items():
        assert data == f"{int(name, 16):010}".encode()
    assert not list((cache.folder / "objects").rglob(".tmp-*"))


def test_containers_share_it_though_their_process_numbers_are_alike(cache, tmp_path):
    """Each in a namespace of its own, where it is process 1."""
    code = f"""
import os, time
from pathlib import Path
from refrain.storage.cache import WorkerCache
def fetch(path):
    with open({str(tmp_path / "fetches")!r}, "a") as file:
        file.write(f"{{os.getpid()}}\\n")
    time.sleep(0.5)
    path.write_bytes(b"x" * 10)
view = Path({str(tmp_path)!r}) / os.environ["VIEW"]
WorkerCache(Path({str(cache.folder)!r})).link({_digest(1)!r}, 10, view, fetch)
assert view.read_bytes() == b"x" * 10
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
    command = [*on_another_machine(), sys.executable, "-c", code]
    started = [subprocess.Popen(command, env={**environment, "VIEW": str(number)}) for number in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert (tmp_path / "fetches").read_text() == "1\n"


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    try:
        cache = WorkerCache(folder / "cache")
        with pytest.raises(DataError, match=r"The worker's cache '.*/small/cache' cannot be used: .*No space left"):
            cache.link(_digest(1), 2**20, folder / "view", lambda path: path.write_bytes(b"x" * 2**20))
        assert [path for path in folder.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)
