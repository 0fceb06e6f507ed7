"""Clocks: machines of other names, whose time of day jumps; each is a process of :mod:`chaos.nursery`."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from refrain.compute.processes import machine
from refrain.execution.cleaning import Cleaning
from refrain.execution.lease import Leases
from refrain.storage.objects import LocalObjectStore
from refrain.storage.retention import Retention
from refrain.storage.state import WorkspaceState

FINGERPRINT = "ab" * 32
SECONDS = 1.0
_DAY = 24 * 3600
_PAUSE = 0.02


def die_as_holder(root: str, seconds: float) -> None:
    """Take the lease on a machine of its own, and end without giving it back."""
    _be_elsewhere("dead")
    assert Leases(LocalObjectStore(Path(root)), seconds).try_acquire(FINGERPRINT, "run.dead.1")


def wait_for_the_lease(root: str, seed: int) -> float | None:
    """Try to get the lease until somebody has it anew; return after how many seconds it was had here."""
    _be_elsewhere(f"waiting-{seed}")
    _let_the_clock_jump(seed)
    leases = Leases(LocalObjectStore(Path(root)), 60.0)
    watch, begun = leases.watch(FINGERPRINT), time.monotonic()
    while True:
        holder = watch.look()
        if holder is not None and holder.number > 1:
            return None
        if leases.try_acquire(FINGERPRINT, "run.waiting.1", watch) is not None:
            return time.monotonic() - begun
        time.sleep(_PAUSE)


def try_to_steal(root: str, seed: int, seconds: float) -> tuple[int, float | None]:
    """Try to get a lease for some time; return how often, and if it was had, how long after the last sign of life."""
    _be_elsewhere(f"thief-{seed}")
    _let_the_clock_jump(seed)
    leases = Leases(LocalObjectStore(Path(root)), 60.0)
    watch, tries, seen, since = leases.watch(FINGERPRINT), 0, None, time.monotonic()
    end = since + seconds
    while time.monotonic() < end:
        before = time.monotonic()
        holder = watch.look()
        if holder != seen:
            seen, since = holder, before
        if leases.try_acquire(FINGERPRINT, "run.thief.1", watch) is not None:
            return tries, time.monotonic() - since
        tries += 1
        time.sleep(_PAUSE)
    return tries, None


def clean_at_another_time(root: str, days: int) -> list[str]:
    """Clean where the time of day is wrong by some days, and return what went."""
    real = time.time
    time.time = lambda: real() + days * _DAY
    return [waste.name for waste in Cleaning(WorkspaceState(root), Retention(days=0)).clean()]


def _be_elsewhere(name: str) -> None:
    system, _, *rest = os.uname()
    os.uname = lambda: os.uname_result((system, name, *rest))
    assert name in machine(), "a machine is told from others by something else now"


def _let_the_clock_jump(seed: int) -> None:
    generator, real = random.Random(seed), time.time
    time.time = lambda: real() + generator.choice((-_DAY, 0, _DAY))
    time.time_ns = lambda: int(time.time() * 1e9)
