"""Crowds: many that want the same at one moment, clocks that jump, and a cleaning in the middle of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos import clocks
from chaos.nursery import Child, answer_of
from chaos.plan import Plan
from fakes.project import COPIES, WRITES, Project
from refrain import PipelineData
from refrain.execution.lease import Leases
from refrain.storage.objects import LocalObjectStore

pytestmark = pytest.mark.slow
CROWD = """
import time
sys.path[:0] = [{tests!r}]
from pathlib import Path
from fakes.project import Project
from refrain import PipelineData
folder = Path(sys.argv[1]) / "{writers}"
(folder / "counts").mkdir(parents=True)
code = "import sys; open(sys.argv[3], 'a').write('x'); open(sys.argv[1], 'w').write(sys.argv[2])"
Project(folder).source("made", code)

def together(turn):
    with open(folder / "counts" / f"ready {{turn}}", "a") as file:
        file.write("x")
    while os.path.getsize(folder / "counts" / f"ready {{turn}}") < {writers}:
        time.sleep(0.002)

def work(number):
    project, reused = Project(folder), 0
    for turn in range({rounds}):
        step = project.step("made", code, [PipelineData("out"), turn, str(folder / "counts" / f"made {{turn}}")])
        together(turn)
        ran = project.run(step)
        assert ran.status == "Completed", ran.outcome.errors
        assert ran.text("made", "out") == str(turn)
        assert (folder / "counts" / f"made {{turn}}").read_text() == "x"
        reused += len(ran.reused())
    return reused
"""


def test_of_a_crowd_exactly_one_executes_and_all_others_reuse(
    race: Callable[[str, int], list[str]], plan: Plan, figure: Callable[[str], None]
) -> None:
    crowds = {2: 100, 4: 100, 8: 100, 16: 100, 32: 100, 64: 100} if plan.is_long else {2: 3, 12: 2}
    for writers, rounds in crowds.items():
        code = CROWD.format(tests=str(Path(__file__).parents[1]), writers=writers, rounds=rounds)
        reused = sum(map(int, race(code, writers)))
        assert reused == (writers - 1) * rounds
        figure(f"{writers} processes on one fingerprint, {rounds} rounds: one execution each, {reused} reuses")


def test_machines_whose_clocks_jump_take_over_from_a_dead_one_no_earlier_than_it_promised(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None]
) -> None:
    soonest: list[float] = []

    def round_of(seed: int) -> list[str]:
        root = str(tmp_path / str(seed))
        answer_of(clocks.die_as_holder, root, clocks.SECONDS)
        waiting = [Child(clocks.wait_for_the_lease, root, seed * 10 + number) for number in range(3)]
        answers = [child.end()[1] for child in waiting]
        held = [seconds for seconds in answers if seconds is not None]
        soonest.extend(held)
        wrong = [f"taken after {seconds:.2f} s" for seconds in held if seconds < clocks.SECONDS]
        return wrong if len(held) == 1 else [f"{len(held)} took the lease: {answers}"]

    done = plan.each("clocks", round_of, plan.seeds(4, 100))
    figure(f"clocks that jump by a day, 3 machines, {done} rounds: one takes over, no sooner than "
           f"{min(soonest) / clocks.SECONDS:.2f} of the lease")  # fmt: skip


def test_a_live_holder_keeps_its_lease_from_machines_whose_clocks_jump(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None]
) -> None:
    leases = Leases(LocalObjectStore(tmp_path), seconds=4.0)
    lease = leases.try_acquire(clocks.FINGERPRINT, "run.step.1")
    assert lease is not None
    with lease.kept():
        watching = [Child(clocks.try_to_steal, str(tmp_path), seed, plan.of(5, 60)) for seed in plan.seeds(3, 8)]
        answers = [child.end()[1] for child in watching]
    early = [gap for tried, gap in answers if gap is not None and gap < 4.0]
    assert early == []
    tries = sum(tried for tried, _ in answers)
    figure(f"clocks that jump by a day, {len(answers)} machines against a live holder: {tries} tries, 0 early steals")


def test_a_cleaning_on_a_machine_whose_clock_is_wrong_removes_nothing_young(tmp_path: Path) -> None:
    """Ages are those of the store's own clock."""
    project = Project(tmp_path)
    project.run(project.step("made", WRITES, [PipelineData("out"), "hello"]))
    for days in (-400, -1, 1, 400):
        assert answer_of(clocks.clean_at_another_time, str(project.state.root), days) == []
    assert project.run(project.step("made", WRITES, [PipelineData("out"), "hello"])).reused() == ["made"]


CLEANING = """
import os, sys, time
from refrain.execution.cleaning import Cleaning, WasteKind
from refrain.storage.retention import Retention
from refrain.storage.state import WorkspaceState
root, grace, end = sys.argv[1:]
while not os.path.exists(end):
    removed = Cleaning(WorkspaceState(root), Retention(runs=2, grace_days=float(grace) / 86400)).clean()
    for waste in removed:
        if waste.is_due:
            print(waste.kind.value, flush=True)
    time.sleep(0.2)
"""


@pytest.mark.timeout(900)
def test_beside_many_readers_and_writers_nothing_live_is_removed(
    tmp_path: Path, plan: Plan, figure: Callable[[str], None]
) -> None:
    """Every run checks, when it has ended, that what it made or reused is there."""
    project, grace, workers, begun = Project(tmp_path), 6.0, plan.of(8, 32), time.monotonic()
    command = [sys.executable, "-c", CLEANING, str(project.state.root), str(grace), str(tmp_path / "end")]
    cleaner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def work(worker: int) -> int:
        runs = 0
        while (age := time.monotonic() - begun) < plan.of(5, 40) * grace:
            period = int(age / grace)  # those of the first go out of use, are condemned, and are removed: three of five
            text = f"text {(worker + runs) % 5} of {period}"
            produced, copied = PipelineData("made"), PipelineData("copied")
            first = project.step("first", WRITES, [produced, text])
            ran = project.run(
                first, project.step("second", COPIES, [produced, copied], inputs=[produced]), name=f"p{worker}"
            )
            assert ran.status == "Completed", ran.outcome.errors
            assert ran.text("second", "copied") == ran.text("first", "made") == text
            runs += 1
        return runs

    try:
        with ThreadPoolExecutor(workers) as pool:
            runs = sum(pool.map(work, range(workers)))
    finally:
        (tmp_path / "end").touch()
        removed, errors = cleaner.communicate(timeout=200)
    assert cleaner.returncode == 0, errors
    gone = removed.splitlines()
    assert {"step run", "run"} <= set(gone)
    figure(f"gc looping beside {workers} readers and writers: {runs} runs checked, {gone.count('step run')} step runs "
           "removed, nothing live lost")  # fmt: skip
