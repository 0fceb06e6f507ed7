"""Every option of from_delimited_files, by what comes out."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from refrain import Dataset
from refrain.data.tabular.inference import _warn
from refrain.data.tabular.promotion import PromoteHeadersBehavior
from refrain.data.tabular.types import DataType
from refrain.errors import DataError, DataNotFoundError, UserError

Write = Callable[[str, str], Path]
read = Dataset.Tabular.from_delimited_files


def rows(*args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in read(*args, **kwargs).to_arrow().to_pylist()]


def test_types_are_inferred_once_for_all_files(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "n,x,t,b,s\n1,1,2020-01-31,true,a\n")
    write("in/2.csv", "n,x,t,b,s\n2,0.5,2020-02-01 10:30:00,FALSE,1\n")
    assert rows(str(tmp_path / "in")) == [
        (1, 1.0, datetime(2020, 1, 31), True, "a"),
        (2, 0.5, datetime(2020, 2, 1, 10, 30), False, "1"),
    ]


def test_without_inference_every_column_is_text(write: Write) -> None:
    assert rows(write("a.csv", "n,b\n1,true\n"), infer_column_types=False) == [("1", "true")]


def test_set_column_types_overrides_inference(write: Write) -> None:
    path = write("a.csv", 'zip,price,day\n01234,"1,5",31.12.2020\n')
    types = {
        "zip": DataType.to_string(),
        "price": DataType.to_float(decimal_mark=","),
        "day": DataType.to_datetime("%d.%m.%Y"),
    }
    assert rows(path, set_column_types=types) == [("01234", 1.5, datetime(2020, 12, 31))]


def test_several_date_formats_are_tried_in_order(write: Write) -> None:
    path = write("a.csv", "day\n2020-12-31\n31 Dec 2020\n")
    kind = DataType.to_datetime(["%Y-%m-%d", "%d %b %Y"])
    assert rows(path, set_column_types={"day": kind}) == [(datetime(2020, 12, 31),)] * 2


def test_a_separator_is_any_single_character(write: Write) -> None:
    assert rows(write("a.tsv", "a\tb\n1\tx,y\n"), separator="\t") == [(1, "x,y")]


def test_without_header_the_columns_are_numbered(write: Write) -> None:
    dataset = read(write("a.csv", "1,x\n2,y\n"), header=False)
    assert dataset.to_arrow().to_pylist() == [{"Column1": 1, "Column2": "x"}, {"Column1": 2, "Column2": "y"}]


def test_the_default_header_takes_the_first_line_of_every_file_even_where_it_is_data(
    write: Write, tmp_path: Path
) -> None:
    write("in/1.csv", "7,0,0\n1,2,3\n4,5,6\n")
    write("in/2.csv", "9,0,0\n7,8,9\n")
    dataset = read(str(tmp_path / "in"))
    assert dataset.schema.names == ["7", "0", "0_1"]
    assert [tuple(row.values()) for row in dataset.to_arrow().to_pylist()] == [(1, 2, 3), (4, 5, 6), (7, 8, 9)]


def test_the_first_files_header_decides_and_later_files_are_matched_by_name(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("in/1.csv", "a,b\n1,2\n")
    write("in/2.csv", "b,a\n4,3\n")
    write("in/3.csv", "c,a,b\n0,5,6\n")
    write("in/4.csv", "b\n8\n")
    assert rows(str(tmp_path / "in")) == [(1, 2), (3, 4), (5, 6), (None, 8)]
    assert "3.csv' has columns that the first file has not: c." in caplog.text


def test_combined_headers_are_a_union_by_name(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "a,b\n1,2\n")
    write("in/2.csv", "b,c\n3,4\n")
    found = rows(str(tmp_path / "in"), header=PromoteHeadersBehavior.COMBINE_ALL_FILES_HEADERS)
    assert found == [(1, 2, None), (None, 3, 4)]


def test_only_the_first_file_may_have_a_header(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "a,b\n1,2\n")
    write("in/2.csv", "3,4\n")
    found = rows(str(tmp_path / "in"), header=PromoteHeadersBehavior.ONLY_FIRST_FILE_HAS_HEADERS)
    assert found == [(1, 2), (3, 4)]


def test_the_path_is_the_first_column_on_request(write: Write) -> None:
    path = write("a.csv", "n\n1\n")
    assert read(path, include_path=True).to_arrow().to_pylist() == [{"Path": str(path), "n": 1}]


def test_the_path_alone_can_be_kept(write: Write) -> None:
    path = write("a.csv", "n\n1\n2\n")
    assert read(path, include_path=True).keep_columns("Path").to_arrow().to_pylist() == [{"Path": str(path)}] * 2


def test_partition_columns_come_last(write: Write, tmp_path: Path) -> None:
    write("in/it/2020/05/x.csv", "n\n1\n")
    write("in/de/2021/06/x.csv", "n\n2\n")
    found = rows(str(tmp_path / "in"), partition_format="/{country}/{month:yyyy/MM}/x.csv")
    assert found == [(2, "de", datetime(2021, 6, 1)), (1, "it", datetime(2020, 5, 1))]


def test_quoted_line_breaks_are_read_on_request(write: Write) -> None:
    path = write("a.csv", 'a,b\n1,"x\ny"\n2,z\n')
    assert rows(path, support_multi_line=True) == [(1, "x\ny"), (2, "z")]


def test_quoted_line_breaks_are_an_error_otherwise(write: Write) -> None:
    path = write("a.csv", 'a,b\n1,x\n2,"x\ny"\n')
    with pytest.raises(
        DataError, match=r"a\.csv', row 3, column 'b': a quoted value holds a line break.*support_multi_line"
    ):
        rows(path)


def test_empty_fields_are_null_or_empty_texts(write: Write) -> None:
    path = write("a.csv", "s,n\n,1\nx,\n")
    assert rows(path) == [(None, 1), ("x", None)]
    assert rows(path, empty_as_string=True) == [("", 1), ("x", None)]


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("iso88591", "latin-1"), ("latin1", "latin-1"), ("windows1252", "cp1252"), ("utf16", "utf-16"),
     ("utf32", "utf-32"), ("utf8bom", "utf-8-sig"), ("utf8", "utf-8-sig"), ("utf8", "utf-8")],
)  # fmt: skip
def test_encodings(tmp_path: Path, encoding: str, codec: str) -> None:
    (tmp_path / "a.csv").write_bytes("ä,b\né,1\n".encode(codec))
    assert read(str(tmp_path / "a.csv"), encoding=encoding).to_arrow().to_pylist() == [{"ä": "é", "b": 1}]


def test_compressed_files_are_read_by_their_ending(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"n\n1\n"))
    assert rows(str(tmp_path / "a.csv.gz")) == [(1,)]


def test_files_of_any_ending_are_read(write: Write) -> None:
    assert rows(write("a.parquet", "n\n1\n")) == [(1,)]


def test_empty_files_have_no_rows(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "")
    write("in/2.csv", "n\n1\n")
    write("in/3.csv", "n\n")
    write("in/_SUCCESS", "not data")
    assert rows(str(tmp_path / "in")) == [(1,)]


def test_repeated_and_missing_names_are_made_up(write: Write) -> None:
    assert read(write("a.csv", "a,a,,a\n1,2,3,4\n")).schema.names == ["a", "a_1", "Column3", "a_2"]


def test_ambiguous_dates_are_month_first_with_a_warning(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    _warn.cache_clear()
    path = write("a.csv", "day\n03/04/2020\n12/05/2020\n")
    assert rows(path) == [(datetime(2020, 3, 4),), (datetime(2020, 12, 5),)]
    assert "taken as month first" in caplog.text
    assert "set_column_types={'day': DataType.to_datetime('%d/%m/%Y')}" in caplog.text


def test_one_day_above_12_settles_the_order_of_dates(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert rows(write("a.csv", "day\n03/04/2020\n13/05/2020\n")) == [(datetime(2020, 4, 3),), (datetime(2020, 5, 13),)]
    assert caplog.text == ""


def test_a_value_that_does_not_fit_becomes_null_with_one_warning(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("a.csv", "n\n" + "1\n" * 5000 + "x\ny\n")
    assert rows(path)[-3:] == [(1,), (None,), (None,)]
    assert "2 values of column 'n' do not fit its type" in caplog.text
    assert "row 5002, column 'n': 'x' is no long" in caplog.text


def test_a_value_that_does_not_fit_fails_on_request(write: Write) -> None:
    dataset = read(write("a.csv", "n\n" + "1\n" * 5000 + "x\n"))
    with pytest.raises(
        DataError,
        match=r"a\.csv', row 5002, column 'n': 'x' is no long.*DataType\.to_string\(\)",
    ):
        dataset.to_pandas_dataframe(on_error="fail")


@pytest.mark.parametrize("text", ["a,b\n1,2\n3\n", "a,b\n1,2\n3,4,5\n"])
def test_a_ragged_row_is_named(write: Write, text: str) -> None:
    with pytest.raises(DataError, match=r"a\.csv', row 3: [13] values, but the header has 2\. Complete the row"):
        rows(write("a.csv", text))


def test_an_open_quote_is_named(write: Write) -> None:
    with pytest.raises(DataError, match=r"a\.csv'.*row"):
        rows(write("a.csv", 'a,b\n1,2\n3,"x\n4,5\n'))


def test_a_wrong_encoding_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a,b\n1,x\n2,é\n".encode("latin-1"))
    with pytest.raises(
        DataError, match=r"a\.csv', row 3, column 2: the byte 0xe9 is not utf-8\. Pass the file's encoding"
    ):
        rows(str(tmp_path / "a.csv"))


def test_utf16_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,x\n2,abc\n")
    with pytest.raises(DataError, match=r"a\.csv' is not utf-16: .*BOM.*Pass its encoding"):
        rows(str(tmp_path / "a.csv"), encoding="utf16")


def test_a_file_of_another_width_is_named(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "a,b\n1,2\n")
    write("in/2.csv", "x,y,z\n1,2,3\n")
    with pytest.raises(DataError, match=r"2\.csv', row 1 has 3 values, but the dataset has 2 columns: a, b\."):
        rows(str(tmp_path / "in"))


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"\*\.csv' matches no file\. Correct the path"):
        read(str(tmp_path / "*.csv"))
    read(str(tmp_path / "*.csv"), validate=False)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"none\.csv' does not exist"):
        read(str(tmp_path / "none.csv"))


def test_a_type_for_a_missing_column_is_an_error(write: Write) -> None:
    path = write("a.csv", "price\n1\n")
    with pytest.raises(DataError, match=r"no column 'prise'.*Did you mean 'price'\?"):
        read(path, set_column_types={"prise": DataType.to_float()})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ",,"}, "separator ',,' is no single character"),
        ({"encoding": "klingon"}, "Unknown encoding 'klingon'. Known: .*windows1252"),
        ({"header": "yes"}, "header 'yes' is not True, False"),
        ({"set_column_types": {"a": int}}, "set_column_types has 'a'.*DataType.to_long"),
        ({"partition_format": "/x/y"}, "names no column"),
        ({"partition_format": "/{d:MM}/x"}, "has no year"),
    ],
)
def test_wrong_arguments_fail_before_any_file_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read("/nowhere/*.csv", validate=False, **options)


def test_a_large_file_streams_in_pieces_of_one_type(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,s\n" + "".join(f'{number},"text, {number}"\n' for number in range(400_000)))
    batches = [batch.table for batch in read(str(path)).batches()]
    assert len(batches) > 1
    assert sum(table.num_rows for table in batches) == 400_000
    assert batches[-1].to_pylist()[-1] == {"n": 399_999, "s": "text, 399999"}
