"""What lines of a Spark application's output tell of why it fails."""

from __future__ import annotations

import pytest

from refrain.compute.spark_symptoms import Symptoms

_LOST = "WARN TaskSetManager: Lost task 0.0 in stage 0.0 (TID 0) (10.0.0.1 executor 0): "


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", "raise driver_memory"),
        ("MemoryError", "raise driver_memory"),
        (f"{_LOST}java.lang.OutOfMemoryError: Java heap space", "raise executor_memory"),
        (f"{_LOST}ExecutorLostFailure (executor 1 exited) Command exited with code 52", "raise executor_memory"),
        ("Total size of results of 2 tasks is bigger than spark.driver.maxResultSize 1024.0 MiB.", "write the result"),
        ("Error: System memory 268435456 must be at least 471859200.", "512m or more"),
        ("Error occurred: Could not reserve enough space for object heap", "lower driver_memory"),
        ("ERROR: Application has been killed. Reason: All masters are unresponsive!", "refrain compute test NAME"),
        ("WARN TaskSchedulerImpl: Initial job has not accepted any resources; check", "executor_memory and"),
        ("PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has", "setting python"),
        ('java.io.IOException: Cannot run program "/opt/bin/python3": error=2, No such file', "setting python"),
        ("[FAILED_READ_FILE.FILE_NOT_EXIST] Error while reading file file:///mnt/a.txt", "shared_folders"),
        (f"{_LOST}java.io.IOException: Mkdirs failed to create file:/mnt/out/_temporary", "their user write"),
        ("java.lang.UnsupportedClassVersionError: org/apache/spark/deploy/SparkSubmit", "java_home"),
    ],
)
def test_a_line_that_tells_of_a_cause_gives_the_way_out(line: str, way: str) -> None:
    symptoms = Symptoms()
    for said in ("INFO all is well", line, "something else"):
        symptoms.line(said)
    assert way in symptoms.cause


def test_the_most_telling_of_several_is_told_and_nothing_is_made_up() -> None:
    symptoms = Symptoms()
    symptoms.line("ordinary output")
    assert symptoms.cause == ""
    symptoms.line("Initial job has not accepted any resources")
    symptoms.line("java.lang.OutOfMemoryError: Java heap space")
    symptoms.line("All masters are unresponsive! Giving up.")
    assert "driver_memory" in symptoms.cause
