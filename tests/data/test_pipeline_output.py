"""Pipeline data as a dataset of files or a table."""

import pytest

from refrain.data.pipeline_data import PipelineData
from refrain.data.pipeline_output import PipelineOutputFileDataset, PipelineOutputTabularDataset
from refrain.data.ports import Registration
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.errors import UserError


def test_a_dataset_is_called_like_the_output():
    files = PipelineData("d", output_name="o").as_dataset()
    assert (files.name, files.input_name, files.input_mode) == ("o", "o", "mount")
    assert files.parse_parquet_files().input_name == "o"


def test_methods_give_copies_of_one_output():
    files = PipelineData("d").as_dataset()
    copies = [
        files.as_mount("here"),
        files.as_download("there"),
        files.as_direct(),
        files.as_named_input("n"),
        files.register("name"),
        files.parse_parquet_files(),
        files.create_input_binding(),
    ]
    assert {copy.origin for copy in copies} == {files.origin}
    assert [copy.input_mode for copy in copies[:3]] == ["mount", "download", "direct"]
    assert [copy.path_on_compute for copy in copies[:3]] == ["here", "there", None]
    assert (copies[3].input_name, copies[3].name) == ("n", "d")
    assert copies[4].registration == Registration("name")
    assert files.registration is None


def test_what_was_said_before_is_kept():
    table = PipelineData("d").as_dataset().register("name", create_new_version=False).as_named_input("n")
    table = table.parse_delimited_files().keep_columns("a").register("other")
    assert (table.input_name, table.input_mode) == ("n", "direct")
    assert table.registration == Registration("other")
    assert table.drop_columns("b").registration == Registration("other")


@pytest.mark.parametrize(
    ("separator", "extension", "match"),
    [(",", "", r"\.csv$"), ("\t", "", r"\.tsv$"), ("|", "", ""), (",", None, ""), (",", ".txt", r"\.txt$")],
)
def test_the_files_of_a_table_go_by_their_ending(separator, extension, match):
    table = PipelineData("d").as_dataset().parse_delimited_files(separator=separator, file_extension=extension)
    assert table.plan.source.match == match


def test_parquet_files_end_in_parquet():
    assert PipelineData("d").as_dataset().parse_parquet_files().plan.source.match == r"\.parquet$"
    assert not PipelineData("d").as_dataset().parse_parquet_files(file_extension=None).plan.source.match


def test_a_table_is_read_as_asked():
    table = (
        PipelineData("d")
        .as_dataset()
        .parse_delimited_files(
            include_path=True,
            header=PromoteHeadersBehavior.NO_HEADERS,
            quoted_line_breaks=True,
            partition_format="{y}/*",
        )
    )
    source = table.plan.source
    assert (source.include_path, source.format.support_multi_line, source.partition.keys) == (True, True, ("y",))
    assert source.format.header is PromoteHeadersBehavior.NO_HEADERS


def test_a_split_is_two_copies_without_overlap():
    first, second = PipelineData("d").as_dataset().parse_parquet_files().random_split(0.7, seed=1)
    (low,), (high,) = first.plan.operations, second.plan.operations
    assert (low.low, low.high, high.low, high.high) == (0.0, 0.7, 0.7, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PipelineData("1d").as_dataset(), "'1d' is no valid name for a dataset of pipeline data"),
        (lambda: PipelineData("d").as_dataset().as_named_input("a b"), "'a b' is no valid name for a dataset input"),
        (lambda: PipelineData("d").as_dataset().register(" "), "PipelineData 'd': register needs a name, not ' '"),
        (lambda: PipelineOutputFileDataset("d"), "'d' is no PipelineData"),
        (lambda: PipelineOutputTabularDataset(PipelineData("d")), r"made of files: data.as_dataset\(\).parse_delim"),
        (
            lambda: PipelineData("d").as_dataset().parse_delimited_files(file_extension=5),
            "PipelineData 'd': parse_delimited_files: file_extension 5 is no text",
        ),
        (
            lambda: PipelineData("d").as_dataset().parse_parquet_files(set_column_types=["a"]),
            "PipelineData 'd': parse_parquet_files: set_column_types is no dictionary",
        ),
    ],
)
def test_a_wrong_argument_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()
