"""Outputs that become datasets: scripts read them as paths or tables, and how they are read counts."""

from __future__ import annotations

import json

import pytest

from fakes.project import Project, Ran
from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.pipeline_data import PipelineData
from refrain.data.tabular.types import DataType

WRITES_TABLES = """
    import os, sys
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, text in (("x.csv", "a,b\\n1,x\\n2,y\\n"), ("y.csv", "a,b\\n3,z\\n"), ("notes.txt", "no table")):
        open(os.path.join(folder, name), "w").write(text)
"""
TELLS = """
    import json, sys
    from refrain import Run
    tables = Run.get_context().input_datasets
    json.dump({name: tables[name].to_pandas_dataframe().to_dict("list") for name in tables}, open(sys.argv[1], "w"))
"""


def _told(project: Project, written, *inputs) -> Ran:
    told = PipelineData("told")
    return project.run(
        project.step("write", WRITES_TABLES, [written], outputs=[written]),
        project.step("tell", TELLS, [told], inputs=list(inputs), outputs=[told]),
    )


def _tables(ran: Ran):
    assert ran.status == "Completed", ran.outcome.errors
    return json.loads(ran.text("tell", "told"))


def test_pipeline_data_is_a_table_for_its_readers(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    table = data.parse_delimited_files().keep_columns(["b"])
    assert _tables(_told(project, data, table)) == {"data": {"b": ["x", "y", "z"]}}


def test_the_files_of_an_output_are_a_table_for_its_readers(project: Project) -> None:
    output = OutputFileDatasetConfig("out")
    types = {"a": DataType.to_string()}
    table = output.read_delimited_files(path_glob=r"\.csv$", set_column_types=types).drop_columns("b")
    assert _tables(_told(project, output, table.as_input("t"))) == {"t": {"a": ["1", "2", "3"]}}


def test_the_first_line_of_every_file_is_no_data_even_where_there_is_no_header(project: Project) -> None:
    """Azure ML's default, by which data sets of images lose one row for each file."""
    output = OutputFileDatasetConfig("out")
    table = output.read_delimited_files(path_glob=r"\.csv$")
    assert len(_tables(_told(project, table, table.as_input("t")))["t"]["a"]) == 3


def test_the_parts_of_a_split_are_all_rows_once(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    parts = data.parse_delimited_files().random_split(0.5, seed=3)
    told = _tables(_told(project, data, parts[0].as_named_input("one"), parts[1].as_named_input("two")))
    assert sorted(told["one"].get("a", []) + told["two"].get("a", [])) == [1, 2, 3]


def test_the_path_of_a_file_is_that_on_its_datastore(project: Project) -> None:
    output = OutputFileDatasetConfig("out")
    table = output.read_delimited_files(include_path=True, path_glob=r"y\.csv$")
    (path,) = _tables(_told(project, output, table.as_input("t")))["t"]["Path"]
    assert path.startswith("/dataset/")
    assert path.endswith("/out/y.csv")


def test_how_a_table_is_read_counts_for_its_reader_alone(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    assert _told(project, data, data.parse_delimited_files().keep_columns("a")).reused() == []
    assert _told(project, data, data.parse_delimited_files().keep_columns("a")).reused() == ["tell", "write"]
    other = _told(project, data, data.parse_delimited_files().keep_columns("b"))
    assert (other.reused(), _tables(other)) == (["write"], {"data": {"b": ["x", "y", "z"]}})


@pytest.mark.parametrize("way", ["as_mount", "as_download"])
def test_pipeline_data_is_a_folder_for_those_who_want_files(project: Project, way: str) -> None:
    data, told = PipelineData("data").as_dataset(), PipelineData("told")
    lists = """
        import os, sys
        from refrain import Run
        path = Run.get_context().input_datasets["data"]
        assert path == os.environ["data"] == os.environ["AZUREML_DATAREFERENCE_data"] == sys.argv[1]
        open(sys.argv[2], "w").write(" ".join(sorted(os.listdir(path))))
    """
    ran = project.run(
        project.step("write", WRITES_TABLES, [data], outputs=[data]),
        project.step("list", lists, [getattr(data, way)(), told], outputs=[told]),
    )
    assert ran.text("list", "told") == "notes.txt x.csv y.csv"


def test_pipeline_data_may_be_a_dataset_object_of_files(project: Project) -> None:
    data, told = PipelineData("data").as_dataset(), PipelineData("told")
    lists = """
        import sys
        from refrain import Run
        open(sys.argv[1], "w").write(" ".join(Run.get_context().input_datasets["data"].to_path()))
    """
    ran = project.run(
        project.step("write", WRITES_TABLES, [data], outputs=[data]),
        project.step("list", lists, [told], inputs=[data.as_direct()], outputs=[told]),
    )
    assert ran.text("list", "told") == "/notes.txt /x.csv /y.csv"


def test_the_columns_of_the_paths_of_an_output_are_known_to_its_reader(project: Project) -> None:
    output, told = OutputFileDatasetConfig("out", partition_format="/{year}/*"), PipelineData("told")
    writes = """
        import os, sys
        for year in ("2023", "2024"):
            os.makedirs(os.path.join(sys.argv[1], year))
            open(os.path.join(sys.argv[1], year, "data"), "w").write(year)
    """
    chooses = """
        import sys
        from refrain import Run
        files = Run.get_context().input_datasets["files"]
        chosen = files.filter(files["year"] == "2024")
        open(sys.argv[1], "w").write(f"{files.partition_keys} {chosen.to_path()}")
    """
    ran = project.run(
        project.step("write", writes, [output]),
        project.step("choose", chooses, [told], inputs=[output.as_input("files").as_direct()], outputs=[told]),
    )
    assert ran.text("choose", "told") == "['year'] ['/2024/data']"


def test_a_dataset_that_was_not_written_names_the_step_the_output_and_the_path(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    ran = project.run(project.step("forgets", "pass", [data], outputs=[data]))
    assert "Step 'forgets' ended well, but its output 'data' was not written to '" in ran.error("forgets")
    assert project.leftovers() == []


def test_a_table_of_an_empty_folder_names_the_step_the_output_and_the_path(project: Project) -> None:
    output = OutputFileDatasetConfig("out").read_parquet_files()
    ran = project.run(project.step("forgets", "pass", [output]))
    assert "Step 'forgets' ended well, but its output 'out' at '" in ran.error("forgets")
    assert "' is an empty directory" in ran.error("forgets")


def test_a_table_without_files_names_the_step_and_what_it_looked_for(project: Project) -> None:
    data = PipelineData("data").as_dataset()
    ran = _told(project, data, data.parse_parquet_files())
    assert "Step 'tell', input 'data': None of 3 files matches" in ran.error("tell")
    assert r"\\.parquet$" in ran.error("tell")
