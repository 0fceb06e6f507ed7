"""Outputs that scripts link to datasets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fakes.project import WRITES, Project, Ran
from refrain.data.dataset import Dataset
from refrain.data.datastore import Datastore
from refrain.data.output_config import LinkFileOutputDatasetConfig, LinkTabularOutputDatasetConfig
from refrain.data.pipeline_data import PipelineData
from refrain.execution.cleaning import Cleaning
from refrain.reuse.decision import Verdict
from refrain.storage.retention import Retention

LINKS = """
    from refrain import Run
    run = Run.get_context()
    run.output_datasets["chosen"].link(run.input_datasets["table"].take(2))
"""
TELLS = """
    import json, sys
    from refrain import Run
    table = Run.get_context().input_datasets["chosen"]
    json.dump(table.to_pandas_dataframe().to_dict("list"), open(sys.argv[1], "w"))
"""


@pytest.fixture
def table(project: Project) -> Path:
    folder = project.state.datastores.get("workspaceblobstore").root
    folder.mkdir(parents=True)
    (folder / "table.csv").write_text("a\n1\n2\n3\n")
    return folder / "table.csv"


def _run(project: Project, links: str = LINKS) -> Ran:
    data = Dataset.Tabular.from_delimited_files((Datastore(project.workspace), "table.csv"))
    chosen, told = LinkTabularOutputDatasetConfig("chosen"), PipelineData("told")
    return project.run(
        project.step("choose", links, inputs=[data.as_named_input("table")], outputs=[chosen]),
        project.step("tell", TELLS, [told], inputs=[chosen.as_input("chosen")], outputs=[told]),
    )


def test_a_linked_table_is_a_table_for_its_readers(project: Project, table: Path) -> None:
    assert json.loads(_run(project).text("tell", "told")) == {"a": [1, 2]}
    assert _run(project).reused() == ["choose", "tell"]


def test_the_data_behind_a_link_counts_for_its_reader(project: Project, table: Path) -> None:
    code = """
        from refrain import Dataset, Datastore, Run, Workspace
        run = Run.get_context()
        store = Datastore(Workspace(run.experiment.workspace.root))
        run.output_datasets["chosen"].link(Dataset.Tabular.from_delimited_files((store, "other.csv")))
    """
    other = table.with_name("other.csv")
    other.write_text("b\n1\n")
    assert json.loads(_run(project, code).text("tell", "told")) == {"b": [1]}
    other.write_text("b\n5\n")
    again = _run(project, code)
    assert (again.reused(), json.loads(again.text("tell", "told"))) == (["choose"], {"b": [5]})


def test_linked_files_are_a_path_for_their_readers(project: Project, table: Path) -> None:
    files = Dataset.File.from_files((Datastore(project.workspace), "table.csv")).as_named_input("files")
    chosen, told = LinkFileOutputDatasetConfig("chosen"), PipelineData("told")
    links = """
        from refrain import Run
        run = Run.get_context()
        run.output_datasets["chosen"].link(run.input_datasets["files"])
    """
    reads = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
    ran = project.run(
        project.step("link", links, inputs=[files], outputs=[chosen]),
        project.step("read", reads, [chosen.as_input("chosen"), told], outputs=[told]),
    )
    assert ran.text("read", "told") == "a\n1\n2\n3\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("pass", r"but nothing was linked to its output 'chosen'. The script does so with Run.get_context().output_da"),
        (
            """
            from refrain import Dataset, Run
            open("own.csv", "w").write("a\\n1\\n")
            Run.get_context().output_datasets["chosen"].link(Dataset.Tabular.from_delimited_files("own.csv"))
            """,
            "own.csv', which goes when the step ends. Link data on a datastore, or write a copy to an OutputFileDat",
        ),
        (
            """
            import os
            open(os.environ["chosen"], "w").write("{}")
            """,
            "is no definition of a dataset; only link(dataset) writes there",
        ),
        (
            """
            from refrain import Dataset, Run
            Run.get_context().output_datasets["chosen"].link(Dataset.File.from_files("/etc/hostname"))
            """,
            "exited with code 1",
        ),
    ],
)
def test_what_cannot_be_linked_fails_the_step(project: Project, table: Path, code: str, message: str) -> None:
    ran = _run(project, code)
    assert "Step 'choose'" in ran.error("choose")
    assert message in ran.error("choose")
    assert project.leftovers() == []


def test_data_on_a_datastore_of_another_workspace_cannot_be_linked(project: Project, table: Path) -> None:
    code = """
        import os
        from refrain import Dataset, Datastore, Run, Workspace
        os.makedirs("folder")
        open("folder/a.csv", "w").write("a\\n1\\n")
        other = Workspace("other")
        store = Datastore.register_folder(other, "elsewhere", "folder")
        Run.get_context().output_datasets["chosen"].link(Dataset.Tabular.from_delimited_files((store, "a.csv")))
    """
    assert "links 'a.csv' on a datastore of another workspace: Unknown datastore 'elsewhere'" in _run(
        project, code
    ).error("choose")


def _made_and_linked(project: Project, text: str, **options: Any) -> Ran:
    """One step makes a file, another links it, and a third copies what was linked."""
    data, chosen, told = PipelineData("data"), LinkFileOutputDatasetConfig("chosen"), PipelineData("told")
    links = """
        import sys
        from refrain import Dataset, Run
        Run.get_context().output_datasets["chosen"].link(Dataset.File.from_files(sys.argv[1]))
    """
    reads = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read() + sys.argv[3])"
    return project.run(
        project.step("make", WRITES, [data, "made"]),
        project.step("link", links, [data], inputs=[data], outputs=[chosen]),
        project.step("read", reads, [chosen.as_input("chosen"), told, text], outputs=[told]),
        **options,
    )


def test_a_link_to_what_is_gone_is_made_anew(project: Project) -> None:
    first = _made_and_linked(project, "1")
    first.path("make", "data").unlink()
    again = _made_and_linked(project, "2")
    assert again.verdict("link") is Verdict.OUTPUT_MISSING
    assert "output chosen links what is no longer at" in again.heard.decisions["link"].detail
    assert again.text("read", "told") == "made2"


def test_what_a_result_in_use_links_is_kept(project: Project) -> None:
    _made_and_linked(project, "1")
    for path in project.state.root.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    assert _made_and_linked(project, "1", force={"make"}).reused() == ["link", "read"]
    Cleaning(project.state, Retention(days=30, grace_days=0)).clean()
    third = _made_and_linked(project, "2")
    assert third.reused() == ["link", "make"]
    assert third.text("read", "told") == "made2"
