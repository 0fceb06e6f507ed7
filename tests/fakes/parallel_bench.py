"""A working directory with an entry script and files, and the dispatcher as the process that the engine would start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid

import refrain.runtime.run

RUNTIME = Path(refrain.runtime.run.__file__).parent
HOME = Path(getpwuid(os.getuid()).pw_dir)  # the user's: tests have a home of their own
OLDEST = next(HOME.glob(".pyenv/versions/3.8.*/bin/python3"), None)
"""The oldest interpreter that a step may have, where there is one."""
NAMES = """
    import os
    def run(mini_batch):
        return [os.path.basename(path) for path in mini_batch]
"""
"""Returns the names of its files."""
SLOWLY = """
    import os, time
    def run(mini_batch):
        with open("runs", "a") as file:
            file.write(os.path.basename(mini_batch[0]) + "\\n")
        if os.path.exists("slow"):
            time.sleep(0.05)
        while os.path.exists("held") and os.path.basename(mini_batch[0]) >= "f00030":
            time.sleep(0.02)
        return [os.path.basename(mini_batch[0])]
"""
"""Notes what it runs, takes its time where there is a file `slow`, and waits at the 31st file while there is `held`."""
_NUMBERS = re.compile(
    r"([\d,]+) mini-batches done.*?, ([\d,]+) failed, ([\d,]+) retried; "
    r"([\d,]+) items, ([\d,]+) results, ([\d,]+) items failed"
)


@dataclass(frozen=True)
class Counts:
    """What a parallel run says of itself in the end."""

    done: int
    failed: int
    retried: int
    items: int
    results: int
    failed_items: int


@dataclass(frozen=True)
class Scored:
    """One parallel run, afterwards."""

    code: int
    log: str
    folder: Path

    @property
    def counts(self) -> Counts:
        found = _NUMBERS.search((self.folder / "logs" / "job_result.txt").read_text().splitlines()[-1])
        assert found, self.log
        return Counts(*(int(number.replace(",", "")) for number in found.groups()))

    @property
    def rows(self) -> list[str]:
        return (self.folder / "out" / "parallel_run_step.txt").read_text().splitlines()

    @property
    def is_kept(self) -> int:
        found = re.search(r"\(([\d,]+) of them by an earlier try\)", self.log)
        return int(found[1].replace(",", "")) if found else 0


class ParallelBench:
    """An entry script, files to score, and a place for the journal that one try leaves to the next.

    :attr:`settings` and :attr:`more_environment` count for every run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = sys.executable
        self.settings: dict[str, object] = {}
        self.more_environment: dict[str, str] = {}
        self.data = folder / "data"
        self.data.mkdir()

    def files(self, count: int) -> list[str]:
        names = [f"f{number:05}" for number in range(count)]
        for name in names:
            (self.data / name).write_text(name)
        return names

    def script(self, code: str) -> None:
        (self.folder / "score.py").write_text(textwrap.dedent(code))

    def words(self, code: str, *words: object, journal: str = "journal", **settings: object) -> list[str]:
        """Return the command; settings take the place of what is usual here: one worker, one file at a time."""
        self.script(code)
        usual: dict[str, object] = {
            "error_threshold": 0, "output_action": "append_row", "mini_batch_size": 1, "output": "out",
            "process_count_per_node": 1, "run_max_try": 1, "input_fds_0": self.data,
            "refrain_journal": journal,
        }  # fmt: skip
        named = [str(word) for name, value in {**usual, **self.settings, **settings}.items() if value is not None
                 for word in (f"--{name}", value)]  # fmt: skip
        script = ["--scoring_module_name", "score.py"]
        return [self.python, "-m", "refrain.runtime.parallel", *script, *named, *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a step's process, as far as it matters here."""
        path = os.pathsep.join([str(RUNTIME / "path")])
        usual = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        return {**usual, **self.more_environment}

    def start(self, code: str, *words: object, **settings: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(code, *words, **settings),
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, code: str, *words: object, **settings: object) -> Scored:
        with self.start(code, *words, **settings) as process:
            log, _ = process.communicate(timeout=100)
        return Scored(process.returncode, log, self.folder)


def runs(bench: ParallelBench) -> list[str]:
    """Return the files that `SLOWLY` has run, in that order."""
    return (bench.folder / "runs").read_text().split()
