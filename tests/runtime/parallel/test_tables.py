"""Mini-batches of tables, and by partition keys: cut, handed over, retried and gone on with by real processes."""

from __future__ import annotations

import gc
import json
import os
import re
import textwrap
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from fakes.parallel_bench import ParallelBench, Scored
from fakes.processes import processes_below
from fakes.waiting import eventually
from refrain import Dataset
from refrain.data import brought
from refrain.data.pieces import Pieces
from refrain.runtime.parallel.journal import Journal
from refrain.runtime.parallel.logs import Logs
from refrain.runtime.parallel.mini_batch import MiniBatch
from refrain.runtime.parallel.tables import TableSource

ROWS = """
    import os
    def run(mini_batch):
        with open("calls", "a") as file:
            file.write(f"{len(mini_batch)}\\n")
        return mini_batch
"""


def described(bench: ParallelBench, dataset: object, name: str = "table.json") -> Path:
    """Describe a dataset as the engine does for the process of a step."""
    files = dataset.source_files()
    path = bench.folder / name
    path.write_text(brought.describe(dataset, files, {file.path: Path(file.path) for file in files}))
    return path


def run(bench: ParallelBench, code: str, description: Path, *words: object, **settings: object) -> Scored:
    usual = {"input_fds_0": None, "input_ds_0": description, "mini_batch_size": "1KB", "process_count_per_node": 2}
    return bench.run(code, *words, **{**usual, **settings})


def calls(bench: ParallelBench) -> list[int]:
    return [int(line) for line in (bench.folder / "calls").read_text().split()]


def sales(rows: int, start: int = 0) -> pd.DataFrame:
    numbers = range(start, start + rows)
    stores, sold = [f"store {n % 3}" for n in numbers], [n * 0.5 for n in numbers]
    return pd.DataFrame({"id": numbers, "store": stores, "sold": sold})


@pytest.fixture
def csv_files(bench: ParallelBench) -> Path:
    for number, rows in enumerate((200, 3, 100)):
        sales(rows, number * 1000).to_csv(bench.data / f"{number}.csv", index=False)
    return described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "*.csv")))


@pytest.fixture
def partitioned(bench: ParallelBench) -> str:
    for country in ("de", "fr"):
        for year in (2023, 2024):
            for part in range(2):
                path = bench.data / country / str(year) / f"{part}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                sales(5, year * 10 + part).to_csv(path, index=False)
    return str(bench.data / "*/*/*.csv")


def test_no_row_of_a_table_is_lost_or_doubled_and_none_is_a_header(bench: ParallelBench, csv_files: Path) -> None:
    scored = run(bench, ROWS, csv_files)
    expected = pd.concat([sales(200), sales(3, 1000), sales(100, 2000)])
    assert scored.rows == expected.to_csv(sep=" ", header=False, index=False).splitlines()
    assert scored.counts.items == 303


def test_nobody_is_waited_for_where_an_earlier_try_has_done_everything(bench: ParallelBench, csv_files: Path) -> None:
    first = run(bench, ROWS, csv_files)
    code = "import time\ndef init():\n    time.sleep(1000)\n" + textwrap.dedent(ROWS)
    again = run(bench, code, csv_files)
    assert (again.code, again.rows, again.is_kept) == (0, first.rows, first.counts.done), again.log


def test_a_mini_batch_stands_for_about_so_many_bytes_and_never_for_two_files(
    bench: ParallelBench, csv_files: Path
) -> None:
    run(bench, ROWS, csv_files)
    sizes = sorted(calls(bench))
    assert sizes[0] == 3  # the small file, alone
    assert sum(sizes) == 303
    assert max(sizes) < 100  # of about 15 bytes each


def test_a_table_that_fits_into_one_mini_batch_is_one(bench: ParallelBench, csv_files: Path) -> None:
    run(bench, ROWS, csv_files, mini_batch_size="1MB")
    assert sorted(calls(bench)) == [3, 100, 200]


def test_parquet_is_cut_too(bench: ParallelBench) -> None:
    sales(5000).to_parquet(bench.data / "sales.parquet", row_group_size=1000)
    path = described(bench, Dataset.Tabular.from_parquet_files(str(bench.data / "*.parquet")))
    scored = run(bench, ROWS, path, mini_batch_size="10KB")
    assert scored.rows == sales(5000).to_csv(sep=" ", header=False, index=False).splitlines()
    assert len(calls(bench)) > 3


def test_each_mini_batch_has_the_types_of_the_whole_table(bench: ParallelBench) -> None:
    pd.DataFrame({"a": [1, 2], "day": ["2024-01-01", "2024-01-02"]}).to_csv(bench.data / "0.csv", index=False)
    path = described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "*.csv")))
    scored = run(bench, "def run(mini_batch):\n    return [list(map(str, mini_batch.dtypes))] * 2", path)
    assert scored.rows == ["['int64', 'datetime64[ns]']"] * 2


def test_the_frame_may_be_changed_in_place(bench: ParallelBench, csv_files: Path) -> None:
    code = "def run(mini_batch):\n    mini_batch.loc[:, 'sold'] = 0.0\n    mini_batch['id'] += 1\n    return mini_batch"
    assert run(bench, code, csv_files).code == 0


def test_a_mini_batch_that_is_tried_again_has_its_rows_again(bench: ParallelBench, csv_files: Path) -> None:
    code = """
        import os
        def run(mini_batch):
            if 1000 in set(mini_batch["id"]) and not os.path.exists("was here"):
                open("was here", "w").close()
                os._exit(1)
            return mini_batch
    """
    scored = run(bench, code, csv_files, run_max_try=2)
    assert (scored.code, scored.counts.retried, scored.counts.results) == (0, 1, 303)


def test_what_failed_names_its_rows_and_their_file(bench: ParallelBench, csv_files: Path) -> None:
    scored = run(bench, "def run(mini_batch):\n    raise ValueError('bad')", csv_files, mini_batch_size="1MB")
    assert re.search(r"The last failure was mini-batch \d \(rows 1 to \d+ of \S+\d\.csv\), in process00\d", scored.log)


def test_a_table_is_gone_on_with(bench: ParallelBench, csv_files: Path) -> None:
    is_bad = "1000 in set(mini_batch['id']) and os.path.exists('bad')"
    code = ROWS.replace("return mini_batch", f"return [] if {is_bad} else mini_batch")
    (bench.folder / "bad").touch()
    first = run(bench, code, csv_files)
    (bench.folder / "bad").unlink()
    (bench.folder / "calls").unlink()
    second = run(bench, code, csv_files)
    assert (first.code, second.code, second.counts.results) == (1, 0, 303)
    assert second.is_kept > 0
    assert sum(calls(bench)) < 303
    assert scored_ids(second) == [*range(200), *range(1000, 1003), *range(2000, 2100)]


def test_what_an_earlier_try_has_done_waits_in_little_memory_and_is_given_out_in_order(
    bench: ParallelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alive() -> dict[int, MiniBatch]:
        return {id(one): one for one in gc.get_objects() if isinstance(one, MiniBatch)}

    others = alive()  # of other tests, kept here, so that none of them goes meanwhile
    monkeypatch.chdir(bench.folder)
    sales(5000).to_csv(bench.data / "0.csv", index=False)
    description = described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "0.csv")))
    sizes = [piece.items for piece in Pieces(str(description), 50, ())]
    undone = (0, 700, len(sizes) - 2)
    with closing(Journal("journal")) as journal:
        for batch, items in enumerate(sizes):
            if batch not in undone:
                journal.add(batch, items, items, b"")
        ended: list[object] = []
        crew = SimpleNamespace(watch=lambda _: None, forget=ended.append)
        source = TableSource([str(description)], {"size": 50, "keys": []}, journal, crew, Logs(), ahead=3)
    with closing(source):
        assert eventually(lambda: source.look() == "" and ended)
        assert len(alive().keys() - others.keys()) == len(undone)
        given = list(iter(source.next, None))
    assert source.is_over
    assert [(task.index, task.items) for task in given] == list(enumerate(sizes))
    assert [task.index for task in given if task.fields] == list(undone)


def scored_ids(scored: Scored) -> list[int]:
    return [int(row.split()[0]) for row in scored.rows]


def test_rows_are_cut_by_partition_keys_and_the_keys_columns_come_last(bench: ParallelBench, partitioned: str) -> None:
    table = Dataset.Tabular.from_delimited_files(partitioned, partition_format="/{country}/{year}/*.csv")
    code = """
        def run(mini_batch, mini_batch_context):
            keys = mini_batch_context.partition_key_value
            assert list(mini_batch.columns) == ["id", "store", "sold", "country", "year"], mini_batch.columns
            assert set(mini_batch["country"]) == {keys["country"]}
            return [f"{keys} {len(mini_batch)}"] * len(mini_batch)
    """
    keys = json.dumps(["country"])
    scored = run(bench, code, described(bench, table), "--partition_keys", keys, mini_batch_size=None)
    assert scored.rows == ["{'country': 'de'} 20"] * 20 + ["{'country': 'fr'} 20"] * 20, scored.log


def test_files_are_cut_by_partition_keys(bench: ParallelBench, partitioned: str) -> None:
    files = Dataset.File.from_files(partitioned, partition_format="/{country}/{year}/*.csv")
    code = """
        def run(mini_batch, mini_batch_context):
            return [f"{mini_batch_context.partition_key_value} {path[-10:]}" for path in mini_batch]
    """
    keys = json.dumps(["country", "year"])
    scored = run(bench, code, described(bench, files), "--partition_keys", keys, mini_batch_size=None)
    assert len(scored.rows) == 8
    assert scored.rows[:2] == [f"{{'country': 'de', 'year': '2023'}} 2023/{part}.csv" for part in (0, 1)]


def test_a_key_that_is_a_date_is_a_date(bench: ParallelBench) -> None:
    for day in ("2024/01/05", "2024/02/06"):
        (bench.data / day).mkdir(parents=True)
        (bench.data / day / "a.txt").touch()
    files = Dataset.File.from_files(str(bench.data / "*/*/*/*.txt"), partition_format="/{day:yyyy/MM/dd}/*.txt")
    code = "def run(batch, mini_batch_context):\n    return [mini_batch_context.partition_key_value['day'].month]"
    scored = run(bench, code, described(bench, files), "--partition_keys", '["day"]', mini_batch_size=None)
    assert scored.rows == ["1", "2"]


def test_a_key_that_the_dataset_does_not_have_fails_with_those_it_has(bench: ParallelBench, partitioned: str) -> None:
    table = Dataset.Tabular.from_delimited_files(partitioned, partition_format="/{country}/{year}/*.csv")
    scored = run(bench, ROWS, described(bench, table), "--partition_keys", '["city"]', mini_batch_size=None)
    assert "'city' is no partition key of the input; it has country, year." in scored.log.splitlines()[-1]


def test_the_context_has_the_mini_batch_as_a_dataset(bench: ParallelBench, csv_files: Path) -> None:
    code = """
        def run(mini_batch, mini_batch_context):
            again = mini_batch_context.dataset.to_pandas_dataframe()
            assert list(again["id"]) == list(mini_batch["id"])
            return again
    """
    assert run(bench, code, csv_files).counts.results == 303


@pytest.mark.parametrize("end", ["return again", "os._exit(1)", "raise ValueError(len(again))"])
def test_the_dataset_of_a_mini_batch_leaves_no_file(bench: ParallelBench, csv_files: Path, end: str) -> None:
    scratch = bench.folder / "scratch"
    scratch.mkdir()
    bench.more_environment["TMPDIR"] = str(scratch)
    code = f"""
        import os
        def run(mini_batch, mini_batch_context):
            again = mini_batch_context.dataset.to_pandas_dataframe()
            {end}
    """
    run(bench, code, csv_files, error_threshold=-1, process_count_per_node=1)
    assert (os.listdir(scratch), list(bench.folder.glob(".tables-*"))) == ([], [])


def test_the_dataset_of_a_mini_batch_goes_when_its_run_returns(bench: ParallelBench, csv_files: Path) -> None:
    code = """
        import glob
        def run(mini_batch, mini_batch_context):
            assert glob.glob(".tables-*/*.parquet") == []
            return mini_batch_context.dataset.to_pandas_dataframe()
    """
    assert run(bench, code, csv_files, process_count_per_node=1).counts.results == 303


def test_data_that_cannot_be_read_fails_the_run_with_its_place(bench: ParallelBench) -> None:
    (bench.data / "0.csv").write_text("a,b\n1,2\n3,4,5\n")
    path = described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "0.csv"), validate=False))
    scored = run(bench, ROWS, path)
    assert scored.code == 1
    assert "Failed: the data cannot be read: " in scored.log
    assert "0.csv" in scored.log.splitlines()[-1]


def test_data_that_never_comes_fails_the_run(bench: ParallelBench) -> None:
    (bench.data / "0.csv").write_text("a\n1\n")
    path = described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "0.csv")))
    (bench.folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'refrain.runtime.parallel.cutter' in sys.orig_argv:\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)  # before it has read anything\n"
    )
    bench.more_environment["PYTHONPATH"] = os.pathsep.join([str(bench.folder), bench.environment["PYTHONPATH"]])
    usual = {"input_fds_0": None, "input_ds_0": path}
    with bench.start(ROWS, "--first_task_creation_timeout", 2, **usual) as process:
        log, _ = process.communicate(timeout=60)
    assert log.splitlines()[-1] == "Failed: no mini-batch could be made of the data for 2 seconds."
    assert processes_below(bench.folder) == []


def test_warnings_about_the_data_are_in_the_log(bench: ParallelBench) -> None:
    lines = ["a", *["1"] * 2000, "x"]
    (bench.data / "0.csv").write_text("\n".join(lines))
    path = described(bench, Dataset.Tabular.from_delimited_files(str(bench.data / "0.csv")))
    scored = run(bench, ROWS, path, mini_batch_size="1MB")
    assert "1 values of column 'a' do not fit its type" in scored.log
