"""Storage: digests at the floor's cost, and the decision that nothing has changed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.clock import Cost, alternating, cost_of
from bench.row import Row

_LARGE = 2 * 2**30
_FOLDERS = 1000
_FILES = 100
_FILE_BYTES = 4096
_OBJECTS = 100_000
_AT_REST_SECONDS = 2.5
_ROUNDS = 5
_MEGABYTES = 300

# Each prints what it measured itself: wall seconds, CPU seconds, and the peak of its memory in MB.
_CLOCK = """
import os, resource, sys, time
path, cache = sys.argv[1], sys.argv[2]
def timed(act):
    act_wall, act_cpu = time.perf_counter(), sum(os.times()[:4])  # with the processes that it starts
    act()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.perf_counter() - act_wall, sum(os.times()[:4]) - act_cpu, peak)
"""
_OURS_LARGE = _CLOCK + "from refrain.storage.digest import digest_file\ntimed(lambda: digest_file(path))"
_PEER_LARGE = (
    _CLOCK
    + """
from blake3 import blake3
timed(lambda: blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest())
"""
)
_OURS_TREE = (
    _CLOCK
    + """
from pathlib import Path
from refrain.storage.statindex import StatIndex
from refrain.storage.trees import Trees
trees = Trees(StatIndex(Path(cache)))
timed(lambda: (trees.identify(path), trees.flush()))
"""
)
_PEER_TREE = (
    _CLOCK
    + """
def read(folder):  # with the very calls that no digest can do without
    with os.scandir(folder) as listing:
        entries = list(listing)
    for entry in entries:
        if entry.is_dir():
            read(entry.path)
            continue
        size = entry.stat().st_size
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.read(descriptor, size + 1)
            os.fstat(descriptor)
        finally:
            os.close(descriptor)
timed(lambda: read(path))
"""
)
# The same by as many threads as we have processes.
_PEER_TREE_AT_ONCE = _PEER_TREE.replace(
    "timed(lambda: read(path))",
    """
from concurrent.futures import ThreadPoolExecutor
def read_all():
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(read, [entry.path for entry in os.scandir(path)]))
timed(read_all)
""",
)
_OURS_S3 = (
    _CLOCK
    + """
from refrain.storage.state import WorkspaceState
state = WorkspaceState(cache)
place = state.stores.at(path)
timed(place.identify)
"""
)
_PEER_S3 = (
    _CLOCK
    + """
import s3fs
fs = s3fs.S3FileSystem()
timed(lambda: fs.find(path, detail=True))
"""
)


def rows(folder: Path) -> Iterator[Row]:
    """Measure everything about storage in an empty folder."""
    folder.mkdir(parents=True)
    yield from _large(folder)
    yield from _tree(folder)
    yield from _listing(folder)


def _large(folder: Path) -> Iterator[Row]:
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(_LARGE // 2**26):
            file.write(os.urandom(2**26))
    ours, peer, peak = _beside(_OURS_LARGE, _PEER_LARGE, str(path), str(folder))
    path.unlink()
    rate, peer_rate = _LARGE / 2**30 / ours.wall, _LARGE / 2**30 / peer.wall
    # Goals are upper limits: 0.8 of the peer's rate is 1.25 of its time.
    yield Row("digest of 2 GiB", rate, peer_rate, "GiB/s", "blake3, mapped", ours.wall / peer.wall, 1.25)
    yield Row("  its memory", peak, 0.0, "MB", "", peak, _MEGABYTES)


def _tree(folder: Path) -> Iterator[Row]:
    root = folder / "tree"
    content = random.Random(7).randbytes(_FILE_BYTES + _FOLDERS * _FILES)  # noqa: S311  # any bytes will do
    for number in range(_FOLDERS):
        (root / f"{number:04}").mkdir(parents=True)
        for which in range(_FILES):
            begin = number * _FILES + which
            (root / f"{number:04}" / f"{which:02}").write_bytes(content[begin : begin + _FILE_BYTES])
    time.sleep(_AT_REST_SECONDS)

    def forget() -> None:
        shutil.rmtree(folder / "index", ignore_errors=True)

    ours, peer, peak = _beside(_OURS_TREE, _PEER_TREE_AT_ONCE, str(root), str(folder / "index"), forget)
    yield Row("100,000 files, first digest", ours.wall, peer.wall, "s", "reading, as many", ours.wall / peer.wall, 1.5)
    yield Row("  its memory", peak, 0.0, "MB", "", peak, _MEGABYTES)
    ours, peer, _ = _beside(_OURS_TREE, _PEER_TREE, str(root), str(folder / "index"), forget)
    yield Row("  beside one thread", ours.wall, peer.wall, "s", "reading them", ours.wall / peer.wall, 2.0)
    yield Row("  its processors", ours.cpu, peer.cpu, "s CPU", "reading them", ours.cpu / peer.cpu, 2.5)
    git = ["git", "-C", str(root)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    with (root / ".git" / "info" / "exclude").open("a") as file:
        file.write(".git\n")
    subprocess.run([*git, "add", "--all"], check=True, stderr=subprocess.DEVNULL)
    (root / ".git").rename(folder / "git")  # beside the tree, so that both look at the same files
    status = ["git", f"--git-dir={folder / 'git'}", f"--work-tree={root}", "status", "--short"]
    cost_of(status)
    command = [sys.executable, "-c", _OURS_TREE, str(root), str(folder / "index")]
    cost_of(command)
    mine, theirs = alternating(lambda: cost_of(command), lambda: cost_of(status), _ROUNDS)
    yield Row("100,000 files, unchanged", mine.cpu, theirs.cpu, "s CPU", "git status", mine.cpu / theirs.cpu, 3)


def _listing(folder: Path) -> Iterator[Row]:
    with _s3() as (url, environment):
        environment["REFRAIN_CACHE"] = str(folder / "cache")
        ours, peer, peak = _beside(_OURS_S3, _PEER_S3, url, str(folder / "workspace"), environment=environment)
    yield Row("100,000 objects, unchanged", ours.cpu, peer.cpu, "s CPU", "s3fs listing", ours.cpu / peer.cpu, 1.5)
    yield Row("  its memory", peak, 0.0, "MB", "", peak, _MEGABYTES)


@contextmanager
def _s3() -> Iterator[tuple[str, dict[str, str]]]:
    """Serve listings of many objects, page by page as S3 does; there is nothing to be downloaded."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))  # as pytest does
    from fakes.many_objects import many_objects

    with many_objects(_OBJECTS) as server:
        yield server.url, {**os.environ, **server.environment}


def _beside(
    ours: str,
    peer: str,
    path: str,
    cache: str,
    before: Callable[[], None] = lambda: None,
    environment: dict[str, str] | None = None,
) -> tuple[Cost, Cost, float]:
    """Measure two programs turn by turn; return the medians, and our highest peak of memory in MB."""
    peaks: list[float] = []

    def run(code: str) -> Cost:
        command = [sys.executable, "-c", code, path, cache]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        wall, cpu, peak = map(float, done.stdout.split())
        peaks.append(peak if code == ours else 0.0)
        return Cost(wall, cpu)

    def run_ours() -> Cost:
        before()
        return run(ours)

    run(peer)  # brings what is read into the page cache
    mine, theirs = alternating(run_ours, lambda: run(peer), _ROUNDS)
    return mine, theirs, max(peaks)
