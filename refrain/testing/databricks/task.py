"""Task: one task of a run as a process: a Python script, a notebook or a JAR."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refrain.testing.databricks import notebook
from refrain.testing.databricks.files import Files

_Json = dict[str, Any]
_MOST_LOGGED = 5 * 1024 * 1024
_KEPT = ("PATH", "HOME", "LANG", "JAVA_HOME", "TMPDIR")
_TYPES = {"SUCCESS": "SUCCESS", "CLOUD_FAILURE": "CLOUD_FAILURE", "INTERNAL_ERROR": "INTERNAL_ERROR"}


@dataclass
class TaskEnd:
    """How a task ended, in the words of the Jobs API.

    :param output: what ``runs/get-output`` adds.
    """

    phase: str
    result: str
    code: str
    message: str = ""
    output: _Json = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Whose fault it was."""
        return _TYPES.get(self.code, "CLIENT_ERROR")


class Task:
    """A process that has not been started yet, or has."""

    def __init__(self, argv: list[str], folder: Path, environment: Mapping[str, str], is_notebook: bool) -> None:
        """Know what to run, and where its output goes."""
        self._argv, self._folder, self._environment = argv, folder, dict(environment)
        self._is_notebook = is_notebook
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, in a group of its own."""
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End the process and what it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float | None) -> int | None:
        """Wait for the end of the process; None when it takes longer."""
        try:
            return self._process.wait(seconds) if self._process is not None else 0
        except subprocess.TimeoutExpired:
            return None

    def end(self, timeout: float | None) -> TaskEnd:
        """Wait for the end, and say what it was.

        :param timeout: in seconds, after which the process is ended.
        """
        code = self.wait(timeout)
        self.kill()
        if code is None:
            self.wait(None)
            return TaskEnd("TERMINATED", "TIMEDOUT", "CANCELED", f"Run timed out after {timeout} seconds.", self._log())
        if code == 0:
            return TaskEnd("TERMINATED", "SUCCESS", "SUCCESS", "", self._result())
        if code == -signal.SIGKILL:
            message = "The spark driver has stopped unexpectedly and is restarting. Your notebook will be reattached."
            return TaskEnd("TERMINATED", "FAILED", "DRIVER_ERROR", message, self._log())
        text = (self._folder / "log.txt").read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        found = {"error": lines[-1] if lines else f"exit code {code}", "error_trace": text, **self._log()}
        return TaskEnd(
            "TERMINATED", "FAILED", "RUN_EXECUTION_ERROR", "Workload failed, see run output for details", found
        )

    def _log(self) -> _Json:
        """Return what was printed; of notebooks the API gives none of it."""
        log = self._folder / "log.txt"
        if self._is_notebook or not log.exists():
            return {}
        text = log.read_text(errors="replace")
        return {"logs": text[:_MOST_LOGGED], "logs_truncated": len(text) > _MOST_LOGGED}

    def _result(self) -> _Json:
        result = self._folder / notebook.RESULT
        if self._is_notebook:
            return {"notebook_output": json.loads(result.read_text()) if result.exists() else {"truncated": False}}
        return self._log()


def prepared(task: _Json, folder: Path, files: Files, cluster: Mapping[str, Any]) -> Task | TaskEnd:
    """Return the task's process, not yet started, or how the task ends because it has none."""
    environment = _environment(cluster)
    if "spark_python_task" in task:
        return _script(task["spark_python_task"], folder, files, environment)
    if "notebook_task" in task:
        return _notebook(task["notebook_task"], folder, files, environment)
    if "spark_jar_task" in task:
        return _jar(task, folder, files, environment)
    return TaskEnd("INTERNAL_ERROR", "FAILED", "INVALID_RUN_CONFIGURATION", "This server cannot run such a task.")


def _script(task: _Json, folder: Path, files: Files, environment: Mapping[str, str]) -> Task | TaskEnd:
    script = files.script(task["python_file"])
    if script is None:
        message = f"Cannot read the python file {task['python_file']}. Please check driver logs for more details."
        return TaskEnd("INTERNAL_ERROR", "FAILED", "RESOURCE_NOT_FOUND", message)
    argv = [sys.executable, "-u", str(script), *task.get("parameters", [])]
    return Task(argv, folder, environment, is_notebook=False)


def _notebook(task: _Json, folder: Path, files: Files, environment: Mapping[str, str]) -> Task | TaskEnd:
    path = task["notebook_path"]
    source = files.notebook(path)
    if source is None:
        message = (
            f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run this job '
            "lacks the required permissions."
        )
        return TaskEnd("INTERNAL_ERROR", "FAILED", "RESOURCE_NOT_FOUND", message)
    (folder / notebook.PARAMETERS).write_text(json.dumps(task.get("base_parameters", {})))
    argv = [sys.executable, "-u", notebook.__file__, str(source), str(folder), str(files.dbfs), str(files.workspace)]
    return Task(argv, folder, environment, is_notebook=True)


def _jar(task: _Json, folder: Path, files: Files, environment: Mapping[str, str]) -> Task | TaskEnd:
    named = [library["jar"] for library in task.get("libraries", []) if "jar" in library]
    jars = [files.script(path) for path in named]
    if not named or None in jars:
        message = f"Library installation failed: {', '.join(named) or 'no JAR'} cannot be read."
        return TaskEnd("INTERNAL_ERROR", "FAILED", "LIBRARY_INSTALLATION_ERROR", message)
    pyspark = find_spec("pyspark")
    spark = [str(Path(str(pyspark.origin)).parent / "jars" / "*")] if pyspark else []
    main = task["spark_jar_task"]
    argv = ["java", "-Dspark.master=local[2]", "-cp", os.pathsep.join([*map(str, jars), *spark])]
    return Task([*argv, main["main_class_name"], *main.get("parameters", [])], folder, environment, is_notebook=False)


def _environment(cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a cluster's processes; the interpreter is this machine's."""
    passed = {name: os.environ[name] for name in _KEPT if name in os.environ}
    given = {str(name): str(value) for name, value in (cluster.get("spark_env_vars") or {}).items()}
    return {**passed, **{name: value for name, value in given.items() if name != "PYSPARK_PYTHON"}}
