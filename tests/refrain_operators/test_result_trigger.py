"""The trigger that waits for another run's result."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.execution.lease import Holder, Leases
from refrain.storage.state import WorkspaceState
from refrain_operators import result_trigger
from refrain_operators.result_trigger import ResultTrigger
from refrain_operators.run_stop import RunStop

FINGERPRINT = "ab" * 32


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_trigger, "_LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(result_trigger, "_UNREACHABLE_SECONDS", 0.01)


async def _event(trigger: ResultTrigger) -> object:
    async for event in trigger.run():
        return event.payload
    return None


def test_it_fires_when_the_one_who_makes_the_result_is_done(tmp_path: Path) -> None:
    lease = Leases(WorkspaceState(tmp_path).objects).try_acquire(FINGERPRINT, "run.step.1")
    assert lease is not None

    async def waited() -> tuple[bool, object]:
        firing = asyncio.create_task(_event(ResultTrigger(str(tmp_path), FINGERPRINT)))
        await asyncio.sleep(0.2)
        was_done = firing.done()
        await asyncio.to_thread(lease.release)
        return was_done, await firing

    assert asyncio.run(waited()) == (False, "")


def test_it_fires_with_the_holder_that_died_on_another_machine(tmp_path: Path) -> None:
    objects = WorkspaceState(tmp_path).objects
    died = Holder(1, nonce="ef", run_id="run.step.1", machine="elsewhere", process=1, beat=3, seconds=0.1)
    objects.put(f"leases/ab/{FINGERPRINT}/1", died.to_bytes())
    assert asyncio.run(_event(ResultTrigger(str(tmp_path), FINGERPRINT))) == died.sign


def test_it_is_made_anew_from_what_it_was_made_of(tmp_path: Path) -> None:
    path, arguments = ResultTrigger("s3://bucket/team?conn_id=lake", FINGERPRINT).serialize()
    assert path == "refrain_operators.result_trigger.ResultTrigger"
    assert arguments == {"workspace": "s3://bucket/team?conn_id=lake", "fingerprint": FINGERPRINT, "stop": None}


def test_a_workspace_that_cannot_be_read_is_left_to_the_task(caplog: pytest.LogCaptureFixture) -> None:
    trigger = ResultTrigger("memory://x?conn_id=nobody", FINGERPRINT)
    assert asyncio.run(_event(trigger)) == ""
    assert "cannot be read here: There is no connection 'nobody'" in caplog.text


def test_it_fires_when_another_step_stops_the_run_that_waits(tmp_path: Path) -> None:
    state = WorkspaceState(tmp_path)
    assert Leases(state.objects).try_acquire(FINGERPRINT, "run.step.1") is not None
    stop = RunStop(state, "a" * 32, "0", "bad")

    async def waited() -> tuple[bool, object]:
        firing = asyncio.create_task(_event(ResultTrigger(str(tmp_path), FINGERPRINT, stop.arguments)))
        await asyncio.sleep(0.2)
        was_done = firing.done()
        await asyncio.to_thread(stop.raise_sign)
        return was_done, await firing

    assert asyncio.run(waited()) == (False, "")


WAITS = """
import asyncio, sys
from refrain_operators.result_trigger import ResultTrigger

async def first():
    async for event in ResultTrigger("memory://x?conn_id=lake", "ab" * 32).run():
        return event.payload

print(f"fired {asyncio.run(first())!r}")
"""


@pytest.mark.slow
def test_the_triggerer_finds_a_login_among_airflows_connections(tmp_path: Path) -> None:
    """A secrets backend stands for Airflow's database; in a process of its own, as Airflow reads settings once."""
    (tmp_path / "connections.json").write_text('{"lake": "generic://"}')
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(tmp_path / "connections.json")}),
    }
    done = subprocess.run(
        [sys.executable, "-c", WAITS], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["fired ''"], done.stderr
    assert "There is no connection" not in done.stdout + done.stderr
