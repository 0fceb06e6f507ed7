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
from refrain.errors import DataError, UserError
from refrain.storage.cache import WorkerCache, written_to


@pytest.fixture
def cache(tmp_path: Path) -> WorkerCache:
    return WorkerCache(tmp_path / "cache")


def _digest(number: int) -> str:
    return f"{number:064x}"


def _write(path: Path) -> None:
    path.write_bytes(b"x" * 10)


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


def test_a_limit_that_is_no_number_is_refused(cache, monkeypatch):
    monkeypatch.setenv("REFRAIN_CACHE_BYTES", "20GB")
    with pytest.raises(UserError, match="REFRAIN_CACHE_BYTES='20GB' is no number of bytes"):
        cache.make_room()


def test_a_fetch_that_was_killed_is_done_again(cache, tmp_path):
    code = f"""
import time
from pathlib import Path
from refrain.storage.cache import WorkerCache
def fetch(path):
    path.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
WorkerCache(Path({str(cache.folder)!r})).link({_digest(1)!r}, 10, Path({str(tmp_path / "killed")!r}), fetch)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(refrain.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert cache.link(_digest(1), 10, tmp_path / "a", _write)
    assert (tmp_path / "a").read_bytes() == b"x" * 10
    assert not (tmp_path / "killed").exists()
