"""A user's project in a temporary folder: scripts, a workspace, and runs that remember what they were told."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refrain import Pipeline, PipelineData, PythonScriptStep, Workspace
from refrain.execution.force import Force
from refrain.execution.listener import Listener, Phase
from refrain.execution.request import StepResult
from refrain.execution.runner import OnFailure, Outcome, Runner, RunOptions
from refrain.pipelines.local import make_runner
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.verification import Verification
from refrain.storage.state import WorkspaceState
from refrain.tracking.record import RunRecord, RunStore

WRITES = """
    import sys
    print("writing")
    open(sys.argv[1], "w").write(" ".join(sys.argv[2:]) or "data")
"""
"""Writes its other arguments to its first."""

COPIES = """
    import sys
    open(sys.argv[2], "w").write(open(sys.argv[1]).read())
"""
"""Copies its first argument to its second."""


@dataclass
class Heard(Listener):
    """Remembers everything."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    phases: list[tuple[str, Phase]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)

    def warned(self, warning: str) -> None:
        self.warnings.append(warning)

    def entered(self, key: str, phase: Phase) -> None:
        self.phases.append((key, phase))

    def decided(self, key: str, decision: Decision, run_id: str) -> None:
        self.decisions[key] = decision

    def line(self, key: str, line: str) -> None:
        self.lines.append(line)

    def noted(self, key: str, note: str) -> None:
        self.notes.append(note)

    def ended(self, key: str, status: str, detail: str = "") -> None:
        self.ends[key] = status


@dataclass(frozen=True)
class Ran:
    """One run, afterwards."""

    id: str
    outcome: Outcome
    heard: Heard
    runs: RunStore

    @property
    def status(self) -> str:
        return self.outcome.status.value

    @property
    def record(self) -> RunRecord:
        return self.runs.get(self.id)

    def step(self, key: str) -> RunRecord:
        return next(record for record in self.runs.latest_steps(self.id) if record.key == key)

    def result(self, key: str) -> StepResult:
        return self.outcome.results[key]

    def path(self, key: str, output: str) -> Path:
        return self.result(key).outputs[output].path

    def text(self, key: str, output: str) -> str:
        return self.path(key, output).read_text()

    def verdict(self, key: str) -> Verdict:
        return self.heard.decisions[key].verdict

    def reused(self) -> list[str]:
        return sorted(key for key, decision in self.heard.decisions.items() if decision.is_reused)

    def error(self, key: str) -> str:
        return str(self.outcome.errors[key])


class Project:
    """Scripts below ``<folder>/steps`` and a workspace, in ``<folder>/workspace`` unless it is elsewhere."""

    def __init__(self, folder: Path, root: str | None = None) -> None:
        self.folder = folder
        self.workspace = Workspace(root or folder / "workspace")

    @property
    def state(self) -> WorkspaceState:
        return self.workspace.state

    def source(self, name: str, code: str) -> Path:
        """Write a script into a folder of its own."""
        folder = self.folder / "steps" / name
        folder.mkdir(parents=True, exist_ok=True)
        script, text = folder / f"{name}.py", textwrap.dedent(code)
        if not script.exists() or script.read_text() != text:  # another process may be reading it
            script.write_text(text)
        return folder

    def step(self, name: str, code: str = WRITES, arguments: Any = (), **options: Any) -> PythonScriptStep:
        """Return a step with a script of its own; every PipelineData among the arguments but *inputs* is an output."""
        folder = self.source(name, code)
        inputs = options.pop("inputs", [])
        outputs = options.pop("outputs", [a for a in arguments if isinstance(a, PipelineData) and a not in inputs])
        return PythonScriptStep(
            f"{name}.py",
            name=name,
            arguments=list(arguments),
            inputs=inputs,
            outputs=outputs,
            source_directory=str(folder),
            **options,
        )

    def run(self, *steps: PythonScriptStep, listener: Heard | None = None, **options: Any) -> Ran:
        """Run steps as a pipeline to its end, whatever that is."""
        heard = listener or Heard()
        runner, run_id = self.runner(*steps, listener=heard, **options)
        return Ran(run_id, runner.run(), heard, RunStore(self.state))

    def runner(
        self,
        *steps: PythonScriptStep,
        parameters: dict[str, Any] | None = None,
        force: bool | set[str] = False,
        keep_going: bool = False,
        jobs: int | None = 2,
        listener: Listener | None = None,
        name: str = "project",
        verification: Verification | None = None,
    ) -> tuple[Runner, str]:
        """Return a runner of steps as a pipeline."""
        forced = Force(everything=force) if isinstance(force, bool) else Force(steps=frozenset(force))
        on_failure = OnFailure.CONTINUE if keep_going else OnFailure.STOP
        definition = Pipeline(self.workspace, list(steps), name=name).definition
        options = RunOptions(jobs, on_failure, forced, verification)
        return make_runner(self.workspace, definition, parameters or {}, "experiment", options, listener)

    def leftovers(self) -> list[str]:
        """Return what only a step that is running may have in the workspace."""
        root = self.state.root
        staging = sorted(str(path.relative_to(root)) for path in (root / "staging").glob("*"))
        waiting = sorted(str(path.relative_to(root)) for path in root.rglob(".refrain-staging"))
        temporary = sorted(str(path.relative_to(root)) for path in root.rglob(".tmp-*"))
        return staging + waiting + temporary

    def outputs(self) -> list[str]:
        """Return the committed output folders' parents and all files below them."""
        store = self.state.datastores.get("workspaceblobstore").root
        return sorted(os.path.relpath(path, store) for path in store.rglob("*"))

    def reuse_records(self) -> list[Path]:
        """Return the files of all reuse records."""
        return sorted((self.state.root / "reuse").glob("??/*.json"))
