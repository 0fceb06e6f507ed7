from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes.parallel_bench import RUNTIME
from refrain.runtime.parallel.frames import frame
from refrain.runtime.parallel.lifeline import unwind_on_sigterm
from refrain.runtime.parallel.logs import Logs
from refrain.runtime.parallel.nodes.host import Host, _environment, _trouble
from refrain.runtime.parallel.stream import Stream


def told(**more: object) -> dict[str, object]:
    return {"marks": {}, "paths": [], **more}


def test_a_node_that_shares_the_folders_and_finds_the_inputs_is_fine(tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("token")
    assert _trouble(told(marks={str(tmp_path / "mark"): "token"}, paths=[str(tmp_path)])) == ""


def test_a_folder_of_the_same_name_is_not_the_same_folder(tmp_path: Path) -> None:
    assert _trouble(told(marks={str(tmp_path / "mark"): "token"})) == (
        f"'{tmp_path}' is not the same folder there, or cannot be written to"
    )
    (tmp_path / "mark").write_text("another")
    assert "is not the same folder" in _trouble(told(marks={str(tmp_path / "mark"): "token"}))


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert _trouble(told(paths=[str(tmp_path), "/not/there"])) == "'/not/there' is not there"


def test_workers_get_the_steps_variables_and_the_devices_of_their_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("OF_THE_ENGINE", "x")
    monkeypatch.delenv("TMPDIR", raising=False)
    given = {"A": "1", "CUDA_VISIBLE_DEVICES": "0", "TMPDIR": "/elsewhere"}
    assert _environment({"environment": given}) == {"A": "1", "CUDA_VISIBLE_DEVICES": "3"}


def test_a_host_that_does_not_find_its_file_says_what_nodes_must_share(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refrain.runtime.parallel.nodes.host", tmp_path / "host.json"],
        env={"PYTHONPATH": str(RUNTIME / "path")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        f"does not find '{tmp_path}/host.json' (No such file or directory): nodes must share the folders" in done.stderr
    )


def test_a_host_that_is_signalled_while_it_ends_its_workers_ends_them_all(tmp_path: Path) -> None:
    theirs, ours = socket.socketpair()
    theirs.sendall(frame({"do": "leave"}))
    host = Host(Stream(ours), dict(os.environ), Logs(str(tmp_path / "logs")), 60)
    rested: list[str] = []

    def rest(name: str) -> bytes:
        os.kill(os.getpid(), signal.SIGTERM)
        rested.append(name)
        return b""

    host._peers = {name: SimpleNamespace(rest=partial(rest, name), is_gone=False) for name in ("a", "b")}
    before = signal.getsignal(signal.SIGTERM)
    unwind_on_sigterm()
    try:
        with theirs, ours, pytest.raises(SystemExit):
            host.work()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert rested == ["a", "b"]
