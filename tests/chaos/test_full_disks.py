"""Disks without room, from any moment on and of any size: no record without its outputs, and an error that says why."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import lives
from chaos.homes import Homes, lived, nothing
from chaos.lives import Fault, Home
from chaos.nursery import Child, answer_of
from chaos.plan import Plan

pytestmark = pytest.mark.slow
NEEDS_ROOM = ("create", "write", "mkdir", "link")
PAGE = 4096


@pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "store"])
@pytest.mark.parametrize(("state", "is_forced"), [(nothing, False), (lived, True)], ids=["first", "forced"])
def test_a_disk_that_is_full_from_any_effect_on_leaves_nothing_wrong(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None], is_remote: bool, state: Callable[[Home], None],
    is_forced: bool,
) -> None:  # fmt: skip
    homes = Homes(tmp_path, is_remote, state)
    effects: list[str] = []

    def undisturbed(home: Home) -> list[str]:
        effects.extend(answer_of(lives.live, home, None, is_forced, environment=home.environment).effects)
        return []

    def full(fault: Fault) -> list[str]:
        return homes.use(lambda home: _after(home, lambda: None, fault, is_forced))

    homes.use(undisturbed)
    chosen = plan.faults([name for name in effects if name.startswith(NEEDS_ROOM)], is_full=True, most=2)
    done = plan.each("disk full", full, chosen)
    kind = "object store" if is_remote else "folder"
    figure(f"disk full, {kind}, {state.__name__}: from {done} moments on; 0 records without their outputs")


def test_a_disk_of_any_size_leaves_nothing_wrong(tmp_path: Path, plan: Plan, figure: Callable[[str], None]) -> None:
    _mount(tmp_path, 1)  # skips where that is not allowed
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    ends: list[str] = []

    def small(pages: int) -> list[str]:
        home = Home(tmp_path / str(pages))
        disk = home.folder / "workspace"
        disk.mkdir(parents=True)
        _mount(disk, pages)
        try:
            more = ["mount", "-o", "remount,size=64m", str(disk)]
            return _after(home, lambda: subprocess.run(more, check=True), None, False, ends)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
            shutil.rmtree(home.folder)

    done = plan.each("small disks", small, plan.spread(range(1, 71), 4))
    assert "Failed" in ends
    if plan.is_long:
        assert "Completed" in ends, "no disk was large enough"
    figure(f"disk full, real disks of 4 to 280 KiB: {done} sizes, {ends.count('Completed')} large enough; "
           "0 records without their outputs")  # fmt: skip


def _after(
    home: Home, make_room: Callable[[], object], fault: Fault | None, is_forced: bool, ends: list[str] | None = None
) -> list[str]:
    """Run on a full disk, then on one with room, and return what is wrong."""
    code, ended = Child(lives.live, home, fault, is_forced, environment=home.environment).end()
    if code != 0:
        return [f"the process died: {code}"]
    wrong = list(ended.bugs)
    wrong += [f"the error does not say why: {e}" for e in ended.errors if not _says_why(e)]
    if ends is not None:
        ends.append(ended.status)
    make_room()
    return wrong + list(answer_of(lives.examine, home, environment=home.environment)["wrong"])


def _says_why(error: str) -> bool:
    return "No space left on device" in error or "not enough space" in error.lower()


def _mount(folder: Path, pages: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"nr_blocks={pages}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
