from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cli.sample import Refrain, Sleeper, Start
from fakes.remote_stores import s3_server
from fakes.waiting import eventually
from refrain import Datastore, Workspace


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_every_process_and_the_run_is_canceled(
    refrain: Refrain, start: Start, sleeper: Sleeper, number: signal.Signals, code: int
) -> None:
    running = start("run", "sleeper.py", "--json")
    sleeper.wait_until_asleep()
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert '"status": "Canceled"' in out
    assert "Stopped: every step that was running has been ended." in err
    assert "Traceback" not in err
    sleeper.assert_all_gone()


def test_after_sigkill_no_process_is_left_and_the_next_run_is_right(
    refrain: Refrain, start: Start, sleeper: Sleeper
) -> None:
    running = start("run", "sleeper.py")
    sleeper.wait_until_asleep()
    running.kill()
    sleeper.assert_all_gone()
    assert [run["status"] for run in refrain("runs", "--json").document["runs"]] == ["Failed"]

    sleeper.let_pass()
    called = refrain("run", "sleeper.py", "--json")
    assert [step["state"] for step in called.document["steps"]] == ["completed"]
    (output,) = [step["outputs"]["out"]["uri"].removeprefix("file://") for step in called.document["steps"]]
    with open(output) as file:
        assert file.read() == "whole"
    assert not any((sleeper.folder / ".refrain/workspace/staging").iterdir())


def test_a_second_signal_ends_at_once_what_does_not_listen(start: Start, sleeper: Sleeper) -> None:
    sleeper.make_stubborn()
    running = start("run", "sleeper.py")
    sleeper.wait_until_asleep()
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    while "Interrupt again" not in running.stderr.readline():
        pass
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    sleeper.assert_all_gone()


def test_ctrl_c_ends_a_copy_and_the_same_command_goes_on(
    refrain: Refrain, start: Start, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "raw").mkdir()
    for number in range(300):
        (project / "raw" / f"{number}.txt").write_text(f"number {number}")
    copy = ("data", "cp", "raw", "objects:to")
    with s3_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
        Datastore.register(
            Workspace(project / ".refrain/workspace"), "objects", f"s3://{server.make_bucket()}", "objects"
        )
        server.requests.clear()
        may_go_on = server.hold_writes(after=50)
        running = start(*copy)
        assert eventually(lambda: server.requests["PUT"] > 50)
        server.delay = 0.3  # so that it is far from done when it takes notice of the signal
        running.send_signal(signal.SIGINT)
        may_go_on.set()
        out, err = running.communicate(timeout=60)
        assert (running.returncode, out) == (130, "")
        assert "Traceback" not in err
        server.delay = 0.0
        assert "to is not complete" in refrain("data", "digest", "objects:to").err
        document = refrain(*copy, "--json").document
        assert document["files"] == 300
        assert 0 < document["arrived_earlier"] < 300
