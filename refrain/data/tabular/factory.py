"""TabularDatasetFactory: tabular datasets of delimited, Parquet and JSON lines files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refrain.data.tabular.dataset import TabularDataset
from refrain.data.tabular.partition import PartitionFormat
from refrain.data.tabular.places import places_of, workspace_of
from refrain.data.tabular.promotion import PromoteHeadersBehavior, promotion
from refrain.data.tabular.source import Delimited, Format, JsonLines, Parquet, Source
from refrain.data.tabular.types import DataType, column_types
from refrain.errors import UserError

Types = Mapping[str, DataType] | None


class TabularDatasetFactory:
    """Makes tabular datasets; reached as ``Dataset.Tabular``.

    A path is a local path, a URL, ``(datastore, path)`` or a ``DataReference``, or a list of these. A folder stands for
    everything below it but names that start with ``.`` or ``_``; ``*`` and ``**`` are wildcards.
    """

    @staticmethod
    def from_delimited_files(  # noqa: PLR0913  # Azure ML's signature
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: Types = None,
        separator: str = ",",
        header: bool | PromoteHeadersBehavior = True,
        partition_format: str | None = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
    ) -> TabularDataset:
        """Make a dataset of delimited text.

        :param validate: look now for the files, and read the beginning of some.
        :param include_path: add the first column ``Path``.
        :param infer_column_types: decide types by the first 1,000 rows of up to 16 files; else every column is text.
        :param header: True: the first line of every file, and the first file's counts; False: there is none.
        :param partition_format: columns in the paths; see :class:`PartitionFormat`.
        :param support_multi_line: quoted values may hold line breaks; without it such a value is an error.
        :param empty_as_string: empty fields of text columns are empty texts instead of nulls.
        :raises UserError: for an argument that cannot be right.
        :raises DataError: when *validate* finds that the data cannot be read.
        """
        form = Delimited(
            separator, promotion(header), encoding, support_multi_line, empty_as_string, infer_column_types
        )
        what = "Dataset.Tabular.from_delimited_files"
        return _made(what, path, form, (include_path, set_column_types, partition_format), validate)

    @staticmethod
    def from_parquet_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: Types = None,
        partition_format: str | None = None,
    ) -> TabularDataset:
        """Make a dataset of Parquet files; the first file's columns count. Parameters as for delimited files."""
        what = "Dataset.Tabular.from_parquet_files"
        return _made(what, path, Parquet(), (include_path, set_column_types, partition_format), validate)

    @staticmethod
    def from_json_lines_files(  # noqa: PLR0913  # Azure ML's signature
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: Types = None,
        partition_format: str | None = None,
        invalid_lines: str = "error",
        encoding: str = "utf8",
    ) -> TabularDataset:
        """Make a dataset of JSON lines. Parameters as in ``from_delimited_files``.

        :param invalid_lines: ``error`` or ``drop``, for lines that are no JSON object.
        """
        if invalid_lines not in {"error", "drop"}:
            raise UserError(f"invalid_lines {invalid_lines!r} is not one of 'error' and 'drop'.")
        what = "Dataset.Tabular.from_json_lines_files"
        form = JsonLines(invalid_lines == "drop", encoding)
        return _made(what, path, form, (include_path, set_column_types, partition_format), validate)

    @staticmethod
    def from_sql_query(
        query: Any, validate: bool = True, set_column_types: Types = None, query_timeout: int = 30
    ) -> TabularDataset:
        """Make a dataset of the rows that a query gives, each time that they are asked for.

        :param query: ``(datastore, 'SELECT …')``; without ``ORDER BY`` the rows come in no certain order.
        :param validate: ask now for the columns; no row is read where the database can tell them without.
        :param query_timeout: seconds that the database has for the first rows, and for each of the next; 0: any time.
        :raises UserError: for a datastore that is no database, a query that does not read, or a missing driver.
        :raises DataError: when *validate* finds that the query cannot be answered.
        """
        from refrain.data.sql.factory import from_sql_query

        return from_sql_query(query, validate, set_column_types, query_timeout)

    @staticmethod
    def register_pandas_dataframe(  # noqa: PLR0913  # Azure ML's signature
        dataframe: Any,
        target: Any,
        name: str,
        description: str | None = None,
        tags: Mapping[str, Any] | None = None,
        show_progress: bool = True,
        row_group_size: int | None = None,
        make_target_path_unique: bool = True,
    ) -> TabularDataset:
        """Write a data frame as Parquet to a datastore and register it, as a new version of *name*.

        A ``.`` in a column's name becomes ``_``; the index is left out.

        :param target: a datastore, which means its folder ``managed-dataset``, or ``(datastore, path)``.
        :param show_progress: accepted for Azure ML's sake.
        :param row_group_size: rows in each group of the Parquet file; None for pyarrow's own number.
        :param make_target_path_unique: write into a new folder below the path.
        :raises UserError: for a target that is not on a datastore or is taken, or columns that are then called alike.
        """
        from refrain.data.tabular.written import write_frame

        _ = show_progress
        workspace = workspace_of(target, "Dataset.Tabular.register_pandas_dataframe")
        written = write_frame(dataframe, target, row_group_size, make_target_path_unique)
        return written.register(workspace, name, description, tags, create_new_version=True)


def _made(what: str, path: Any, form: Format, added: tuple[bool, Types, str | None], validate: bool) -> TabularDataset:
    include_path, types, partition_format = added
    places, access = places_of(path, what)
    partition = None if partition_format is None else PartitionFormat(partition_format)
    source = Source(places, form, column_types(types, what), include_path, partition)
    dataset = TabularDataset(source, access=access)
    if validate:
        _ = dataset.schema
    return dataset
