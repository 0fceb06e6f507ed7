"""Parallel runs on the nodes of a real cluster: the model's predictions, and what becomes of nodes that go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fakes.certificates import certificates
from fakes.dask_cluster import DaskCluster, dask_cluster
from fakes.parallel_bench import NAMES, OLDEST, SLOWLY, ParallelBench, runs
from fakes.processes import processes_below
from fakes.waiting import eventually
from refrain.runtime.parallel.crew import Crew
from refrain.runtime.parallel.frames import frame
from refrain.runtime.parallel.logs import Logs
from refrain.runtime.parallel.nodes.cluster import Cluster
from refrain.runtime.parallel.nodes.handshake import greet_dispatcher
from refrain.runtime.parallel.nodes.likeness import likeness
from refrain.runtime.parallel.nodes.order import Order
from runtime.parallel.trials import try_attempts, try_many_workers, try_one_worker

pytestmark = pytest.mark.slow

GONE_SECONDS = 50
"""Sooner than a node takes a dispatcher of which it hears nothing for lost."""


_STARTS_ON_ONE_NODE = """
    import os, time
    from azureml_user.parallel_run import EntryScript
    def init():
        while EntryScript().log_dir.endswith("000") and not os.path.exists("host"):
            time.sleep(0.02)
        if EntryScript().log_dir.endswith("000") or os.path.exists("lost for good") and os.path.exists("host"):
            raise OSError("no model here")
    def run(mini_batch):
        with open("new", "w") as file:
            file.write(str(os.getppid()))
        os.rename("new", "host")
        while os.path.exists("held"):
            time.sleep(0.02)
        return [os.path.basename(path) for path in mini_batch]
"""
"""Notes the process of the host where it runs, and waits as long as there is `held`."""


def told_of(bench: ParallelBench, cluster: DaskCluster, **settings: object) -> None:
    """Let the compute target say something else."""
    bench.more_environment = {"REFRAIN_NODES": cluster.order(**settings)}


def lines(bench: ParallelBench) -> int:
    path = bench.folder / "runs"
    return len(path.read_text().split()) if path.exists() else 0


def held(bench: ParallelBench, workers: int) -> None:
    """Wait until each of so many workers is at a file that `SLOWLY` keeps; whichever was there first, all take part."""
    assert eventually(lambda: lines(bench) == 30 + workers), master_log(bench)


def let_go(bench: ParallelBench) -> None:
    (bench.folder / "held").unlink()


def master_log(bench: ParallelBench) -> str:
    return (bench.folder / "logs" / "sys" / "master_role.txt").read_text()


# ---- the same semantics


@pytest.mark.parametrize("seed", range(12))
def test_one_worker_on_a_node_does_what_the_model_says(bench: ParallelBench, seed: int) -> None:
    bench.settings = {"refrain_node_count": 1}
    try_one_worker(bench, seed)


@pytest.mark.parametrize("seed", range(100, 104))
def test_workers_on_two_nodes_come_to_the_same_result(bench: ParallelBench, seed: int) -> None:
    try_many_workers(bench, seed, process_count_per_node=2)


@pytest.mark.parametrize("seed", range(200, 204))
def test_no_attempt_is_made_that_the_tries_do_not_allow(bench: ParallelBench, seed: int) -> None:
    try_attempts(bench, seed)


def test_a_hanging_run_on_a_node_is_ended_with_what_it_has_started(bench: ParallelBench) -> None:
    names = bench.files(4)
    code = """
        import os, subprocess, time
        def run(mini_batch):
            if mini_batch[0].endswith("1") and not os.path.exists("was here"):
                open("was here", "w").close()
                subprocess.Popen(["sleep", "76543210"], start_new_session=True)
                time.sleep(1000)
            return [os.path.basename(mini_batch[0])]
    """
    scored = bench.run(code, run_invocation_timeout=3, run_max_try=2)
    assert (scored.code, scored.rows, scored.counts.retried) == (0, names, 1), scored.log
    assert "run() had not returned after 3 seconds; it is tried again" in scored.log
    assert eventually(lambda: processes_below(bench.folder) == [], GONE_SECONDS)


@pytest.mark.skipif(OLDEST is None, reason="no Python 3.8 below ~/.pyenv/versions")
def test_nodes_and_dispatcher_need_nothing_but_the_steps_interpreter(bench: ParallelBench) -> None:
    names = bench.files(9)
    bench.python = str(OLDEST)
    scored = bench.run(NAMES, mini_batch_size=2)
    assert (scored.code, scored.rows) == (0, names), scored.log


# ---- telling


def test_it_is_told_which_nodes_there_are_and_what_each_has_done(bench: ParallelBench) -> None:
    names = bench.files(40)
    (bench.folder / "held").touch()
    run = bench.folder / "run"
    run.mkdir()
    context = {"schema": 1, "run_id": "r.score.1", "name": "score", "experiment": "e"}
    (run / "context.json").write_text(json.dumps({**context, "workspace": {"name": "w", "root": "/"}}))
    bench.more_environment["REFRAIN_RUN_DIR"] = str(run)
    with bench.start(SLOWLY) as process:
        held(bench, 2)
        assert eventually(lambda: ", on 2 nodes" in master_log(bench))
        let_go(bench)
        log, _ = process.communicate(timeout=100)
    host = os.uname().nodename
    rows = (bench.folder / "out" / "parallel_run_step.txt").read_text().split()
    assert (process.returncode, rows) == (0, names), log
    assert "2 nodes of compute target 'cluster' (Dask at tcp://127.0.0.1:" in log
    assert f"Node 000 is {host}: 1 worker processes" in log
    assert {path.parent.name for path in (bench.folder / "logs").glob("sys/node/*/*.txt")} == {"000", "001"}
    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert ", on 2 nodes" in log
    assert ["000", host, 1] in max((event["nodes"] for event in told), key=len)
    assert list(bench.folder.rglob(".nodes-*")) == []


def test_as_many_processes_run_on_a_node_as_it_has_cores_unless_that_is_said(bench: ParallelBench) -> None:
    bench.files(1)
    scored = bench.run(NAMES, process_count_per_node=None)
    assert f": {len(os.sched_getaffinity(0))} worker processes" in scored.log


def test_a_node_is_asked_for_a_file_of_each_folder_that_is_scored(bench: ParallelBench) -> None:
    (name, *_) = bench.files(1)
    with bench.start("import time\ndef run(mini_batch):\n    time.sleep(1000)") as process:
        assert eventually(lambda: list(bench.folder.glob(".nodes-*/host.json")) != [])
        assert eventually(lambda: "Node 000 is " in master_log(bench))
        told = json.loads(next(bench.folder.glob(".nodes-*/host.json")).read_text())
        process.terminate()
        process.communicate(timeout=100)
    assert told["paths"] == [str(bench.folder / "score.py"), str(bench.data), str(bench.data / name)]


# ---- nodes that go


def test_a_node_that_is_killed_loses_nothing_and_costs_no_mini_batch_an_attempt(
    bench: ParallelBench, cluster: DaskCluster
) -> None:
    names = bench.files(120)
    for name in ("slow", "held"):
        (bench.folder / name).touch()
    with bench.start(SLOWLY, process_count_per_node=2, run_max_try=1, error_threshold=0) as process:
        held(bench, 4)
        cluster.workers[-1].send_signal(signal.SIGKILL)
        let_go(bench)
        log, _ = process.communicate(timeout=100)
    rows = (bench.folder / "out" / "parallel_run_step.txt").read_text().split()
    assert (process.returncode, rows) == (0, names), log
    assert "is lost: its connection was closed; what it had is given to others" in log
    assert "120 mini-batches done, 0 failed, 0 retried" in log
    again = [name for name in names if runs(bench).count(name) > 1]
    assert len(again) <= 4  # what two workers had in flight


def test_a_node_that_joins_late_takes_part(bench: ParallelBench, cluster: DaskCluster) -> None:
    names = bench.files(20)
    code = """
        import os, time
        def run(mini_batch):
            with open("runs", "a") as file:
                file.write(os.path.basename(mini_batch[0]) + "\\n")
            while not os.path.exists("go"):
                time.sleep(0.05)
            time.sleep(0.2)
            return [os.path.basename(mini_batch[0])]
    """
    with bench.start(code, run_max_try=1) as process:
        assert eventually(lambda: lines(bench) == 2)
        cluster.workers[-1].send_signal(signal.SIGKILL)
        cluster.add_worker()
        assert eventually(lambda: "Node 002 is " in master_log(bench))
        assert eventually(lambda: lines(bench) == 3)
        (bench.folder / "go").touch()
        log, _ = process.communicate(timeout=100)
    assert (process.returncode, (bench.folder / "out" / "parallel_run_step.txt").read_text().split()) == (0, names), log
    assert list((bench.folder / "logs").glob("sys/node/002/*.txt"))


def test_a_node_of_which_nothing_is_heard_is_given_up(bench: ParallelBench, cluster: DaskCluster) -> None:
    names = bench.files(80)
    (bench.folder / "held").touch()
    told_of(bench, cluster, lost_seconds=6)
    with bench.start(SLOWLY, run_max_try=1) as process:
        held(bench, 2)
        frozen = cluster.hosts(cluster.workers[-1])
        assert frozen
        os.kill(frozen[0], signal.SIGSTOP)
        let_go(bench)
        try:
            log, _ = process.communicate(timeout=100)
        finally:
            os.kill(frozen[0], signal.SIGCONT)
    assert (process.returncode, (bench.folder / "out" / "parallel_run_step.txt").read_text().split()) == (0, names), log
    assert "is lost: nothing was heard of it for 6 seconds" in log
    assert eventually(lambda: processes_below(bench.folder) == [], GONE_SECONDS)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cluster, Crew]]:
    """A cluster of one node, whose host nobody starts, and its crew."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "launcher").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tmp_path / "launcher").chmod(0o700)
    order = Order("t", "tcp://127.0.0.1:9", str(tmp_path / "launcher"), lost_seconds=2)
    logs = Logs()
    nodes = Cluster(order, 1, 1, logs, [], [])
    crew = Crew({}, nodes, 60, logs)
    with closing(nodes):
        nodes.open(crew)
        yield nodes, crew


def test_the_silence_of_a_node_counts_only_while_it_is_listened_to(tmp_path: Path, alone: tuple[Cluster, Crew]) -> None:
    nodes, crew = alone
    with called(next(tmp_path.glob(".nodes-*/host.json"))) as host:
        assert eventually(lambda: not nodes.look() and bool(nodes.now))
        time.sleep(2.5)  # as in a slow step of the dispatcher
        host.sendall(frame({"is": "here"}))
        assert (nodes.look(), len(nodes.now)) == ("", 1)
        assert list(crew.events(5)) == []
        assert eventually(lambda: not nodes.look() and not nodes.now)


def test_what_comes_with_the_introduction_of_a_node_is_heard(tmp_path: Path, alone: tuple[Cluster, Crew]) -> None:
    nodes, crew = alone
    beat = frame({"is": "here"})
    with called(next(tmp_path.glob(".nodes-*/host.json")), beat[:10]) as host:
        assert eventually(lambda: not nodes.look() and bool(nodes.now))
        crew.hire()
        host.sendall(beat[10:] + frame({"is": "said", "of": "process000"}, frame({"is": "ready"})))
        assert [event.fields for event in crew.events(5)] == [{"is": "ready"}]


def called(path: Path, more: bytes = b"") -> socket.socket:
    """Call the dispatcher as a host does that has found its file."""
    told = json.loads(path.read_text())
    connection = socket.create_connection(tuple(told["address"]), 10)
    greet_dispatcher(connection, bytes.fromhex(told["secret"]), 10)
    hello = {"is": "node", "host": "h", "cores": 1, "trouble": "", "likeness": likeness()}
    connection.sendall(frame(hello) + more)
    return connection


def test_the_only_node_comes_back_when_it_was_only_silent(bench: ParallelBench, cluster: DaskCluster) -> None:
    names = bench.files(80)
    (bench.folder / "held").touch()
    told_of(bench, cluster, lost_seconds=3)
    bench.settings = {"refrain_node_count": 1}
    with bench.start(SLOWLY, run_max_try=1, error_threshold=0) as process:
        held(bench, 1)
        frozen = [host for worker in cluster.workers if worker.poll() is None for host in cluster.hosts(worker)]
        os.kill(frozen[0], signal.SIGSTOP)
        try:
            assert eventually(lambda: " is lost: nothing was heard of it for 3 seconds" in master_log(bench))
        finally:
            os.kill(frozen[0], signal.SIGCONT)
        let_go(bench)
        log, _ = process.communicate(timeout=100)
    assert (process.returncode, (bench.folder / "out" / "parallel_run_step.txt").read_text().split()) == (0, names), log
    assert "Node 001 is " in log


@contextmanager
def good_node_lost(bench: ParallelBench, cluster: DaskCluster) -> Iterator[None]:
    """Kill the host on which the script starts; the engine does not start another one until the block is over."""
    assert eventually((bench.folder / "host").exists)
    assert eventually(lambda: "gets no further process" in master_log(bench)), master_log(bench)
    for worker in cluster.workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        os.kill(int((bench.folder / "host").read_text()), signal.SIGKILL)
        assert eventually(lambda: " is lost: " in master_log(bench)), master_log(bench)
        yield
    finally:
        for worker in cluster.workers:
            worker.send_signal(signal.SIGCONT)


def test_where_the_script_starts_on_one_node_alone_it_may_be_lost_and_come_back(
    bench: ParallelBench, cluster: DaskCluster
) -> None:
    names = bench.files(4)
    (bench.folder / "held").touch()
    with bench.start(_STARTS_ON_ONE_NODE) as process:
        with good_node_lost(bench, cluster), pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        let_go(bench)
        log, _ = process.communicate(timeout=100)
    assert (process.returncode, (bench.folder / "out" / "parallel_run_step.txt").read_text().split()) == (0, names), log
    assert "Node 002 is " in log


def test_a_lost_node_on_which_the_script_started_is_not_awaited_for_ever(
    bench: ParallelBench, cluster: DaskCluster
) -> None:
    bench.files(4)
    (bench.folder / "held").touch()
    told_of(bench, cluster, start_seconds=3)
    with bench.start(_STARTS_ON_ONE_NODE) as process:
        with good_node_lost(bench, cluster):
            assert process.wait(60) == 1
        log, _ = process.communicate(timeout=100)
    assert "has had no node for 3 seconds. Node 001" in log.splitlines()[-1], log


def test_where_no_node_is_left_on_which_the_script_starts_the_run_fails(
    bench: ParallelBench, cluster: DaskCluster
) -> None:
    bench.files(4)
    (bench.folder / "held").touch()
    (bench.folder / "lost for good").touch()
    told_of(bench, cluster, start_seconds=5)
    with bench.start(_STARTS_ON_ONE_NODE) as process:
        with good_node_lost(bench, cluster):
            pass
        log, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "the entry script could not be started, 3 times in a row: OSError: no model here" in log.splitlines()[-1], (
        log
    )


def test_a_run_that_has_no_node_left_fails_and_says_which_was_lost(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(200)
    (bench.folder / "held").touch()
    told_of(bench, cluster, start_seconds=10)
    with bench.start(SLOWLY) as process:
        held(bench, 2)
        for worker in cluster.workers:
            worker.send_signal(signal.SIGKILL)
        log, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    last = log.splitlines()[-1]
    assert last.startswith("Failed: compute target 'cluster' (Dask at tcp://127.0.0.1:"), log
    assert "has had no node for 10 seconds. Node 00" in last


# ---- the dispatcher goes


def test_a_run_whose_dispatcher_was_killed_ends_on_the_nodes_and_is_gone_on_with(bench: ParallelBench) -> None:
    names = bench.files(60)
    for name in ("slow", "held"):
        (bench.folder / name).touch()
    with bench.start(SLOWLY) as process:
        held(bench, 2)
        process.kill()
    assert eventually(lambda: processes_below(bench.folder) == [], GONE_SECONDS)
    before = runs(bench)
    (bench.folder / "slow").unlink()
    let_go(bench)
    again = bench.run(SLOWLY)
    assert (again.code, again.rows) == (0, names), again.log
    assert 0 < len(before) - again.is_kept <= 4  # those in flight
    assert len(runs(bench)) - len(before) == 60 - again.is_kept


def test_a_canceled_run_leaves_nothing_on_the_nodes(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(200)
    (bench.folder / "slow").touch()
    with bench.start(SLOWLY) as process:
        assert eventually(lambda: lines(bench) > 5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM
    assert eventually(lambda: processes_below(bench.folder) == [], GONE_SECONDS)
    assert eventually(lambda: not any(cluster.hosts(w) for w in cluster.workers if w.poll() is None), GONE_SECONDS)
    assert list(bench.folder.rglob(".nodes-*")) == []


# ---- clusters that cannot be used


def test_a_scheduler_that_does_not_answer_is_named_with_its_target(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(1)
    told_of(bench, cluster, scheduler="tcp://127.0.0.1:9")
    scored = bench.run(NAMES)
    assert scored.code == 1
    last = scored.log.splitlines()[-1]
    assert last.startswith("Failed: compute target 'cluster' (Dask at tcp://127.0.0.1:9) cannot be used: OSError: ")
    assert last.endswith("correct the address with: refrain compute set cluster dask scheduler=tcp://HOST:PORT.")


def test_an_interpreter_without_dask_is_told_with_the_way_out(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(1)
    python = bare_interpreter(bench.folder)
    told_of(bench, cluster, launcher=python)
    scored = bench.run(NAMES)
    assert scored.code == 1
    assert (
        f"the interpreter {python} has no Dask (No module named 'distributed'): pip install 'refrain[dask]'"
        in (scored.log.splitlines()[-1])
    )


def test_a_node_with_other_packages_is_not_used(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(1)
    told_of(bench, cluster, python=bare_interpreter(bench.folder))
    scored = bench.run(NAMES)
    last = scored.log.splitlines()[-1]
    assert scored.code == 1
    assert "has no node left. Node 00" in last
    assert "cannot be used: its interpreter differs: without " in last


def test_an_interpreter_that_no_node_has_is_told(bench: ParallelBench, cluster: DaskCluster) -> None:
    bench.files(1)
    told_of(bench, cluster, python="/not/there/python")
    scored = bench.run(NAMES)
    assert scored.code == 1
    assert "has no node left. A host was given up: the host ended with exit code 127: env: " in scored.log


def bare_interpreter(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    return str(folder / "bare" / "bin" / "python")


# ---- encrypted


def test_nodes_and_dispatcher_speak_encrypted_where_the_cluster_does(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    files = certificates(tmp_path / "certificates")
    names = [str(path) for path in files]
    options = [word for pair in zip(("--tls-ca-file", "--tls-cert", "--tls-key"), names, strict=True) for word in pair]
    with dask_cluster(workers=1, options=options, scheme="tls") as cluster:
        made = ParallelBench(tmp_path)
        scored_names = made.files(30)
        told_of(made, cluster, certificates=names)
        scored = made.run(f"{NAMES.rstrip()} + ['x' * 200_000]", mini_batch_size=3)
        assert (scored.code, [row for row in scored.rows if row[0] == "f"]) == (0, scored_names), scored.log
        told_of(made, cluster)
        assert "cannot be used: " in made.run(NAMES, journal="another").log.splitlines()[-1]
