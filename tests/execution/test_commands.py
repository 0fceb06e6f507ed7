"""Command steps: what the shell sees of values, and what is said of its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.project import WRITES, Project
from refrain import CommandStep, PipelineData, PipelineParameter
from refrain.reuse.decision import Verdict

NASTY = [
    "a b",
    "$HOME",
    "`id`",
    "$(touch pwned)",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "*",
    "-n",
    "a\nb",
    "\\",
    "é",
]


def _command(project: Project, *words: object, **options: object) -> CommandStep:
    folder = project.source("command", "print('hi')")
    outputs = [word for word in words if isinstance(word, PipelineData) and word not in options.get("inputs", [])]
    return CommandStep(list(words), name="command", source_directory=str(folder), outputs=outputs, **options)


@pytest.mark.parametrize("value", NASTY)
def test_no_value_is_read_by_the_shell(project: Project, value: str) -> None:
    out = PipelineData("out")
    step = _command(project, "printf %s", PipelineParameter("value", "x"), ">", out)
    ran = project.run(step, parameters={"value": value})
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("command", "out") == value
    assert not any("not kept" in note for note in ran.heard.notes)


def test_a_value_within_the_authors_quotes_is_still_no_code(project: Project) -> None:
    step = _command(
        project, "sh -c 'printf %s \"$1\"' inner", PipelineParameter("value", "x"), ">", PipelineData("out")
    )
    assert project.run(step, parameters={"value": "$(touch pwned)"}).text("command", "out") == "$(touch pwned)"


def test_more_than_nine_values_keep_their_places(project: Project) -> None:
    values = [PipelineParameter(f"p{number}", number) for number in range(12)]
    ran = project.run(_command(project, "echo", *values, ">", PipelineData("out")))
    assert ran.text("command", "out") == "0 1 2 3 4 5 6 7 8 9 10 11\n"


def test_the_shell_joins_programs_and_reads_declared_variables(project: Project) -> None:
    table = PipelineData("table")
    first = project.step("write", WRITES, [table, "b a b"])
    step = _command(
        project, "tr ' ' '\\n' <", table, "| sort -u > $AZUREML_DATAREFERENCE_out && echo $AML_PARAMETER_mode >&2",
        inputs=[table], params={"mode": "fast"},
    )  # fmt: skip
    step = CommandStep(
        list(step.arguments),
        name="command",
        source_directory=step.source_directory,
        inputs=[table],
        outputs=[PipelineData("out")],
        params={"mode": "fast"},
    )
    ran = project.run(first, step)
    assert ran.text("command", "out") == "a\nb\n"
    assert "fast" in ran.heard.lines


def test_python_is_that_of_the_step(project: Project) -> None:
    step = _command(project, "python -c 'import sys; print(sys.prefix)' >", PipelineData("out"))
    import sys

    assert project.run(step).text("command", "out") == f"{sys.prefix}\n"


def test_it_is_reused_until_its_text_changes(project: Project) -> None:
    project.run(_command(project, "echo 1 >", PipelineData("out")))
    assert project.run(_command(project, "echo 1 >", PipelineData("out"))).verdict("command") is Verdict.REUSED
    assert project.run(_command(project, "echo 2 >", PipelineData("out"))).verdict("command") is not Verdict.REUSED


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 3", "Step 'command' failed: its command exited with code 3. Its log is"),
        ("no-such-program", "exited with code 127. A program was not found: it is not on PATH, or not in the source"),
        ("touch x; ./x", "exited with code 126. A program could not be run: its file is not executable."),
        ("sh -c 'kill -9 $$'; exit $?", "code 137. That stands for an end by SIGKILL. It may have been stopped for"),
        ("kill -TERM $$", "failed: its process was ended by SIGTERM."),
        ("exit 200", "exited with code 200. Its log is"),
    ],
)
def test_an_end_is_explained(project: Project, command: str, message: str) -> None:
    assert message in project.run(_command(project, command)).error("command")


def test_nothing_of_a_command_stays_running(project: Project) -> None:
    ran = project.run(_command(project, "sleep 600 & exit 1"))
    marked = f"AZUREML_RUN_ID={ran.step('command').run_id}".encode()
    left = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            left += [path] if marked in path.read_bytes() else []
        except OSError:
            continue
    assert left == []
