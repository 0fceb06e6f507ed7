"""The demonstration: a retraining pipeline on an embedded Airflow, run twice; and the same Airflow left running."""

from __future__ import annotations

import json
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import refrain
from refrain.errors import RunFailedError, UserError, WorkspaceError
from refrain.execution.duration import duration
from refrain.execution.table import Column, render
from refrain.pipelines.run import PipelineRun
from refrain.pipelines.workspace import ROOT_VARIABLE, Workspace
from refrain.tracking.record import RunRecord
from refrain.tracking.run_id import root_id_for
from refrain_operators.airflow_home import USER
from refrain_operators.embedded import EmbeddedAirflow
from refrain_operators.rest import AirflowClient

DAG_ID = "retrain_diabetes"
DEFAULT_HOME = ".refrain/airflow"
DEFAULT_PORT = 8080

_MARK = "made-by-refrain-demo"
_COLUMNS = (
    Column("step"),
    Column("state"),
    Column("seconds", is_number=True),
    Column("reused from"),
    Column("saved", is_number=True),
    Column("why"),
)
_POLL_SECONDS = 0.5
_FINAL = ("success", "failed")


@dataclass(frozen=True)
class DemoRun:
    """One finished run of the demonstration. ``wall_seconds`` is from the trigger to the end."""

    dag_run_id: str
    run: PipelineRun
    steps: tuple[RunRecord, ...]
    wall_seconds: float

    @property
    def started(self) -> int:
        """How many step processes were started."""
        return sum(step.reused_from is None for step in self.steps)


def demo(arguments: Namespace) -> int:
    """Start an Airflow in a fresh folder, run the example twice, and say what was repeated; return the exit code.

    :param arguments: ``home``, ``port``, ``dags`` (None for the project's own) and ``json``, ``keep``.
    """
    home = _fresh(Path(arguments.home or ".refrain/demo").absolute())
    say = Narrator(sys.stderr if arguments.json else sys.stdout)
    with _airflow(home, home / "workspace", arguments, say) as airflow:
        client = airflow.client()
        workspace = Workspace(home / "workspace")
        client.wait_for_dag(DAG_ID, timeout=120)
        client.unpause(DAG_ID)
        runs = []
        for number, title in ((1, "The first run: everything is new"), (2, "The second run: nothing has changed")):
            say.title(title)
            runs.append(_run(client, workspace, f"demo_{number}_{int(time.time())}", say))
            say.lines(_table(runs[-1]))
        _conclude(runs, airflow, home, say)
        if arguments.json:
            _print_json(_summary(runs, airflow.url))
        if arguments.keep:
            _stay(airflow, say)
    return 0 if runs[1].started == 0 else 1


def up(arguments: Namespace) -> int:
    """Start an Airflow on the project's workspace and stay until Ctrl-C; return the exit code.

    :param arguments: as for :func:`demo`.
    """
    say = Narrator(sys.stderr if arguments.json else sys.stdout)
    workspace = Workspace()
    home = Path(arguments.home or DEFAULT_HOME).absolute()
    with _airflow(home, Path(workspace.root), arguments, say) as airflow:
        _where(airflow, say)
        if arguments.json:
            _print_json({"url": airflow.url, "home": str(home), "workspace": workspace.root})
        _stay(airflow, say)
    return 0


class Narrator:
    """Says what happens; on a terminal a line of progress is written over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last = ""

    def title(self, text: str) -> None:
        """Say what begins."""
        self.lines(["", text, "─" * len(text)])

    def lines(self, lines: list[str]) -> None:
        """Say some lines."""
        if self._is_terminal and self._last:
            self._stream.write("\r\033[K")
        self._last = ""
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    def progress(self, text: str) -> None:
        """Say how far it is; the same text again says nothing."""
        if text == self._last:
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\033[K{text[:width]}" if self._is_terminal else f"{text}\n")
        self._stream.flush()
        self._last = text


@contextmanager
def _airflow(home: Path, workspace: Path, arguments: Namespace, say: Narrator) -> Iterator[EmbeddedAirflow]:
    dags = _dags_folder(arguments.dags)
    airflow = EmbeddedAirflow(
        home,
        dags_folder=dags,
        port=DEFAULT_PORT if arguments.port is None else arguments.port,
        environment={ROOT_VARIABLE: str(workspace), "REFRAIN_CACHE": str(home / "cache")},
    )
    say.lines([f"Airflow in {home}, DAG files from {dags}, workspace {workspace}"])
    begun = time.monotonic()
    airflow.start(lambda component, state: say.progress(f"  {component}: {state}"))
    try:
        say.lines([f"Airflow runs at {airflow.url} after {duration(time.monotonic() - begun)}"])
        yield airflow
    finally:
        airflow.stop()
        say.lines(["Airflow has stopped."])


def _run(client: AirflowClient, workspace: Workspace, run_id: str, say: Narrator) -> DemoRun:
    """Trigger the example through Airflow's REST API and wait for its end.

    :raises RunFailedError: when the run fails.
    """
    begun = time.monotonic()
    client.trigger(DAG_ID, run_id=run_id)
    state = "queued"
    while state not in _FINAL:
        time.sleep(_POLL_SECONDS)
        state = client.dag_run(DAG_ID, run_id)["state"]
        say.progress(_progress(client.task_instances(DAG_ID, run_id), begun, state))
    run = PipelineRun.get(workspace, root_id_for(DAG_ID, run_id))
    if state == "failed":
        errors = [step.error for step in run.store.latest_steps(run.id) if step.error]
        raise RunFailedError(f"The run {run_id} failed. " + "\n".join(errors))
    return DemoRun(run_id, run, tuple(run.store.latest_steps(run.id)), time.monotonic() - begun)


def _progress(tasks: list[dict[str, Any]], begun: float, state: str) -> str:
    done = sum(task["state"] in ("success", "skipped") for task in tasks)
    running = ", ".join(task["task_id"] for task in tasks if task["state"] == "running")
    seconds = int((time.monotonic() - begun) / 5) * 5
    return f"  {done} of {len(tasks)} tasks, run {state}, {seconds} s" + (f": {running}" if running else "")


def _table(run: DemoRun) -> list[str]:
    rows = [
        (
            step.name,
            "reused" if step.reused_from else step.status.value.lower(),
            f"{step.seconds:.2f}",
            step.reused_from or "",
            duration(step.seconds_saved) if step.reused_from else "",
            "" if step.reused_from else str(step.decision.get("sentence", "")).removeprefix("runs: "),
        )
        for step in run.steps
    ]
    saved = sum(step.seconds_saved for step in run.steps)
    total = (
        f"{len(run.steps)} steps in {duration(run.wall_seconds)}: {run.started} processes started, "
        f"{len(run.steps) - run.started} steps reused, {duration(saved)} of work saved"
    )
    return [*render(_COLUMNS, rows), "", total]


def _conclude(runs: list[DemoRun], airflow: EmbeddedAirflow, home: Path, say: Narrator) -> None:
    best = _best(runs[0])
    say.title("The best model")
    say.lines([f"  {name}: {value}" for name, value in best.items()])
    say.title("Look further")
    say.lines(
        [
            f"  run page   {airflow.url}/dags/{DAG_ID}/runs/{runs[1].dag_run_id}/plugin/refrain",
            f"  records    REFRAIN_WORKSPACE={home / 'workspace'} refrain runs",
            f"  kept model {_kept_model(runs[0])}",
            "  'make up' leaves Airflow running, so that the pages can be visited",
        ]
    )
    if runs[1].started:
        say.lines(["", f"Unexpected: the second run started {runs[1].started} step processes."])


def _best(run: DemoRun) -> dict[str, Any]:
    """Return the metrics of the step that kept the model, and of its evaluation."""
    found: dict[str, Any] = {}
    for name in ("evaluate", "keep_best"):
        for step in run.run.find_step_run(name):
            found.update({k: v for k, v in step.get_metrics().items() if isinstance(v, (int, float))})
    return found


def _kept_model(run: DemoRun) -> str:
    outputs = next((step.outputs for step in run.steps if step.name == "keep_best"), {})
    return next((str(handle["uri"]) for handle in outputs.values()), "")


def _summary(runs: list[DemoRun], url: str) -> dict[str, Any]:
    return {
        "url": url,
        "best": _best(runs[0]),
        "runs": [
            {
                "run_id": run.run.id,
                "dag_run_id": run.dag_run_id,
                "wall_seconds": round(run.wall_seconds, 2),
                "processes_started": run.started,
                "steps": [
                    {
                        "name": step.name,
                        "status": step.status.value,
                        "seconds": round(step.seconds, 3),
                        "reused_from": step.reused_from,
                        "seconds_saved": round(step.seconds_saved, 3),
                    }
                    for step in run.steps
                ],
            }
            for run in runs
        ],
    }


def _where(airflow: EmbeddedAirflow, say: Narrator) -> None:
    say.lines(
        [
            f"  pages     {airflow.url}",
            f"  sign in   {USER}, with the password in {airflow.home.password_file}",
            "  stop      Ctrl-C",
        ]
    )


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    sys.stdout.flush()


def _stay(airflow: EmbeddedAirflow, say: Narrator) -> None:
    _where(airflow, say)
    try:
        airflow.wait()
    except KeyboardInterrupt:
        say.lines(["", "Stopping …"])


def _dags_folder(named: str | None) -> Path:
    """Return the folder of DAG files: the named one, else ``dags`` here, else the one of the project's checkout."""
    candidates = [Path(named)] if named else [Path("dags"), Path(str(refrain.__file__)).parents[1] / "dags"]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate.absolute()
    raise UserError(f"There is no folder of DAG files at {str(candidates[0])!r}; name one with --dags.")


def _fresh(home: Path) -> Path:
    """Empty the folder of an earlier demonstration; any other folder is left alone.

    :raises UserError: when the folder holds something else.
    :raises WorkspaceError: when it cannot be made.
    """
    try:
        if home.exists() and any(home.iterdir()):
            if not (home / _MARK).exists():
                raise UserError(
                    f"The folder {str(home)!r} is not empty and not of an earlier demo; name another with --home."
                )
            shutil.rmtree(home)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # as Airflow's home, which it is
        (home / _MARK).touch()
    except OSError as error:
        raise WorkspaceError(
            f"Cannot make the folder {str(home)!r}: {error.strerror or error}. Name another with --home."
        ) from error
    return home
