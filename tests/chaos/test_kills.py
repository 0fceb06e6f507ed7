"""Processes that are killed: whatever they leave is whole, and the next one makes it good."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import lives
from chaos.homes import Homes, condemned, lived, nothing, outdated, robbed
from chaos.lives import Fault, Home
from chaos.nursery import Child, answer_of
from chaos.plan import Plan
from fakes.remote_stores import S3Server, s3_server

pytestmark = pytest.mark.slow
KILLED = -9
SOUND = "0 wrong hits, 0 lost commits, 0 leftovers"
PLACES = pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "store"])


STATES = [(nothing, False), (robbed, False), (lived, True)]


@PLACES
@pytest.mark.parametrize(("state", "is_forced"), STATES, ids=["first", "lost", "forced"])
def test_a_run_that_is_killed_at_any_effect_leaves_nothing_wrong(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None], is_remote: bool, state: Callable[[Home], None],
    is_forced: bool,
) -> None:  # fmt: skip
    homes = Homes(tmp_path, is_remote, state)
    effects: list[str] = []

    def undisturbed(home: Home) -> list[str]:
        ended = answer_of(lives.live, home, None, is_forced, environment=home.environment)
        effects.extend(ended.effects)
        return [] if ended.status == "Completed" else [str(ended)]

    def killed(fault: Fault) -> list[str]:
        def act(home: Home) -> list[str]:
            code, _ = Child(lives.live, home, fault, is_forced, environment=home.environment).end()
            assert code in (KILLED, 0), code
            found = answer_of(lives.examine, home, state is not robbed, environment=home.environment)
            return list(found["wrong"])

        return homes.use(act)

    assert homes.use(undisturbed) == []
    chosen = plan.faults(effects)
    done = plan.each(f"killed, {state.__name__}", killed, chosen)
    points = _points(done, chosen, effects)
    figure(f"kill -9 of a run, {_kind(is_remote)}, {state.__name__}: {points}; {SOUND}")


@PLACES
def test_a_run_that_is_killed_at_any_moment_leaves_nothing_wrong(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None], is_remote: bool
) -> None:
    homes = Homes(tmp_path, is_remote, nothing)
    struck: list[int] = []

    def undisturbed(home: Home) -> list[str]:
        begun = time.monotonic()
        answer_of(lives.live, home, environment=home.environment)
        return [str(time.monotonic() - begun)]

    (seconds,) = homes.use(undisturbed)

    def killed(seed: int) -> list[str]:
        def act(home: Home) -> list[str]:
            child = Child(lives.live, home, environment=home.environment)
            time.sleep(random.Random(seed).uniform(0, float(seconds)))
            child.kill()
            struck.append(child.end()[0])
            return list(answer_of(lives.examine, home, environment=home.environment)["wrong"])

        return homes.use(act)

    done = plan.each("killed at random", killed, plan.seeds(3, 500))
    moments = f"{done} moments, {struck.count(KILLED)} of them before its end"
    figure(f"kill -9 of a run, {_kind(is_remote)}, at random: {moments}; {SOUND}")


@PLACES
@pytest.mark.parametrize("state", [outdated, condemned])
def test_a_cleaning_that_is_killed_at_any_effect_is_taken_up_by_the_next(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None], is_remote: bool, state: Callable[[Home], None]
) -> None:
    homes = Homes(tmp_path, is_remote, state)
    effects: list[str] = []

    def undisturbed(home: Home) -> list[str]:
        effects.extend(answer_of(lives.clean, home, environment=home.environment).effects)
        return list(answer_of(lives.examine_cleaned, home, environment=home.environment))

    def killed(fault: Fault) -> list[str]:
        def act(home: Home) -> list[str]:
            Child(lives.clean, home, fault, environment=home.environment).end()
            return list(answer_of(lives.examine_cleaned, home, environment=home.environment))

        return homes.use(act)

    assert homes.use(undisturbed) == []
    assert "delete output" in effects or state is outdated
    chosen = plan.faults(effects)
    done = plan.each(f"cleaning killed, {state.__name__}", killed, chosen)
    points = _points(done, chosen, effects)
    figure(f"kill -9 of gc, {_kind(is_remote)}, {state.__name__}: {points}; nothing live lost, nothing left")


def test_a_run_that_is_killed_at_any_request_to_s3_leaves_nothing_wrong(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None]
) -> None:
    """The request that it dies with is done all the same."""
    writes = ("PUT", "POST", "DELETE")

    def ended(server: S3Server, home: Home, at: int | None) -> int:
        child = Child(lives.live, home, environment=home.environment)
        seen = itertools.count()

        def told(method: str) -> None:
            if method in writes and next(seen) == at:
                child.kill()

        server.told = told
        code, _ = child.end()
        server.told = None
        assert code in (KILLED, 0), code
        return next(seen)

    def home_in(server: S3Server, name: str) -> Home:
        (tmp_path / name).mkdir()
        url = f"s3://{server.make_bucket()}/team?conn_id=far"
        return Home(tmp_path / name, url=url, connection=server.connection())

    def killed(at: int) -> list[str]:
        with s3_server() as server:
            home = home_in(server, f"at-{at}")
            ended(server, home, at)
            return list(answer_of(lives.examine, home, environment=home.environment)["wrong"])

    with s3_server() as server:
        count = ended(server, home_in(server, "undisturbed"), None)
    done = plan.each("killed at S3", killed, plan.spread(range(count), 1))
    figure(f"kill -9 of a run, S3, at a request that writes: {done} of {count} requests; {SOUND}")


def _points(done: int, chosen: list[Fault], effects: list[str]) -> str:
    names = f"{len({fault.name for fault in chosen})} of {len(set(effects))} named points"
    return f"{done} of {len(effects)} effects, {names}"


def _kind(is_remote: bool) -> str:
    return "object store" if is_remote else "folder"
