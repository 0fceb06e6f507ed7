"""Outputs that become versions of named datasets."""

from __future__ import annotations

import pytest

from fakes.project import Project, Ran
from refrain import Dataset, OutputFileDatasetConfig, PipelineData
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
