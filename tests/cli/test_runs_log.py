from __future__ import annotations

from pathlib import Path

from cli.sample import Refrain


def test_a_step_s_output_is_printed_even_if_it_was_reused(refrain: Refrain, project: Path) -> None:
    refrain("run", "pipeline.py")
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    assert refrain("runs", "log", f"{run_id[:8]}.prepare").out == "preparing\n"


def test_the_document_has_the_path_too(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    document = refrain("runs", "log", f"{run_id}.prepare", "--json").document
    assert document["log"] == Path(document["path"]).read_text() == "preparing\n"


def test_a_run_without_a_step_is_asked_back(refrain: Refrain, project: Path) -> None:
    run_id = refrain("run", "pipeline.py", "--json").document["run_id"]
    called = refrain("runs", "log", run_id[:8])
    assert called.code == 2
    assert called.err == f"refrain: Whose output? Add a dot and a step to '{run_id[:8]}': prepare, train.\n"
