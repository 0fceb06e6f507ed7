"""What a run's details say of the datasets that its steps read and wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fakes.project import Project
from refrain import (
    Dataset,
    OutputFileDatasetConfig,
    Pipeline,
    PipelineData,
    PipelineRun,
    StepRun,
)

WRITES = """
    import os, sys
    for folder in sys.argv[1:]:
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "a.csv"), "w").write("a,b\\n1,2\\n")
"""


@pytest.fixture
def steps(project: Project) -> dict[str, StepRun]:
    return {step.name: step for step in _run(project).get_steps()}


def _run(project: Project) -> PipelineRun:
    raw = project.folder / "raw.csv"
    raw.write_text("r\n1\n")
    table = Dataset.Tabular.from_delimited_files(str(raw)).as_named_input("raw")
    files = OutputFileDatasetConfig("files")
    rows = OutputFileDatasetConfig("rows").read_delimited_files().keep_columns("b")
    plain = PipelineData("plain")
    write = project.step("write", WRITES, [files, rows, plain], inputs=[table], outputs=[files, rows, plain])
    read = project.step("read", "pass", inputs=[files.as_input("in"), rows.as_input("table"), plain])
    return Pipeline(project.workspace, [read, write]).run(listener=None)


def _by_name(entries, *path):
    found = {}
    for entry in entries:
        name = entry
        for key in path:
            name = name[key]
        found[name] = entry
    return found


def test_what_a_step_wrote_is_there_as_datasets(steps: dict[str, StepRun]) -> None:
    wrote = _by_name(steps["write"].get_details()["outputDatasets"], "outputDetails", "outputName")
    assert wrote["files"]["dataset"].to_path() == ["/a.csv"]
    assert wrote["rows"]["dataset"].to_pandas_dataframe().to_dict("list") == {"b": [2]}
    assert wrote["plain"]["dataset"].to_path() == ["/a.csv"]
    assert wrote["rows"]["identifier"]["savedId"] == wrote["rows"]["dataset"].id


def test_what_a_step_read_is_there_as_datasets(steps: dict[str, StepRun], tmp_path: Path) -> None:
    read = _by_name(steps["read"].get_details()["inputDatasets"], "consumptionDetails", "inputName")
    assert set(read) == {"in", "table"}
    assert (read["in"]["consumptionDetails"]["mechanism"], read["in"]["dataset"].to_path()) == ("Mount", ["/a.csv"])
    assert read["table"]["dataset"].to_pandas_dataframe().to_dict("list") == {"b": [2]}
    (raw,) = steps["write"].get_details()["inputDatasets"]
    assert raw["dataset"].to_pandas_dataframe().to_dict("list") == {"r": [1]}
    assert (tmp_path / "raw.csv").exists()


def test_a_reused_step_tells_the_same(project: Project, steps: dict[str, StepRun]) -> None:
    (again,) = (step for step in _run(project).get_steps() if step.name == "write")
    assert again.is_reused
    told, before = again.get_details(), steps["write"].get_details()
    for group in ("inputDatasets", "outputDatasets"):
        assert {d["identifier"]["savedId"] for d in told[group]} == {d["identifier"]["savedId"] for d in before[group]}


def test_what_a_step_read_can_be_registered(project: Project, steps: dict[str, StepRun]) -> None:
    found = _by_name(steps["read"].get_details()["inputDatasets"], "consumptionDetails", "inputName")
    found["in"]["dataset"].register(project.workspace, "kept")
    assert Dataset.get_by_name(project.workspace, "kept").to_path() == ["/a.csv"]


def test_a_record_of_an_earlier_refrain_has_the_files_of_its_outputs(project: Project, steps) -> None:
    step = steps["write"]
    step.store.put(replace(step.record, datasets={}))
    wrote = _by_name(step.get_details()["outputDatasets"], "name")
    assert wrote["rows"]["dataset"].to_path() == ["/a.csv"]
    assert step.get_details()["inputDatasets"] == []
