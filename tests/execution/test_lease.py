"""Leases: one holder at a time, whatever becomes of it, and no clock that anybody could set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from refrain.errors import UserError
from refrain.execution.lease import Holder, Lease, Leases, is_being_made, lease_seconds
from refrain.storage.filesystem import FileSystem
from refrain.storage.objects import LocalObjectStore, ObjectStore
from refrain.storage.remote_objects import RemoteObjectStore
from refrain.storage.state import WorkspaceState

FINGERPRINT = "ab" * 32


class Clock:
    """A clock that goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["folder", "url"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return LocalObjectStore(tmp_path)
    url = f"memory://{uuid.uuid4().hex}"
    return RemoteObjectStore(FileSystem(url), url)


@pytest.fixture
def leases(objects: ObjectStore) -> Leases:
    return Leases(objects, seconds=30)


def _acquire(leases: Leases, run_id: str = "run.step.1") -> Lease:
    lease = leases.try_acquire(FINGERPRINT, run_id)
    assert lease is not None
    return lease


def _on_another_machine(objects: ObjectStore) -> None:
    """Make the lease look as if a process of another machine had it, of which nobody here knows whether it lives."""
    key = f"leases/ab/{FINGERPRINT}/1"
    document = json.loads(objects.get(key) or b"")
    objects.put(key, json.dumps({**document, "machine": "elsewhere"}).encode())


def test_only_one_holds_a_lease(leases: Leases) -> None:
    _acquire(leases)
    assert leases.try_acquire(FINGERPRINT, "other.step.1") is None
    assert leases.try_acquire("cd" * 32, "other.step.1") is not None


def test_who_waits_can_say_for_whom(leases: Leases) -> None:
    _acquire(leases)
    holder = leases.watch(FINGERPRINT).look()
    assert holder is not None
    assert holder.run_id == "run.step.1"
    assert leases.watch("cd" * 32).look() is None


def test_a_lease_that_was_given_back_can_be_had_at_once_under_a_higher_number(
    leases: Leases, objects: ObjectStore
) -> None:
    first = _acquire(leases)
    first.release()
    second = _acquire(leases)
    assert (first.number, second.number) == (1, 2)
    assert not first.is_held()
    second.release()
    assert objects.names(f"leases/ab/{FINGERPRINT}") == ["2"]


def test_a_lease_is_given_back_on_every_way_out(leases: Leases) -> None:
    for error in (KeyboardInterrupt, SystemExit, ValueError):
        with pytest.raises(error), _acquire(leases).kept():
            raise error
    assert leases.watch(FINGERPRINT).look() is None


def test_a_holder_that_gives_signs_of_life_keeps_its_lease(leases: Leases, objects: ObjectStore) -> None:
    lease, clock = _acquire(leases), Clock()
    _on_another_machine(objects)
    watch = leases.watch(FINGERPRINT, clock)
    for _ in range(10):
        assert watch.look() is not None
        clock.now += 29
        assert lease.heartbeat()
        _on_another_machine(objects)


def test_a_holder_without_a_sign_of_life_loses_its_lease_and_learns_of_it(leases: Leases, objects: ObjectStore) -> None:
    lease, clock = _acquire(leases), Clock()
    _on_another_machine(objects)
    watch = leases.watch(FINGERPRINT, clock)
    assert watch.look() is not None
    clock.now += 29.9
    assert leases.try_acquire(FINGERPRINT, "other.step.1", watch) is None
    clock.now += 0.1
    taken = leases.try_acquire(FINGERPRINT, "other.step.1", watch)
    assert taken is not None
    assert taken.is_held()
    assert not lease.is_held()
    assert not lease.heartbeat()
    lease.release()
    assert taken.is_held()


def test_what_one_process_saw_expire_another_may_take_at_once(leases: Leases, objects: ObjectStore) -> None:
    _acquire(leases)
    _on_another_machine(objects)
    clock = Clock()
    watch = leases.watch(FINGERPRINT, clock)
    assert (watch.look() is not None, watch.expired) == (True, "")
    clock.now += 30
    assert watch.look() is None
    assert leases.try_acquire(FINGERPRINT, "other.step.1") is None
    assert leases.try_acquire(FINGERPRINT, "other.step.1", leases.watch(FINGERPRINT, expired=watch.expired)) is not None


def test_a_holder_that_was_seen_to_expire_keeps_its_lease_if_it_has_given_a_sign_of_life_since(
    leases: Leases, objects: ObjectStore
) -> None:
    lease, clock = _acquire(leases), Clock()
    _on_another_machine(objects)
    watch = leases.watch(FINGERPRINT, clock)
    watch.look()
    clock.now += 30
    assert watch.look() is None
    assert lease.heartbeat()
    _on_another_machine(objects)
    later = leases.watch(FINGERPRINT, expired=watch.expired)
    assert leases.try_acquire(FINGERPRINT, "other.step.1", later) is None


def test_who_took_over_from_one_that_expired_keeps_the_lease(leases: Leases, objects: ObjectStore) -> None:
    _acquire(leases)
    _on_another_machine(objects)
    holder = leases.holder(FINGERPRINT)
    assert holder is not None
    watches = [leases.watch(FINGERPRINT, expired=holder.sign) for _ in range(2)]
    assert leases.try_acquire(FINGERPRINT, "other.step.1", watches[0]) is not None
    assert leases.try_acquire(FINGERPRINT, "third.step.1", watches[1]) is None


def test_a_holder_counts_by_its_own_promise_not_by_that_of_who_waits(objects: ObjectStore) -> None:
    _acquire(Leases(objects, seconds=100))
    _on_another_machine(objects)
    clock = Clock()
    hasty = Leases(objects, seconds=1)
    watch = hasty.watch(FINGERPRINT, clock)
    assert watch.look() is not None
    clock.now += 99
    assert hasty.try_acquire(FINGERPRINT, "other.step.1", watch) is None


@pytest.mark.parametrize("days", [-1, 1])
def test_a_machines_clock_that_jumps_steals_nothing(
    leases: Leases, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Neither the time of day nor the times of files are read."""
    _acquire(leases)
    _on_another_machine(objects)
    watch = leases.watch(FINGERPRINT)
    assert watch.look() is not None
    now = time.time() + days * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now * 1e9))
    if isinstance(objects, LocalObjectStore):
        os.utime(objects.path(f"leases/ab/{FINGERPRINT}/1"), (now, now))
    assert watch.look() is not None
    assert leases.try_acquire(FINGERPRINT, "other.step.1", watch) is None


def test_a_dead_process_of_this_machine_is_noticed_at_once(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from refrain.execution.lease import Leases
from refrain.storage.objects import LocalObjectStore
assert Leases(LocalObjectStore(Path({str(tmp_path)!r}))).try_acquire({FINGERPRINT!r}, "run.step.1")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert _acquire(Leases(LocalObjectStore(tmp_path))).number == 2


def test_what_cannot_be_read_holds_the_lease_until_it_has_not_changed_for_long(
    leases: Leases, objects: ObjectStore
) -> None:
    clock = Clock()
    watch = leases.watch(FINGERPRINT, clock)
    for content in (b"{", b'{"schema": 99}', b"[]", b"null", b'{"schema": 1, "later": true}'):
        objects.put(f"leases/ab/{FINGERPRINT}/1", content)
        assert isinstance(watch.look(), Holder)
        clock.now += 29
    assert watch.look() is not None
    clock.now += 30
    assert watch.look() is None


def test_a_lease_is_kept_alive_while_its_block_runs(objects: ObjectStore) -> None:
    leases = Leases(objects, seconds=0.6)
    watch = leases.watch(FINGERPRINT)
    with _acquire(leases).kept():
        first = watch.look()
        assert first is not None
        while True:
            later = leases.holder(FINGERPRINT)
            assert later is not None
            if later.beat > first.beat + 1:
                break
            time.sleep(0.01)


RACE = """
import time
from pathlib import Path
from refrain.execution.lease import Leases
from refrain.storage.objects import LocalObjectStore
root = Path(sys.argv[1])
leases = Leases(LocalObjectStore(root), seconds=30)
(root / "made").mkdir(exist_ok=True)
def work(number):
    held = 0
    for turn in range(ROUNDS):
        result = root / "made" / str(turn)
        watch = leases.watch(f"{turn:064x}")
        while not result.exists():
            lease = leases.try_acquire(f"{turn:064x}", f"run.step.{number + 1}", watch)
            if lease is None:
                time.sleep(0.001)
                continue
            with lease.kept():
                if not result.exists():
                    assert lease.is_held()
                    held += 1
                    time.sleep(0.002)
                    result.touch()
    return held
"""


@pytest.mark.parametrize(("writers", "rounds"), [(2, 40), (16, 20), (64, 5)])
def test_of_many_processes_exactly_one_makes_each_result(race, writers: int, rounds: int) -> None:
    answers = race(RACE.replace("ROUNDS", str(rounds)), writers)
    assert sum(map(int, answers)) == rounds


def test_whether_somebody_is_making_a_result_can_be_asked_again_and_again(tmp_path: Path) -> None:
    state = WorkspaceState(tmp_path)
    assert not is_being_made(state, FINGERPRINT)
    lease = _acquire(Leases(state.objects, seconds=0.2))
    assert is_being_made(state, FINGERPRINT)
    lease.release()
    assert not is_being_made(state, FINGERPRINT)
    _acquire(Leases(state.objects, seconds=0.2))
    while is_being_made(state, FINGERPRINT):  # it gives no sign of life
        time.sleep(0.01)


def test_the_seconds_of_a_lease_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lease_seconds() == 30
    monkeypatch.setenv("REFRAIN_LEASE_SECONDS", "2.5")
    assert lease_seconds() == 2.5
    for text in ("soon", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("REFRAIN_LEASE_SECONDS", text)
        with pytest.raises(UserError, match=f"REFRAIN_LEASE_SECONDS='{text}' is no number of seconds above 0"):
            lease_seconds()
