"""The launcher of several processes, without a step around it."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from refrain.runtime import launch

PLACES = """
    import json, os
    names = ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMPI_COMM_WORLD_RANK", "TF_CONFIG"]
    print(json.dumps({name: os.environ.get(name) for name in names}))
"""


def run(kind, processes, servers, code, nodes="1", path=os.environ["PATH"]):
    words = [kind, str(processes), str(servers), nodes, sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        [sys.executable, launch.__file__, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def places(lines):
    found = [line.split("] ", 1) for line in lines if line.startswith("[rank ")]
    return {int(rank.removeprefix("[rank ")): json.loads(text) for rank, text in found}


def test_torch_finds_its_group():
    code, lines = run("pytorch", 2, 0, PLACES)
    found = places(lines)
    assert code == 0
    assert [(found[n]["RANK"], found[n]["LOCAL_RANK"], found[n]["WORLD_SIZE"]) for n in (0, 1)] == [
        ("0", "0", "2"),
        ("1", "1", "2"),
    ]
    assert found[0]["MASTER_ADDR"] == "127.0.0.1"
    assert found[0]["MASTER_PORT"] == found[1]["MASTER_PORT"]
    assert found[0]["OMPI_COMM_WORLD_RANK"] is None


def test_mpi_without_mpirun_gives_the_ranks_and_says_so():
    code, lines = run("mpi", 2, 0, PLACES, path="/nowhere")
    assert code == 0
    assert (
        lines[0] == "launch: mpirun is not installed here: the processes get the ranks that it would give, but no MPI"
    )
    assert [place["OMPI_COMM_WORLD_RANK"] for _, place in sorted(places(lines).items())] == ["0", "1"]


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")
def test_mpirun_starts_the_processes_where_it_is():
    code, lines = run("mpi", 2, 0, PLACES)
    assert code == 0, lines
    assert sorted(place["OMPI_COMM_WORLD_RANK"] for place in places(lines).values()) == ["0", "1"]
    assert places(lines)[1]["OMPI_COMM_WORLD_RANK"] == "1"


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")
def test_lines_that_mpirun_hands_over_in_pieces_are_put_together():
    code, lines = run(
        "mpi", 2, 0, "import os\nfor _ in range(50): os.write(1, b'a'); os.write(1, b'b'); os.write(1, b'\\n')"
    )
    assert code == 0
    assert sorted(lines) == ["[rank 0] ab"] * 50 + ["[rank 1] ab"] * 50


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not installed")
def test_mpirun_ends_as_the_rank_that_failed():
    code, lines = run(
        "mpi", 2, 0, "import os, sys, time; os.environ['OMPI_COMM_WORLD_RANK'] == '1' and sys.exit(3); time.sleep(30)"
    )
    assert code == 3, lines


def test_tensorflow_gets_a_cluster_whose_servers_end_with_the_workers():
    code, lines = run(
        "tensorflow",
        2,
        1,
        PLACES + "    'ps' in os.environ['TF_CONFIG'].split('task')[1] and __import__('time').sleep(600)\n",
    )
    found = {rank: json.loads(place["TF_CONFIG"]) for rank, place in places(lines).items()}
    assert code == 0
    assert [found[n]["task"] for n in (0, 1)] == [{"type": "worker", "index": 0}, {"type": "worker", "index": 1}]
    cluster = found[0]["cluster"]
    assert (len(cluster["worker"]), len(cluster["ps"])) == (2, 1)
    assert len({*cluster["worker"], *cluster["ps"]}) == 3


def test_lines_of_ranks_are_never_torn():
    code, lines = run("pytorch", 3, 0, "import os\nfor _ in range(2000): print(os.environ['RANK'] * 200)")
    assert code == 0
    assert len(lines) == 6000
    assert set(lines) == {f"[rank {n}] {str(n) * 200}" for n in range(3)}


def test_a_program_that_cannot_be_started_is_named():
    words = [sys.executable, launch.__file__, "pytorch", "1", "0", "1", "/no/program"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (127, "launch: /no/program cannot be started: No such file or directory\n")


@pytest.mark.parametrize(
    ("processes", "nodes", "message"),
    [
        ("0", "1", "launch: at least one process is needed, not 0 with 0 servers"),
        ("two", "1", "launch: numbers of processes and nodes must be whole numbers, not two, 0, 1"),
        ("1", "2", "launch: 2 nodes are asked for, but a step runs on one machine; ask for 1 and more processes"),
    ],
)
def test_wrong_counts_are_named(processes, nodes, message):
    assert run("pytorch", processes, 0, "", nodes) == (2, [message])
