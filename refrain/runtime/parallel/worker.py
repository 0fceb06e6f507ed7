"""Worker: a process that loads the entry script once, calls init() once, and runs the mini-batches that it is given.

It is started with the number of a descriptor, over which it speaks to the dispatcher (see
:mod:`refrain.runtime.parallel.frames`), and with that of the process with which it ends. Its standard output and error
are files.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import time
import zlib
from contextlib import suppress

from refrain.runtime.parallel.entry_script import MiniBatchContext, place_worker
from refrain.runtime.parallel.line import Line, begin
from refrain.runtime.parallel.mini_batch import data_of, keys_of, rows_of_dataset
from refrain.runtime.parallel.results import is_counted, rows_of
from refrain.runtime.parallel.script import Script
from refrain.runtime.parallel.trace import described

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from refrain.runtime.parallel.frames import Fields

_LARGE = 1 << 18  # rows of more bytes go by a file, so that no process holds them but their own
_LOG_SECONDS = 1.0
_LOG_COLUMNS = "mini-batch, attempt, items, results, start (seconds since 1970), seconds in run()"


class WorkLog:
    """One line for each mini-batch in a file of this process, written about once a second."""

    def __init__(self, folder: str, name: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._path = os.path.join(folder, f"{name}.txt")
        self._lines = [f"pid {os.getpid()}; {_LOG_COLUMNS}\n"]
        self._written = time.monotonic()

    def add(self, task: Fields, outcome: str, began: float, seconds: float) -> None:
        """Note one run."""
        self._lines.append(f"{task['batch']} {task['try']} {task['items']} {outcome} {began:.3f} {seconds:.4f}\n")
        if time.monotonic() - self._written > _LOG_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.writelines(self._lines)
        self._lines.clear()
        self._written = time.monotonic()


class Profile:
    """Where the time of run() goes, in a file for pstats, if that is asked for."""

    def __init__(self, folder: str, name: str, is_wanted: bool) -> None:
        self._path = os.path.join(folder, f"{name}.profile")
        self._profile: Any = None
        if is_wanted:
            import cProfile

            self._profile = cProfile.Profile()

    def of(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function."""
        return function(*arguments) if self._profile is None else self._profile.runcall(function, *arguments)

    def write(self) -> None:
        """Write what was measured; a process that is killed writes nothing."""
        if self._profile is not None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._profile.dump_stats(self._path)


class Worker:
    """Runs mini-batches, one after the other."""

    def __init__(self, line: Line, start: Fields) -> None:
        self._line = line
        self._rows_folder: str = start["rows"]
        self._keeps_rows: bool = start["keeps_rows"]
        self._process = os.getpid()
        self._log = WorkLog(os.path.join(start["logs"], "sys", "node", start["node"]), start["name"])
        self._script = Script(start["script"])
        self._profile = Profile(os.path.join(start["logs"], "perf", start["node"]), start["name"], start["profiles"])
        self._script.init()

    def run(self, task: Fields, content: bytes) -> None:
        """Run one mini-batch and say what came of it."""
        began, clock, own_rows = time.time(), time.perf_counter(), rows_of_dataset(task)
        try:
            data = data_of(task, content)
            context = MiniBatchContext(task["batch"], keys_of(task), content, data, own_rows)
            result = self._profile.of(self._script.run, data, context)
            seconds = time.perf_counter() - clock
            answer, rows = self._answer(result, task)
        except BaseException as error:  # noqa: BLE001  # whatever it is, sys.exit() included, it is the mini-batch's
            self._require_own_process()
            seconds = time.perf_counter() - clock
            answer, rows = {"is": "failed", "error": described(error)}, b""
        self._require_own_process()
        if own_rows:
            with suppress(OSError):  # it need not be there; what cannot be removed goes with its folder
                os.unlink(own_rows)
        self._line.say({**answer, "batch": task["batch"], "seconds": round(seconds, 6)}, rows)
        self._log.add(task, str(answer.get("results", "failed")), began, seconds)

    def stop(self) -> None:
        """Call shutdown(); whoever has been told that it is over may be ended."""
        over: Fields = {"is": "over"}
        try:
            self._script.shutdown()
        except BaseException as error:  # noqa: BLE001  # the results stand
            over["error"] = described(error)
        self._log.flush()
        self._profile.write()
        self._line.say(over)

    def _answer(self, result: Any, task: Fields) -> tuple[Fields, bytes]:
        if not is_counted(result):
            return {"is": "done", "results": 0, "type": type(result).__name__}, b""
        count = len(result)
        rows = rows_of(result) if self._keeps_rows else b""
        if len(rows) <= _LARGE:
            return {"is": "done", "results": count}, rows
        name = f"{task['batch']}-{task['try']}-{os.urandom(8).hex()}"  # machines have the same process ids
        with open(os.path.join(self._rows_folder, name), "wb") as file:
            file.write(rows)
        return {"is": "done", "results": count, "rows": name, "crc": zlib.crc32(rows)}, b""

    def _require_own_process(self) -> None:
        """End a child that run() forked and that returned from it: two must not speak for one."""
        if os.getpid() != self._process:
            os._exit(70)


def main() -> None:
    """Work until the dispatcher says stop, or is gone."""
    line, messages, start = begin()
    faulthandler.enable()
    sys.argv = list(start["argv"])
    logging.basicConfig(
        stream=sys.stdout, level=start["level"], format="%(asctime)s|%(levelname)s|%(name)s|%(message)s"
    )
    log_dir = os.path.join(start["logs"], "user", "entry_script_log", start["node"])
    place_worker(start["name"], log_dir, start["output"], start["level"])
    try:
        worker = Worker(line, start)
    except BaseException as error:  # noqa: BLE001  # the dispatcher decides what becomes of it
        line.say({"is": "broken", "error": described(error)})
        sys.exit(1)
    line.say({"is": "ready"})
    for message, content in messages:
        if message["do"] == "stop":
            worker.stop()
            return
        worker.run(message, content)


if __name__ == "__main__":
    main()
