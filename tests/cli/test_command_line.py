from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import refrain as package
from cli.sample import Refrain

HEAVY = ("airflow", "pandas", "rich", "sqlalchemy", "fsspec", "blake3")


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", ["--help", "--version", "run --help"])
def test_help_and_version_load_nothing_but_the_parser(words: str) -> None:
    code = (
        "import sys, refrain.cli\n"
        f"try: refrain.cli.main({words.split()!r})\n"
        "except SystemExit as end: assert end.code == 0\n"
        "ours = sorted(n for n in sys.modules if n.startswith('refrain.'))\n"
        f"print([n for n in {HEAVY!r} if n in sys.modules], ours)"
    )
    ours = [
        "refrain.cli",
        "refrain.cli.answer",
        "refrain.cli.arguments",
        "refrain.cli.command_line",
        "refrain.errors",
        "refrain.values",
    ]
    assert _python(code).splitlines()[-1] == f"[] {ours}"


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    from refrain.cli import main

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"refrain {package.__version__}\n"


def test_no_command_is_wrong_use(refrain: Refrain) -> None:
    called = refrain()
    assert called.code == 2
    assert "the following arguments are required: COMMAND. Try 'refrain --help'." in called.err


def test_an_unknown_option_is_wrong_use_and_said_in_json_too(refrain: Refrain) -> None:
    called = refrain("runs", "--bogus", "--json")
    assert called.code == 2
    assert called.document["error"]["type"] == "UsageError"
    assert "unrecognized arguments: --bogus" in called.document["error"]["message"]


def test_an_error_is_one_message_without_a_traceback(refrain: Refrain, tmp_path: Path) -> None:
    called = refrain("runs", "--workspace", str(tmp_path / "nowhere"))
    assert (called.code, called.out) == (2, "")
    assert called.err == (
        f"refrain: There is no workspace '{tmp_path}/nowhere'. Correct the name; a workspace is made by the first run "
        "in it.\n"
    )


def test_the_debug_variable_adds_the_traceback(
    refrain: Refrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFRAIN_DEBUG", "1")
    assert "Traceback" in refrain("runs", "--workspace", str(tmp_path / "nowhere")).err


def test_a_reader_that_stops_reading_is_no_error(project: Path) -> None:
    command = f"{sys.executable} -m refrain.cli run pipeline.py --json | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout == "0\n"
    assert "BrokenPipe" not in ended.stderr


@pytest.mark.parametrize("root", ["~nosuchuser/workspace", "a\0b"])
def test_a_folder_that_can_be_none_is_wrong_use(refrain: Refrain, root: str) -> None:
    for words in (("runs", "list", "--workspace", root), ("init", root)):
        called = refrain(*words)
        assert called.code == 2
        assert "is no folder: no user has this home, or it has a NUL. Give a folder or a URL." in called.err


def test_a_defect_is_told_with_its_traceback_and_in_json(refrain: Refrain, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_options: object) -> None:
        raise KeyError("nobody thought of it")

    monkeypatch.setattr(
        "refrain.cli.command_line.import_module", lambda _name: type("", (), {"__getattr__": lambda *_: broken})()
    )
    called = refrain("runs", "list", "--json")
    assert called.code == 1
    assert called.document["error"] == {"type": "KeyError", "message": "'nobody thought of it'"}
    assert "This is a defect of Refrain. Please report it with the lines above." in called.err
    assert "Traceback" in called.err
