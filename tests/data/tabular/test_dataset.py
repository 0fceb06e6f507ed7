"""Operations on rows and columns, against pandas, and the definition that they make up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain import Dataset
from refrain.data.definition import dataset_from
from refrain.data.recipe import placed
from refrain.data.tabular.dataset import TabularDataset
from refrain.errors import DataError, DataNotFoundError, UserError

Write = Callable[[str, str], Path]
SIZE = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files with a number, a share that is sometimes empty, and a letter."""
    made = tmp_path_factory.mktemp("letters")
    for number in range(3):
        rows = range(number * SIZE // 3, (number + 1) * SIZE // 3)
        lines = [f"{row},{'' if row % 7 == 0 else row / 10},{'abc'[row % 3]}" for row in rows]
        (made / f"{number}.csv").write_text("\n".join(["n,x,s", *lines]) + "\n")
    return made


@pytest.fixture(scope="module")
def dataset(folder: Path) -> TabularDataset:
    return Dataset.Tabular.from_delimited_files(str(folder))


def model() -> pd.DataFrame:
    rows = range(SIZE)
    return pd.DataFrame(
        {"n": rows, "x": [None if row % 7 == 0 else row / 10 for row in rows], "s": ["abc"[row % 3] for row in rows]}
    )


def frames_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    left, right = ours.reset_index(drop=True), theirs.reset_index(drop=True)
    return bool(left.astype(object).where(left.notna(), None).equals(right.astype(object).where(right.notna(), None)))


Step = tuple[Callable[[TabularDataset], TabularDataset], Callable[[pd.DataFrame], pd.DataFrame]]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.integers(0, SIZE + 5).map(lambda n: (lambda d: d.take(n), lambda f: f.head(n))),
    st.integers(0, SIZE + 5).map(lambda n: (lambda d: d.skip(n), lambda f: f.iloc[n:])),
    st.integers(-1, SIZE).map(lambda n: (lambda d: d.filter(d["n"] > n), lambda f: f[f["n"] > n])),
    st.integers(0, 6).map(lambda n: (lambda d: d.filter(d["x"] <= n), lambda f: f[f["x"] <= n])),
    st.integers(0, 6).map(
        lambda n: (lambda d: d.filter(~(d["x"] <= n)), lambda f: f[~(f["x"] <= n) & f["x"].notna()])  # SQL's rule
    ),
    st.sampled_from("abcd").map(
        lambda c: (lambda d: d.filter((d["s"] == c) | d["x"].is_null()), lambda f: f[(f["s"] == c) | f["x"].isna()])
    ),
    st.sampled_from("abc").map(
        lambda c: (
            lambda d: d.filter((d["s"] != c) & d["n"].is_in([1, 2, 3, 30])),
            lambda f: f[(f["s"] != c) & f["n"].isin([1, 2, 3, 30])],
        )
    ),
    st.permutations(["n", "x", "s"]).map(lambda names: (lambda d: d.keep_columns(names), lambda f: f[list(names)])),
)  # fmt: skip
LAST: st.SearchStrategy[Step] = st.sampled_from(
    [
        (lambda d: d, lambda f: f),
        (lambda d: d.drop_columns(["x"]), lambda f: f.drop(columns=["x"])),
        (lambda d: d.keep_columns("s"), lambda f: f[["s"]]),
        (lambda d: d.drop_columns("s").keep_columns(["x", "n"]), lambda f: f[["x", "n"]]),
    ]
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=5), last=LAST)
def test_operations_do_what_pandas_does(dataset: TabularDataset, steps: list[Step], last: Step) -> None:
    ours, theirs = dataset, model()
    for on_ours, on_theirs in [*steps, last]:
        ours, theirs = on_ours(ours), on_theirs(theirs)
    again = TabularDataset.from_json(json.loads(ours.identity))
    assert frames_equal(again.to_pandas_dataframe(), theirs)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(), before=STEPS, share2=st.floats(0, 1))
def test_a_split_is_disjoint_complete_and_the_same_again(
    dataset: TabularDataset, share: float, seed: int, before: Step, share2: float
) -> None:
    whole = before[0](dataset)
    first, second = whole.random_split(share, seed=seed)
    third, fourth = second.random_split(share2, seed=seed)

    def numbers(part: TabularDataset) -> list[int]:
        return part.to_arrow()["n"].to_pylist()

    assert sorted(numbers(first) + numbers(second)) == sorted(numbers(whole))
    assert sorted(numbers(third) + numbers(fourth)) == sorted(numbers(second))
    assert numbers(whole.random_split(share, seed=seed)[0]) == numbers(first)
    assert numbers(whole.take_sample(share, seed=seed)) == numbers(first)


def test_a_split_takes_its_share(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n" + "".join(f"{row}\n" for row in range(20_000)))
    first, second = Dataset.Tabular.from_delimited_files(str(tmp_path)).random_split(0.3, seed=7)
    third, _ = second.random_split(0.5, seed=7)
    assert first.to_arrow().num_rows == pytest.approx(6_000, rel=0.05)
    assert third.to_arrow().num_rows == pytest.approx(7_000, rel=0.05)


def test_which_rows_a_seed_draws_never_changes(dataset: TabularDataset) -> None:
    """A change here makes every seeded split different from the one that models were trained on."""
    drawn = dataset.take_sample(0.2, seed=42).to_arrow()["n"].to_pylist()
    assert drawn == GOLDEN_DRAW


GOLDEN_DRAW = [6, 7, 8, 11, 17, 20, 23, 37, 53, 59]


def test_without_a_seed_one_is_drawn_into_the_definition(dataset: TabularDataset) -> None:
    first, second = dataset.random_split(0.5)
    assert first.identity != dataset.random_split(0.5)[0].identity
    assert first.to_arrow().num_rows + second.to_arrow().num_rows == SIZE


def test_the_definition_is_stable(dataset: TabularDataset) -> None:
    """A change here loses every result that was stored under the old definition."""
    made = Dataset.Tabular.from_parquet_files(
        "s3://bucket/x/*.parquet", validate=False, partition_format="/{k}/*.parquet"
    )
    made = made.filter((made["a"] > 1) & ~(made["t"] == datetime(2020, 1, 1))).keep_columns(["a"]).take(5)
    assert json.loads(made.identity) == {
        "schema": 1,
        "kind": "tabular",
        "source": {
            "format": "parquet", "options": {}, "places": [["", "s3://bucket/x/*.parquet"]], "types": [],
            "include_path": False, "partition_format": "/{k}/*.parquet", "match": "",
        },
        "operations": [
            {"operation": "filter", "condition": [
                "and", [">", ["column", "a"], ["literal", 1]],
                ["not", ["==", ["column", "t"], ["literal", {"datetime": "2020-01-01T00:00:00"}]]]]},
            {"operation": "keep_columns", "columns": ["a"]},
            {"operation": "rows", "skip": 0, "take": 5},
        ],
        "timestamps": [None, None],
    }  # fmt: skip


def test_a_definition_of_a_newer_kind_is_refused() -> None:
    with pytest.raises(DataError, match="no tabular dataset of schema 1: 'tabular', 2"):
        TabularDataset.from_json({"kind": "tabular", "schema": 2})


def test_a_dataset_can_be_read_elsewhere_and_by_a_pattern(dataset: TabularDataset, folder: Path) -> None:
    source = replace(dataset.source, match=r"[12]\.csv$")
    made = TabularDataset(source, dataset.operations).take(25)
    assert [batch.file.name for batch in made.batches(10**6)] == ["/1.csv", "/2.csv"]
    again = dataset_from(placed(made.recipe, [("", str(folder / "2.csv"))]))
    assert again.to_arrow()["n"].to_pylist()[0] == 2 * SIZE // 3
    with pytest.raises(DataNotFoundError, match=r"None of 3 files matches 'x', the first is .*0\.csv'"):
        TabularDataset(replace(source, match="x")).to_arrow()


def test_the_recipe_leaves_out_where_files_lie(dataset: TabularDataset) -> None:
    elsewhere = dataset_from(placed(dataset.recipe, [("", "/elsewhere")]))
    assert elsewhere.recipe == dataset.recipe
    assert elsewhere.identity != dataset.identity
    assert dataset.take(1).recipe != dataset.recipe


def test_datasets_never_change(dataset: TabularDataset) -> None:
    before = dataset.identity
    dataset.take(1).skip(2).filter(dataset["n"] > 1)
    assert dataset.identity == before


def test_take_reads_no_more_than_it_needs(write: Write, tmp_path: Path) -> None:
    write("in/1.csv", "a,b\n1,2\n3,4\n")
    write("in/2.csv", "a,b\n1\n")
    assert Dataset.Tabular.from_delimited_files(str(tmp_path / "in")).take(2).to_arrow().num_rows == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.keep_columns(["n", "m"]),
        lambda d: d.drop_columns("m"),
        lambda d: d.filter(d["m"] > 1),
        lambda d: d.keep_columns("n").filter(d["m"] > 1),
        lambda d: d.drop_columns("s").drop_columns("s"),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(dataset: TabularDataset, make: Any) -> None:
    with pytest.raises(DataError, match=r"The dataset has no column '[ms]'\. Columns: .*n"):
        make(dataset).to_arrow()


def test_keep_columns_can_look_at_once(dataset: TabularDataset) -> None:
    with pytest.raises(DataError, match="no column 'm'"):
        dataset.keep_columns("m", validate=True)


def test_unlike_things_are_not_compared(dataset: TabularDataset) -> None:
    with pytest.raises(DataError, match=r"dataset\['s'\] > 3\) cannot be evaluated: 's' is string"):
        dataset.filter(dataset["s"] > 3).to_arrow()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.take(-1), r"take\(-1\): give a whole number from 0"),
        (lambda d: d.take_sample(1.5), "probability 1.5 is not between 0 and 1"),
        (lambda d: d.random_split(True), "percentage True is not between 0 and 1"),
        (lambda d: d.take_sample(0.5, seed="x"), "seed 'x' is no integer"),
        (lambda d: d.keep_columns([]), "names no columns"),
        (lambda d: d.keep_columns(["n", "n"]), "names a column twice"),
        (lambda d: d.filter("n > 3"), "'n > 3' is no condition"),
        (lambda d: d["n"] == None, "is_null"),  # noqa: E711
        (lambda d: d["n"] > [1], "cannot compare with"),
        (lambda d: 1 < d["n"] < 3, "join conditions with & | ~"),
        (lambda d: d[["n"]], "give the name of a column"),
        (lambda d: d.to_pandas_dataframe(on_error="drop"), "on_error 'drop' is not one of"),
    ],
)
def test_wrong_arguments_are_named(dataset: TabularDataset, call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(dataset)


def test_dates_are_compared_with_dates(write: Write) -> None:
    dataset = Dataset.Tabular.from_delimited_files(write("a.csv", "t\n2020-01-01\n2020-01-02 10:00:00\n"))
    assert dataset.filter(dataset["t"] > date(2020, 1, 1)).to_arrow().num_rows == 1
    assert dataset.filter(dataset["t"] == datetime(2020, 1, 2, 10)).to_arrow().num_rows == 1


def test_texts_are_compared_by_their_beginning(dataset: TabularDataset) -> None:
    assert dataset.filter(dataset["s"].starts_with("a")).to_arrow().num_rows == SIZE // 3


def test_frames_have_nanosecond_dates_and_empty_ones_outside_of_them(write: Write) -> None:
    dataset = Dataset.Tabular.from_delimited_files(write("a.csv", "t\n2020-01-01\n1500-01-01\n9999-12-31\n"))
    frame = dataset.to_pandas_dataframe()
    assert str(frame["t"].dtype) == "datetime64[ns]"
    assert frame["t"].isna().tolist() == [False, True, True]
    with pytest.raises(DataError, match="Column 't' holds 1500-01-01, which pandas' nanoseconds cannot hold"):
        dataset.to_pandas_dataframe(out_of_range_datetime="fail")


def test_batches_never_cross_files_and_a_small_file_is_one(dataset: TabularDataset, folder: Path) -> None:
    size = (folder / "1.csv").stat().st_size
    batches = list(dataset.batches(max_bytes=size))
    assert [batch.file.name for batch in batches] == ["/0.csv", "/1.csv", "/2.csv"]
    halves = list(dataset.batches(max_bytes=size // 2))
    assert [batch.file.name[1] for batch in halves] == sorted("001122" + "2" * (len(halves) - 6))
    assert sum(batch.table.num_rows for batch in halves) == SIZE


def test_batches_skip_files_without_rows(dataset: TabularDataset) -> None:
    assert [batch.file.name for batch in dataset.filter(dataset["n"] > 50).batches(10**6)] == ["/2.csv"]


def test_a_table_is_the_direct_input_of_a_step(dataset: TabularDataset) -> None:
    assert dataset.as_named_input("letters").mode == "direct"


def test_making_a_dataset_loads_nothing_heavy() -> None:
    program = (
        "import sys; from refrain import Dataset\n"
        "d = Dataset.Tabular.from_delimited_files('s3://b/x.csv', validate=False)\n"
        "d.filter(d['a'] > 3).take(5).identity\n"
        "print(sorted({'pandas', 'pyarrow', 'numpy', 'fsspec', 's3fs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
