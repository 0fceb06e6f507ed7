import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.runtime import events

REPOSITORY = Path(events.__file__).parents[2]
WRITER = """
import sys
from refrain.runtime import events
path, process, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    text = "x" * (20_000 if number % 50 == 0 else 10)  # some lines are longer than a pipe would take at once
    events.append(path, "", [{"kind": "metric", "name": f"p{process}", "value": number, "description": text}])
"""
THREADS_AND_FORK = """
import os, sys, threading
from refrain.runtime import events

def write(first):
    for value in range(first, first + 100):
        events.append(sys.argv[1], "", [{"kind": "metric", "name": "m", "value": value}])

threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
child = os.fork()
write(300 if child == 0 else 400)
if child:
    os.waitpid(child, 0)
"""


FULL_DISK = """
import resource, sys
from refrain.runtime import events
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
events.append(sys.argv[1], "", [{"kind": "metric", "name": "m", "value": "x" * 200}])
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "events.jsonl")


def metric(value: object) -> dict[str, object]:
    return {"kind": "metric", "name": "m", "value": value}


def test_an_event_is_one_line_of_strict_json(path):
    events.append(path, "..", [metric("line\nbreak \u2028 é \ud800")])

    lines = Path(path).read_bytes().splitlines()
    (event,) = map(json.loads, lines)

    assert lines[0].isascii()
    assert lines[0].startswith(b'{"v":1,"t":')
    assert event["run"] == ".."
    assert events.read(path)[0][0]["value"] == "line\nbreak \u2028 é \ud800"


def test_floats_that_json_lacks_survive_typed(path):
    table = {"kind": "table", "name": "t", "values": {"x": [math.inf, 1]}}
    events.append(path, "", [metric(math.nan), metric(-math.inf), metric("nan"), table])

    def refuse(token: str) -> None:
        raise AssertionError(token)

    for line in Path(path).read_bytes().splitlines():
        json.loads(line, parse_constant=refuse)
    (nan, low, text, read_table), _, problems = events.read(path)
    assert math.isnan(nan["value"])
    assert low["value"] == -math.inf
    assert text["value"] == "nan"
    assert read_table["values"] == {"x": [math.inf, 1]}
    assert problems == []


def test_a_column_may_be_called_like_the_mark_of_a_float(path):
    events.append(path, "", [{"kind": "row", "name": "r", "values": {"$float": "a"}}])

    assert events.read(path)[0][0]["values"] == {"$float": "a"}


def test_a_missing_file_has_no_events(path):
    assert events.read(path) == ([], 0, [])


def test_a_line_without_its_end_is_left_for_the_next_look(path):
    events.append(path, "", [metric(1)])
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole + whole[:20])

    first, offset, problems = events.read(path)
    with Path(path).open("ab") as stream:
        stream.write(whole[20:])
    second, end, _ = events.read(path, offset)

    assert (len(first), len(second), problems) == (1, 1, [])
    assert end == 2 * len(whole)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", "not a line of JSON"),
        (b"\xff\xfe\x00", "not a line of JSON"),
        (b"[" * 100_000, "not a line of JSON"),
        (b"[]", "not an event of version 1"),
        (b'{"v":2}', "not an event of version 1"),
        (b'{"v":1,"t":1,"run":"","kind":[]}', "an event of kind .* that lacks a field"),
        (b'{"v":1,"t":1,"run":"","kind":"metric","name":[],"value":1}', "kind 'metric' that lacks a field"),
        (b'{"v":1,"t":1,"run":"","kind":"tag","key":"a","value":[]}', "kind 'tag' that lacks a field"),
        (b'{"v":1,"t":1,"kind":"untag","key":"a"}', "kind 'untag' that lacks a field"),
    ],
)
def test_an_unreadable_line_is_reported_and_skipped(path, line, reason):
    events.append(path, "", [metric(1)])
    offset = Path(path).stat().st_size
    with Path(path).open("ab") as stream:
        stream.write(line + b"\n")
    events.append(path, "", [metric(2)])

    found, _, problems = events.read(path)

    assert [event["value"] for event in found] == [1, 2]
    assert problems[0][0] == offset
    with pytest.raises(ValueError, match=reason):
        events.decode(line)


def test_the_line_after_half_a_line_of_a_killed_process_is_found(path):
    events.append(path, "", [metric(1)])
    half = Path(path).read_bytes()[:30]
    with Path(path).open("ab") as stream:
        stream.write(half)
    events.append(path, "", [metric(2)])

    found, _, problems = events.read(path)

    assert [event["value"] for event in found] == [1, 2]
    assert len(problems) == 1


def test_lines_of_many_processes_are_never_torn(path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", WRITER, path]
    writers = [subprocess.Popen([*command, str(process), "500"], env=environment) for process in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8

    found, offset, problems = events.read(path)

    assert problems == []
    assert offset == Path(path).stat().st_size
    for process in range(8):
        assert [event["value"] for event in found if event["name"] == f"p{process}"] == list(range(500))


def test_threads_and_forked_children_share_the_file(path):
    # A process of its own: forking the one that runs the tests is not safe.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", THREADS_AND_FORK, path], env=environment, check=True)

    found, _, problems = events.read(path)

    assert sorted(event["value"] for event in found) == list(range(500))
    assert problems == []


def test_a_full_disk_is_no_silent_loss(path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", FULL_DISK, path]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    assert re.search(r"Only 100 of \d+ bytes fit into '.*events.jsonl'\. Free space on its disk\.", done.stderr)


def test_the_stored_form_of_an_event_stays():
    # A change here loses what earlier runs logged.
    event = {"v": 1, "t": 1.5, "run": "", "kind": "metric", "name": "loss", "value": math.nan, "step": 3}

    assert events.encode(event) == (
        b'{"v":1,"t":1.5,"run":"","kind":"metric","name":"loss","value":{"$float":"nan"},"step":3}\n'
    )
