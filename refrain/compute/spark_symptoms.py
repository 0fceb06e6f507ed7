"""Symptoms: what lines of a Spark application's output tell of why it fails, and what to do about it."""

from __future__ import annotations

import re

_CAUSES = {
    r"Lost task .*OutOfMemoryError|ExecutorLostFailure.*(code 52|code 137|OOM|exceeding memory)": (
        "An executor ran out of memory: raise executor_memory, or cut the data into more partitions."
    ),
    r"java\.lang\.OutOfMemoryError|^MemoryError\b": (
        "The driver ran out of memory: raise driver_memory (Spark's default is 1g), or let it collect less."
    ),
    r"is bigger than (local maxResultSize|spark\.driver\.maxResultSize)": (
        "More was collected in the driver than it allows: write the result to an output, or raise the conf "
        "spark.driver.maxResultSize together with driver_memory."
    ),
    r"System memory \d+ must be at least|Executor memory \d+ must be at least": (
        "That is less memory than Spark needs at all: give the driver and the executors 512m or more."
    ),
    r"Could not reserve enough space|insufficient memory for the Java Runtime|Cannot allocate memory": (
        "This machine does not have the memory that the driver asks for: lower driver_memory."
    ),
    r"All masters are unresponsive": (
        "The cluster does not answer: try its compute target with: refrain compute test NAME"
    ),
    r"Initial job has not accepted any resources": (
        "The cluster had nothing to run it on: no worker is free that has executor_memory and executor_cores at once."
    ),
    r"PYTHON_VERSION_MISMATCH|Python in worker has different version": (
        "The executors have another Python than the driver: name one like it in the target's setting python."
    ),
    r'Cannot run program "[^"]*python[^"]*"': (
        "The executors do not find the driver's Python: name theirs in the target's setting python."
    ),
    r"FILE_NOT_EXIST|Lost task .*FileNotFoundException: File file:": (
        "The executors did not find a file that is on the driver's machine: they share no such folder with "
        "it, whatever the setting shared_folders says. Try the target with: refrain compute test NAME"
    ),
    r"Mkdirs failed to create file:": (
        "The executors cannot write to a folder of the driver's machine: let their user write to the shared_folders."
    ),
    r"UnsupportedClassVersionError": (
        "Java is too old for this Spark: set java_home of the target, or JAVA_HOME, to a newer one."
    ),
}
"""What lines look like, the most telling first, with the cause and the way out."""

_TABLE = tuple((re.compile(pattern), text) for pattern, text in _CAUSES.items())


class Symptoms:
    """Reads the output of an application while it goes by."""

    def __init__(self) -> None:
        self._found = len(_TABLE)

    def line(self, line: str) -> None:
        """Take in a line; of several symptoms the first of the table is told."""
        for place, (pattern, _) in enumerate(_TABLE[: self._found]):
            if pattern.search(line):
                self._found = place
                return

    @property
    def cause(self) -> str:
        """The cause and the way out; empty when nothing is known."""
        return _TABLE[self._found][1] if self._found < len(_TABLE) else ""
