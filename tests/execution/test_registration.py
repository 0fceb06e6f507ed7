"""Outputs that become versions of named datasets."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.project import Project, Ran
from refrain import Dataset, LinkTabularOutputDatasetConfig, OutputFileDatasetConfig, PipelineData
from refrain.errors import UnknownNameError, UserError
from refrain.reuse.decision import Verdict

CODE = "import sys; open(sys.argv[1] + '/part', 'w').write(sys.argv[2])"


def _run(project: Project, text: str, **options: bool) -> Ran:
    output = OutputFileDatasetConfig("out").register_on_complete("prices", "Daily prices", {"team": "x"})
    return project.run(project.step("write", CODE, [output, text]), **options)


def test_a_completed_step_registers_its_output_and_records_the_version(project: Project) -> None:
    ran = _run(project, "1")
    handle, step = ran.result("write").outputs["out"], ran.step("write").run_id
    document = project.state.registry.get("datasets", "prices")
    assert document is not None
    assert document["created"] > 0
    assert {**document, "created": 0} == {
        "schema": 2,
        "id": Dataset.get_by_name(project.workspace, "prices").id,
        "definition": {
            "schema": 1,
            "kind": "file",
            "source": {"origin": "stored", "places": [["workspaceblobstore", f"dataset/{step}/out"]]},
            "operations": [],
            "partition_format": None,
        },
        "content": handle.to_json(),
        "description": "Daily prices",
        "tags": {"team": "x"},
        "run_id": step,
        "created": 0,
    }
    assert ran.step("write").registered == {"out": {"name": "prices", "version": 1}}


def test_a_reused_step_keeps_the_version_and_a_new_result_makes_another(project: Project) -> None:
    _run(project, "1")
    reused = _run(project, "1")
    assert reused.verdict("write") is Verdict.REUSED
    assert reused.step("write").registered == {"out": {"name": "prices", "version": 1}}
    assert _run(project, "2").step("write").registered["out"]["version"] == 2
    back = _run(project, "1")
    assert back.verdict("write") is Verdict.REUSED
    assert back.step("write").registered["out"]["version"] == 3
    document = project.state.registry.get("datasets", "prices")
    assert document is not None
    assert document["run_id"] == back.step("write").reused_from


def test_a_registration_that_was_lost_in_a_crash_is_made_up_for_by_the_next_run(project: Project) -> None:
    project.run(project.step("write", CODE, [OutputFileDatasetConfig("out"), "1"]))
    assert project.state.registry.versions("datasets", "prices") == []
    assert _run(project, "1").verdict("write") is Verdict.REUSED
    assert project.state.registry.versions("datasets", "prices") == [1]


def test_a_step_that_fails_registers_nothing(project: Project) -> None:
    output = OutputFileDatasetConfig("out").register_on_complete("prices")
    project.run(project.step("fail", CODE + "; sys.exit(1)", [output, "1"]))
    assert project.state.registry.names("datasets") == []


def test_a_registered_output_can_be_another_pipelines_input(project: Project) -> None:
    _run(project, "1")
    _run(project, "2")
    code = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1] + '/part').read())"
    for version, expected in (("latest", "2"), (2, "2"), ("1", "1")):
        prices = Dataset.get_by_name(project.workspace, "prices", version).as_named_input("prices").as_mount()
        step = project.step("read", code, [prices, PipelineData("copy")], inputs=[prices])
        assert project.run(step).text("read", "copy") == expected


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("price", "latest", r"Unknown dataset 'price'. Known: prices. Did you mean 'prices'\?"),
        ("prices", 7, r"Dataset 'prices' has no version 7. Known: 1."),
        ("prices", "newest", r"Dataset 'prices': the version 'newest' is neither a number nor 'latest'."),
    ],
)
def test_a_dataset_that_is_not_there_is_named_with_those_that_are(
    project: Project, name: str, version: int | str, message: str
) -> None:
    _run(project, "1")
    with pytest.raises((UnknownNameError, UserError), match=message):
        Dataset.get_by_name(project.workspace, name, version)


# ---- outputs of other kinds

TABLE = """
    import os, sys
    os.makedirs(sys.argv[1], exist_ok=True)
    open(os.path.join(sys.argv[1], "t.csv"), "w").write("a,b\\n1,2\\n")
"""


def _registered(project: Project, output: Any, code: str = TABLE, **ports: Any) -> Any:
    ran = project.run(project.step("write", code, [output], outputs=[output], **ports))
    assert ran.status == "Completed", ran.outcome.errors
    (version,) = ran.step("write").registered.values()
    return Dataset.get_by_name(project.workspace, version["name"], version["version"])


def test_a_table_is_registered_as_a_table(project: Project) -> None:
    files = OutputFileDatasetConfig("out").register_on_complete("rows")
    found = _registered(project, files.read_delimited_files().keep_columns("b"))
    assert found.to_pandas_dataframe().to_dict("list") == {"b": [2]}
    again = _registered(project, files.read_delimited_files().keep_columns("a"))
    assert (found.version, again.version) == (1, 2), "another way to read the same files is another version"


def test_pipeline_data_is_registered_as_what_it_was_promoted_to(project: Project) -> None:
    files = PipelineData("data").as_dataset().register("files")
    assert _registered(project, files).to_path() == ["/t.csv"]
    table = files.parse_delimited_files().register("rows")
    assert _registered(project, table).to_pandas_dataframe().to_dict("list") == {"a": [1], "b": [2]}


def test_the_columns_of_the_paths_are_registered(project: Project) -> None:
    output = OutputFileDatasetConfig("out", partition_format="/{name}.csv").register_on_complete("files")
    assert _registered(project, output).get_partition_key_values() == [{"name": "t"}]


def test_a_linked_dataset_is_registered_itself(project: Project) -> None:
    (project.folder / "t.csv").write_text("a\n1\n2\n")
    table = Dataset.Tabular.from_delimited_files(str(project.folder / "t.csv"))
    code = """
        from refrain import Run
        run = Run.get_context()
        run.output_datasets["out"].link(run.input_datasets["table"].take(1))
    """
    output = LinkTabularOutputDatasetConfig("out").register_on_complete("chosen")
    found = _registered(project, output, code, inputs=[table.as_named_input("table")])
    assert (found.id, found.version) == (table.take(1).id, 1)
    assert _registered(project, output, code, inputs=[table.as_named_input("table")]).version == 1


def test_only_the_registered_copy_among_the_outputs_is_registered(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    data.register("files")
    assert project.run(project.step("write", TABLE, [data], outputs=[data])).step("write").registered == {}


def test_a_name_that_is_taken_is_refused_before_the_step_starts_where_no_new_version_is_wanted(
    project: Project,
) -> None:
    data = PipelineData("data").as_dataset().register("files", create_new_version=False)
    assert _registered(project, data).version == 1
    assert _registered(project, data).version == 1, "a reused step registers nothing"
    ran = project.run(project.step("write", TABLE, [data], outputs=[data]), force=True)
    assert "Step 'write': its output 'data' is to be registered as 'files', of which there is version 1" in ran.error(
        "write"
    )
    assert ran.heard.lines == []
