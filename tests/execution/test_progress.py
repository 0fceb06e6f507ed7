from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from refrain.execution.listener import Phase
from refrain.execution.progress import Progress, show_progress
from refrain.reuse.decision import Change, Decision, Verdict
from refrain.reuse.record import ReuseRecord
from refrain.steps.definition import PipelineDefinition, SourceCode, StepDefinition

ROOT = "a" * 32
EARLIER = f"{'b' * 32}.first.1"
CHANGED = Decision(Verdict.CHANGED, changes=(Change("source", "changed train.py"),))
REUSED = Decision(Verdict.REUSED, record=ReuseRecord("f", {}, {}, EARLIER, "p", "first", 62.0, 0.0))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def definition(*keys: str) -> PipelineDefinition:
    steps = (StepDefinition(key, key, "python_script", SourceCode("."), ()) for key in keys)
    return PipelineDefinition("retrain", tuple(steps))


def run_through(progress: Progress, key: str, decision: Decision, status: str = "Completed", detail: str = "") -> None:
    progress.entered(key, Phase.RESOLVE)
    progress.decided(key, decision, f"{ROOT}.{key}.1")
    if not decision.is_reused:
        progress.entered(key, Phase.LAUNCH)
        progress.line(key, "\x1b[31mepoch\x1b[0m 1")
    progress.ended(key, status, detail)


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is."""
    monkeypatch.setattr("refrain.execution.tally.time", SimpleNamespace(monotonic=lambda: 1.0))


@pytest.fixture
def small_run(no_time_passes: None) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    progress = show_progress(stream)
    progress.began(ROOT, definition("first", "second", "third"))
    return progress, stream


def _texts(stream: io.StringIO) -> list[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]


def test_a_stream_that_is_no_terminal_gets_timestamped_lines(small_run: tuple[Progress, io.StringIO]) -> None:
    progress, stream = small_run
    run_through(progress, "second", CHANGED)
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in stream.getvalue().splitlines())
    assert _texts(stream) == [
        f"retrain: run {ROOT}, 3 steps",
        "second: runs: changed: source: changed train.py",
        "second | \x1b[31mepoch\x1b[0m 1",
        "second: completed in 0.0 s",
    ]


def test_the_summary_tells_of_every_step_and_what_was_saved(small_run: tuple[Progress, io.StringIO]) -> None:
    progress, stream = small_run
    run_through(progress, "first", REUSED)
    run_through(progress, "second", CHANGED, "Failed", "Step 'second' failed.")
    progress.finished("Failed")
    assert [line.split() for line in _texts(stream)[-5:-1]] == [
        ["STEP", "STATE", "TIME", "SAVED", "REUSED", "FROM", "WHY", "IT", "RAN"],
        ["first", "reused", "0.0", "s", "1m", "02s", "bbbbbbbb.first.1"],
        ["second", "failed", "0.0", "s", "changed:", "source:", "changed", "train.py"],
        ["third", "not", "run"],
    ]
    assert re.fullmatch(
        rf"retrain: Failed in 0\.\d s; 1 reused, 1 failed, 1 not run, 1m 02s saved; run {ROOT}", _texts(stream)[-1]
    )


def test_a_long_run_s_summary_counts_what_was_reused() -> None:
    stream = io.StringIO()
    progress = show_progress(stream)
    keys = [f"step{number}" for number in range(1000)]
    progress.began(ROOT, definition(*keys))
    for key in keys[:-1]:
        run_through(progress, key, REUSED)
    run_through(progress, keys[-1], CHANGED)
    progress.finished("Completed")
    lines = _texts(stream)
    assert lines[-3].split()[:2] == ["step999", "completed"]
    assert lines[-2] == "… and 999 more steps"
    assert "1 run, 999 reused" in lines[-1]


def test_a_stream_that_is_closed_does_not_disturb_the_run(small_run: tuple[Progress, io.StringIO]) -> None:
    progress, stream = small_run
    stream.close()
    run_through(progress, "second", CHANGED)
    progress.finished("Completed")


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_terminal_that_nobody_watches_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    show_progress(stream).began(ROOT, definition("first"))
    assert "retrain: run" in stream.getvalue()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_a_terminal_shows_what_runs_with_its_last_line_cleaned(terminal: Terminal) -> None:
    progress = show_progress(terminal)
    progress.began(ROOT, definition("first", "second"))
    run_through(progress, "first", REUSED)
    progress.entered("second", Phase.RESOLVE)
    progress.decided("second", CHANGED, "")
    progress.entered("second", Phase.LAUNCH)
    progress.line("second", "\x1b]0;title\x07\x1b[31mepoch\x1b[0m 7\x08")
    progress.noted("second", "a remark")  # printed above, which draws the live part anew
    progress.finished("Canceled")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "second: a remark" in shown
    assert re.search(r"▸ second  \d\.\d s  epoch 7", shown), shown
    assert "1/2 done · 1 reused" in shown
    assert "retrain: Canceled in" in shown


def test_a_terminal_with_verbose_shows_every_line(terminal: Terminal) -> None:
    progress = show_progress(terminal, is_verbose=True)
    progress.began(ROOT, definition("second"))
    run_through(progress, "second", CHANGED)
    progress.finished("Completed")
    assert "epoch 1" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())


def test_a_run_that_only_reuses_draws_nothing_but_the_summary(terminal: Terminal, no_time_passes: None) -> None:
    progress = show_progress(terminal)
    progress.began(ROOT, definition("first"))
    run_through(progress, "first", REUSED)
    progress.finished("Completed")
    assert "\x1b" not in terminal.getvalue()


def test_more_running_steps_than_the_screen_has_lines_are_counted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "14")
    progress = show_progress(terminal)
    progress.began(ROOT, definition(*(f"step{number}" for number in range(100))))
    for number in range(100):
        progress.entered(f"step{number}", Phase.RESOLVE)
        progress.decided(f"step{number}", CHANGED, "")
    progress.noted("step0", "a remark")
    progress.finished("Canceled")
    assert "… and 95 more running" in terminal.getvalue()


def test_pipeline_run_shows_its_progress_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from refrain import Pipeline, PythonScriptStep, Workspace
    from refrain.execution.listener import Listener

    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "src").mkdir()
    (tmp_path / "src/hello.py").write_text("print('hello')")
    step = PythonScriptStep("hello.py", name="hello", source_directory=str(tmp_path / "src"))
    pipeline = Pipeline(Workspace(tmp_path / "ws"), [step], name="greet")
    pipeline.run()
    assert "hello | hello" in capsys.readouterr().err
    pipeline.run(listener=Listener())
    assert capsys.readouterr().err == ""
