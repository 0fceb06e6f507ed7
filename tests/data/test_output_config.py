"""OutputFileDatasetConfig: an output directory, and its copies."""

from pathlib import Path

import pytest

from refrain.data.output_config import (
    HDFSOutputDatasetConfig,
    LinkFileOutputDatasetConfig,
    LinkTabularOutputDatasetConfig,
    OutputFileDatasetConfig,
    OutputTabularDatasetConfig,
)
from refrain.data.ports import OutputKind, OutputMode, Registration
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.data.tabular.types import DataType
from refrain.errors import UserError


def test_the_destination_is_azures_default():
    assert OutputFileDatasetConfig("o").location() == ("workspaceblobstore", "dataset/{run-id}/{output-name}")


def test_a_destination_is_a_datastore_and_a_path(store):
    assert OutputFileDatasetConfig("o", (store, "/a/{run-id}/{x}")).location() == (
        "workspaceblobstore",
        "a/{run-id}/{x}",
    )
    for bare in (store, (store,), (store, None)):
        assert OutputFileDatasetConfig("o", bare).location() == ("workspaceblobstore", "dataset/{run-id}/{output-name}")


def test_methods_return_copies_of_one_output():
    original = OutputFileDatasetConfig("o")
    copies = [
        original.as_mount(),
        original.as_upload(True, ["*.csv"]),
        original.register_on_complete("d", "text", {"k": 1}),
    ]
    assert all(copy is not original and copy.origin is original.origin and copy.name == "o" for copy in copies)
    assert (original.mode, original.overwrite, original.source_globs, original.registration) == (
        OutputMode.MOUNT,
        False,
        (),
        None,
    )
    assert (copies[1].mode, copies[1].overwrite, copies[1].source_globs) == (OutputMode.UPLOAD, True, ("*.csv",))
    assert copies[2].registration == Registration("d", "text", (("k", "1"),))


def test_copies_keep_what_earlier_copies_said():
    copy = OutputFileDatasetConfig("o").register_on_complete("d").as_upload(source_globs=["*"]).as_mount()
    assert (copy.mode, copy.source_globs, copy.registration) == (OutputMode.MOUNT, ("*",), Registration("d"))


def test_one_pattern_alone_is_one_pattern():
    assert OutputFileDatasetConfig("o").as_upload(source_globs="*.csv").source_globs == ("*.csv",)


def test_an_output_without_a_name_has_none_until_a_step_gives_one():
    """A random name would be another one in each process that reads the DAG file."""
    output = OutputFileDatasetConfig()
    copy = output.as_upload()
    assert output.name is None
    output.origin.name = "output_1"
    assert (output.name, copy.name) == ("output_1", "output_1")


def test_it_can_be_consumed_under_a_name_or_none():
    output = OutputFileDatasetConfig("o")
    named = output.as_input("x")
    assert (named.name, named.mode, named.dataset) == ("x", "mount", output)
    assert output.as_input().name is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "1a"}, "'1a' is no valid name for an OutputFileDatasetConfig"),
        ({"destination": "somewhere"}, "OutputFileDatasetConfig 'o': destination needs a datastore, not 'somewhere'"),
        ({"destination": Path("somewhere")}, "OutputFileDatasetConfig 'o': destination needs a datastore"),
        ({"destination": ()}, r"destination \(\) is not understood; give \(datastore, 'path'\) or a datastore"),
        ({"destination": (1, 2)}, "is not understood"),
        ({"destination": (1, "a", "b")}, "is not understood"),
        ({"partition_format": "no keys"}, "partition_format 'no keys'"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(UserError, match=message):
        OutputFileDatasetConfig(**{"name": "o", **options})


@pytest.mark.parametrize("path", [".refrain-staging", "/.refrain-staging/mine", "./.refrain-staging/{run-id}"])
def test_where_steps_write_for_the_moment_nothing_can_stay(store, path):
    with pytest.raises(UserError, match=r"in '\.refrain-staging' steps write for the moment and nothing stays"):
        OutputFileDatasetConfig("o", (store, path))


def test_a_path_out_of_the_datastore_is_refused(store):
    with pytest.raises(UserError, match="leaves its datastore"):
        OutputFileDatasetConfig("o", (store, "../x"))


@pytest.mark.parametrize("name", ["", " ", None])
def test_a_registration_needs_a_name(name):
    with pytest.raises(UserError, match="OutputFileDatasetConfig 'o': register_on_complete needs a name"):
        OutputFileDatasetConfig("o").register_on_complete(name)


# ---- tables


def test_the_files_of_an_output_become_a_table_of_the_same_output():
    files = OutputFileDatasetConfig("o").register_on_complete("d")
    table = files.read_delimited_files(True, ";", PromoteHeadersBehavior.NO_HEADERS, path_glob=r"part.*\.csv")
    assert isinstance(table, OutputTabularDatasetConfig)
    assert (table.name, table.origin is files.origin, table.registration) == ("o", True, Registration("d"))
    source = table.plan.source
    assert (source.places, source.include_path, source.match) == ((), True, r"part.*\.csv")
    assert (source.format.separator, source.format.header) == (";", PromoteHeadersBehavior.NO_HEADERS)
    assert not source.format.support_multi_line


def test_a_table_of_parquet_files_has_its_types_and_partitions():
    types = {"n": DataType.to_long()}
    table = OutputFileDatasetConfig("o").read_parquet_files(partition_format="{year}/*.parquet", set_column_types=types)
    assert table.plan.source.types == (("n", DataType.to_long()),)
    assert table.plan.source.partition.keys == ("year",)


def test_a_table_keeps_drops_and_splits_in_copies():
    table = OutputFileDatasetConfig("o").read_parquet_files()
    chosen = table.keep_columns(["a", "b"]).drop_columns("b")
    assert [operation["operation"] for operation in chosen.plan.to_json()["operations"]] == [
        "keep_columns",
        "drop_columns",
    ]
    assert table.plan.operations == ()
    first, second = table.random_split(0.25, seed=7)
    assert (first.name, second.name, first.origin is second.origin is table.origin) == ("o_1", "o_2", True)
    (low,), (high,) = first.plan.operations, second.plan.operations
    assert (low.low, low.high, high.low, high.high, low.seed == high.seed) == (0.0, 0.25, 0.25, 1.0, True)


def test_a_split_of_an_output_without_a_name_has_none():
    assert [part.name for part in OutputFileDatasetConfig().read_parquet_files().random_split(0.5)] == [None, None]


def test_a_table_is_an_object_in_the_script_and_files_are_a_folder():
    files = OutputFileDatasetConfig("o")
    assert (files.as_input("x").mode, files.read_parquet_files().as_input("x").mode) == ("mount", "direct")


def test_a_table_may_be_mounted_or_uploaded_where_it_is_written():
    table = OutputFileDatasetConfig("o").read_parquet_files()
    upload = table.as_upload(True, "*.parquet")
    assert (upload.mode, upload.overwrite, upload.source_globs) == (OutputMode.UPLOAD, True, ("*.parquet",))
    assert upload.as_mount().mode is OutputMode.MOUNT


def test_a_table_is_made_of_files():
    with pytest.raises(UserError, match=r"made of files: OutputFileDatasetConfig\(…\).read_delimited_files\(\)"):
        OutputTabularDatasetConfig(name="o")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path_glob": "["}, r"OutputFileDatasetConfig 'o': read_delimited_files: '\[' is no regular expression"),
        ({"separator": ",,"}, "separator ',,' is no single character"),
        ({"header": "first"}, "header 'first' is not True, False or a PromoteHeadersBehavior"),
        ({"set_column_types": {"a": int}}, "read_delimited_files: set_column_types has 'a'"),
    ],
)
def test_a_wrong_way_to_read_is_named(options, message):
    with pytest.raises(UserError, match=message):
        OutputFileDatasetConfig("o").read_delimited_files(**options)


# ---- the others


def test_links_and_spark_outputs_say_what_they_are(store):
    kinds = LinkFileOutputDatasetConfig("l").kind, LinkTabularOutputDatasetConfig("l").kind
    assert kinds == (OutputKind.FILE_LINK, OutputKind.TABULAR_LINK)
    assert [kind.linked for kind in (*kinds, OutputKind.ANY)] == ["file", "tabular", ""]
    assert LinkFileOutputDatasetConfig("l").as_input("x").mode == "mount"
    assert LinkTabularOutputDatasetConfig("l").as_input("x").mode == "direct"
    spark = HDFSOutputDatasetConfig("s", (store, "a"))
    assert (spark.mode, spark.location()) == (OutputMode.HDFS, ("workspaceblobstore", "a"))
    assert spark.read_parquet_files().mode is OutputMode.HDFS


def test_a_name_can_be_set_later():
    output = OutputFileDatasetConfig()
    output.name = "o"
    assert output.name == "o"
    with pytest.raises(UserError, match="'1a' is no valid name for an OutputFileDatasetConfig"):
        output.name = "1a"
