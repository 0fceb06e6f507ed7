"""The guard that ends what an engine leaves."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

from refrain.compute.watchman import Watchman, watchman


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


def test_groups_that_are_left_when_the_pipe_closes_are_ended() -> None:
    watching, left, released = Watchman(), _sleeper(), _sleeper()
    watching.watch(left.pid, "r.left.1")
    watching.watch(released.pid, "r.released.1")
    watching.release(released.pid)
    watching.close()
    assert left.wait(60) == -9
    assert released.poll() is None
    released.kill()
    released.wait()


def test_a_guard_that_was_killed_is_replaced_by_one_that_knows_the_same_groups() -> None:
    watching, first, second = Watchman(), _sleeper(), _sleeper()
    watching.watch(first.pid, "r.first.1")
    assert watching._guard is not None
    watching._guard.kill()
    watching._guard.communicate(timeout=60)
    watching.watch(second.pid, "r.second.1")
    watching.close()
    assert first.wait(60) == second.wait(60) == -9


def test_a_process_that_was_announced_but_not_yet_named_is_ended_by_its_mark() -> None:
    watching, run_id = Watchman(), f"r.{uuid.uuid4().hex}.1"
    watching.expect(run_id)
    started = subprocess.Popen(["sleep", "600"], start_new_session=True, env={"AZUREML_RUN_ID": run_id})
    watching.close()
    assert started.wait(60) == -9


def test_a_process_that_could_not_be_started_is_forgotten() -> None:
    watching, run_id = Watchman(), f"r.{uuid.uuid4().hex}.1"
    watching.expect(run_id)
    watching.forget(run_id)
    other = subprocess.Popen(["sleep", "600"], start_new_session=True, env={"AZUREML_RUN_ID": run_id})
    watching.close()
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_process_has_one_watchman() -> None:
    assert watchman() is watchman()


def test_a_command_is_run_when_the_pipe_closes_unless_it_was_taken_back(tmp_path: Path) -> None:
    watching = Watchman()
    for name in ("left", "taken-back"):
        code = f"import refrain; open({str(tmp_path / name)!r}, 'w').write('run')"
        watching.charge(name, [sys.executable, "-c", code])
    watching.charge("wrong", ["/no/such/program"])
    watching.discharge("taken-back")
    watching.close()
    assert [path.name for path in tmp_path.iterdir()] == ["left"]


def test_a_guard_that_was_killed_is_replaced_by_one_that_knows_the_same_commands(tmp_path: Path) -> None:
    watching = Watchman()
    watching.charge("first", ["touch", str(tmp_path / "first")])
    assert watching._guard is not None
    watching._guard.kill()
    watching._guard.communicate(timeout=60)
    watching.charge("second", ["touch", str(tmp_path / "second")])
    watching.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]
