"""TabularDataset: an immutable plan over files with rows and columns, evaluated when its rows are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from refrain.data.abstract import AbstractDataset, Registered
from refrain.data.data_value import DataKind, DataValue
from refrain.data.ports import FromDatabase, FromFiles, InputMode
from refrain.data.tabular import operations as ops
from refrain.data.tabular.access import ANYWHERE, FileAccess, SourceFile
from refrain.data.tabular.chunk import OnError
from refrain.data.tabular.expression import Expression, column, condition, missing_column
from refrain.data.tabular.sampling import chosen_seed, proportion, row_count
from refrain.data.tabular.scan import FileBatch, Scan
from refrain.data.tabular.source import Source, Sql
from refrain.data.tabular.timeseries import TimestampColumns, before_now
from refrain.errors import DataError, UserError

if TYPE_CHECKING:
    from refrain.data.consumption import DatasetConsumptionConfig
    from refrain.data.files.dataset import FileDataset

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class TabularDataset(AbstractDataset):
    """Rows and columns of files: a source and a list of operations. Every method that changes it returns another one.

    :param access: finds the files; it is no part of the definition.
    """

    source: Source
    operations: tuple[ops.Operation, ...] = ()
    timestamps: TimestampColumns = field(default_factory=TimestampColumns)
    access: FileAccess = field(default=ANYWHERE, repr=False)
    registered: Registered | None = field(default=None, repr=False)

    input_modes: ClassVar[tuple[InputMode, ...]] = (InputMode.DIRECT,)

    def __getitem__(self, key: str) -> Expression:
        if not isinstance(key, str):
            raise UserError(f"dataset[{key!r}]: give the name of a column; keep_columns chooses several.")
        return column(key)

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {
            "schema": _SCHEMA,
            "kind": "tabular",
            "source": self.source.to_json(),
            "operations": [ops.to_json(operation) for operation in self.operations],
            "timestamps": [self.timestamps.timestamp, self.timestamps.partition],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any], access: FileAccess | None = None) -> TabularDataset:
        """Read what :meth:`to_json` wrote.

        :raises DataError: for a definition of another kind, or of a newer Refrain.
        """
        if value.get("kind") != "tabular" or value.get("schema") != _SCHEMA:
            raise DataError(
                f"This is no tabular dataset of schema {_SCHEMA}: {value.get('kind')!r}, {value.get('schema')!r}."
                " Read it with the Refrain that wrote it, or a newer one."
            )
        return TabularDataset(
            Source.from_json(value["source"]),
            tuple(ops.from_json(operation) for operation in value["operations"]),
            TimestampColumns(*value["timestamps"]),
            access or ANYWHERE,
        )

    @property
    def reads(self) -> FromFiles | FromDatabase:
        """The places that it reads, as a step's input records them."""
        if isinstance(self.source.format, Sql):
            return FromDatabase(self.source.places[0].datastore)
        return FromFiles(tuple((place.datastore or None, place.path) for place in self.source.places))

    def as_value(self) -> DataValue:
        """See :meth:`AbstractDataset.as_value`."""
        return DataValue(DataKind.TABLE, self.reads, self.text, self.recipe, self.recipe)

    def needed_files(self) -> list[SourceFile]:
        """Return the files that decide the rows and their types, as they are listed now."""
        return self.scan().needed

    def told_of(self, file: SourceFile) -> list[Any]:
        """Return what the rows tell of a file beside its content."""
        values = self.source.partition.values(file.address).values() if self.source.partition else ()
        return [*values, *([file.address] if self.source.include_path else [])]

    # ---- columns

    def keep_columns(self, columns: str | Iterable[str], validate: bool = False) -> TabularDataset:
        """Return a dataset of these columns in this order; the time series trait is lost, as in Azure ML.

        :param validate: look for the columns now.
        :raises DataError: when *validate* finds that a column is not there; otherwise that is found when rows are read.
        """
        return self._columns(ops.KeepColumns(_names(columns)), validate)

    def drop_columns(self, columns: str | Iterable[str]) -> TabularDataset:
        """Return a dataset without these columns; the time series trait is lost, as in Azure ML."""
        return self._columns(ops.DropColumns(_names(columns)), validate=False)

    def _columns(self, operation: ops.Operation, validate: bool) -> TabularDataset:
        made = replace(self._then(operation), timestamps=TimestampColumns())
        if validate:
            _ = made.schema
        return made

    # ---- rows

    def filter(self, expression: Expression) -> TabularDataset:
        """Return a dataset of the rows for which a condition such as ``dataset['age'] > 3`` is true."""
        return self._then(ops.Filter(condition(expression)))

    def take(self, count: int) -> TabularDataset:
        """Return a dataset of the first *count* rows; no more of the files is read than it takes."""
        return self._then(ops.Rows(take=row_count(count, "take")))

    def skip(self, count: int) -> TabularDataset:
        """Return a dataset without the first *count* rows."""
        return self._then(ops.Rows(skip=row_count(count, "skip")))

    def take_sample(self, probability: float, seed: int | None = None) -> TabularDataset:
        """Return a dataset of roughly this share of the rows.

        :param seed: the same seed draws the same rows of the same data; None draws a seed now, which is then part of
            the definition, so that a step that reads the dataset is not reused once the definition is made again.
        """
        return self._then(ops.Sample(0.0, proportion(probability, "take_sample: probability"), chosen_seed(seed)))

    def random_split(self, percentage: float, seed: int | None = None) -> tuple[TabularDataset, TabularDataset]:
        """Return two datasets, of roughly *percentage* (0 to 1) of the rows and of all the others.

        :param seed: as for :meth:`take_sample`.
        """
        share, drawn = proportion(percentage, "random_split: percentage"), chosen_seed(seed)
        return self._then(ops.Sample(0.0, share, drawn)), self._then(ops.Sample(share, 1.0, drawn))

    # ---- time

    @property
    def timestamp_columns(self) -> tuple[str | None, str | None]:
        """The timestamp and the partition timestamp column."""
        return self.timestamps.timestamp, self.timestamps.partition

    def with_timestamp_columns(
        self, timestamp: str | None = None, partition_timestamp: str | None = None, validate: bool = False
    ) -> TabularDataset:
        """Return a dataset that knows which columns say when a row happened; without arguments, one that does not.

        :param validate: check now that they are there and hold dates.
        """
        made = replace(self, timestamps=TimestampColumns(timestamp, partition_timestamp), registered=None)
        return made._checked(validate)

    def time_before(self, end_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        """Return a dataset of the rows up to a time; :meth:`TimestampColumns.condition` has the rule."""
        return self._between(None, end_time, include_boundary, validate)

    def time_after(self, start_time: datetime, include_boundary: bool = True, validate: bool = True) -> TabularDataset:
        """Return a dataset of the rows from a time on; :meth:`TimestampColumns.condition` has the rule."""
        return self._between(start_time, None, include_boundary, validate)

    def time_between(
        self, start_time: datetime, end_time: datetime, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        """Return a dataset of the rows of a time range; :meth:`TimestampColumns.condition` has the rule."""
        return self._between(start_time, end_time, include_boundary, validate)

    def time_recent(
        self, time_delta: timedelta, include_boundary: bool = True, validate: bool = True
    ) -> TabularDataset:
        """Return a dataset of the rows since *time_delta* before now; "now" is when this is called, in UTC."""
        return self._between(before_now(time_delta), None, include_boundary, validate)

    def _between(
        self, begin: datetime | None, end: datetime | None, include_boundary: bool, validate: bool
    ) -> TabularDataset:
        made = self._then(ops.Filter(self.timestamps.condition(begin, end, include_boundary)))
        return made._checked(validate)

    def _checked(self, validate: bool) -> TabularDataset:
        names = self.timestamps.names if validate else ()
        schema: Any = self.schema if names else None
        for name in names:
            if name not in schema.names:
                raise missing_column(name, schema.names)
            kind = str(schema.field(name).type)
            if not kind.startswith(("timestamp", "date")):
                raise DataError(
                    f"The timestamp column {name!r} holds no dates but {kind}. Read the files with "
                    f"set_column_types={{{name!r}: DataType.to_datetime('%Y-%m-%d')}} and the format that fits."
                )
        return self

    # ---- partitions

    @property
    def partition_keys(self) -> list[str]:
        """The columns that come from the files' paths."""
        return list(self.source.partition.keys) if self.source.partition else []

    def get_partition_key_values(self, partition_keys: list[str] | None = None) -> list[dict[str, Any]]:
        """Return the different values of the partition columns, sorted; only paths are read, unless rows are chosen.

        :param partition_keys: some of them; None for all.
        :raises UserError: for a column that is not one.
        """
        from refrain.data.tabular.partitions import key_values

        return key_values(self, partition_keys)

    def partition_by(  # Azure ML's signature
        self,
        partition_keys: list[str],
        target: Any,
        name: str | None = None,
        show_progress: bool = True,
        partition_as_file_dataset: bool = False,
    ) -> TabularDataset | FileDataset:
        """Write the rows as Parquet below ``<target>/<new id>/<key>/…`` and return the dataset of what was written.

        The keys' columns come last in it. Dates become texts of the form yyyyMMddHHmmss in the paths.

        :param target: a datastore, ``(datastore, path)``, or a local folder.
        :param name: also register what is returned, as a new version of this name; the target must be on a datastore.
        :param show_progress: accepted for Azure ML's sake.
        :param partition_as_file_dataset: return the files instead of their rows.
        """
        from refrain.data.tabular.partitions import partition_by
        from refrain.data.tabular.places import workspace_of

        _ = show_progress
        workspace = None if name is None else workspace_of(target, "partition_by(name=…)")
        made, files = partition_by(self, partition_keys, target)
        chosen = files if partition_as_file_dataset else made
        return chosen if workspace is None or name is None else chosen.register(workspace, name, None, None, True)

    # ---- evaluation

    @property
    def schema(self) -> Any:
        """The Arrow schema of the result, looked up in the beginning of some files each time."""
        return self.scan().empty.schema

    def source_files(self) -> list[SourceFile]:
        """Return the files that are read, as they are listed now."""
        return self.scan().files

    def scan(self, on_error: OnError = OnError.NULL) -> Scan:
        """Begin an evaluation: list the files."""
        return Scan(self.source, self.operations, self.access, on_error)

    def batches(self, max_bytes: int | None = None, on_error: str = "null") -> Iterator[FileBatch]:
        """Yield the rows as Arrow tables that never cross files, in the files' order.

        :param max_bytes: roughly how many bytes of a file one batch stands for; a smaller file is one batch. None for
            pieces of about a megabyte.
        """
        return self.scan(_on_error(on_error, "on_error")).batches(max_bytes)

    def to_arrow(self, on_error: str = "null") -> Any:
        """Return all rows as one Arrow table."""
        import pyarrow as pa

        scan = self.scan(_on_error(on_error, "on_error"))
        return pa.concat_tables([scan.empty, *(batch.table for batch in scan.batches())])

    def to_pandas_dataframe(self, on_error: str = "null", out_of_range_datetime: str = "null") -> Any:
        """Return all rows as a data frame, indexed by the timestamp column if there is one (the column stays).

        :param on_error: ``null`` leaves values empty that do not fit their column's type and warns; ``fail`` raises.
        :param out_of_range_datetime: the same for dates before 1677 or after 2262, which nanoseconds cannot hold.
        :raises DataError: for data that cannot be read, with the file, the row and the column.
        """
        from refrain.data.tabular.frame import to_frame

        rule = _on_error(out_of_range_datetime, "out_of_range_datetime")
        return to_frame(self.to_arrow(on_error), self.timestamps.timestamp, rule)

    def to_csv_files(self, separator: str = ",") -> FileDataset:
        """Return the rows as CSV files, one for each source file, written when they are fetched."""
        from refrain.data.tabular.converted import converted

        return converted(self, "csv", separator)

    def to_parquet_files(self) -> FileDataset:
        """Return the rows as Parquet files, one for each source file, written when they are fetched."""
        from refrain.data.tabular.converted import converted

        return converted(self, "parquet")

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """Return the dataset as an input called *name*: direct mode, the only one for tables."""
        from refrain.data.consumption import DatasetConsumptionConfig

        return DatasetConsumptionConfig(name, self)

    def _then(self, operation: ops.Operation) -> TabularDataset:
        return replace(self, operations=(*self.operations, operation), registered=None)


def _names(columns: str | Iterable[str]) -> tuple[str, ...]:
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{columns!r} names no columns; give a name or a list of names.")
    if len(set(names)) != len(names):
        raise UserError(f"{list(names)!r} names a column twice.")
    return names


def _on_error(value: str, what: str) -> OnError:
    if value not in {"null", "fail"}:
        raise UserError(f"{what} {value!r} is not one of 'null' and 'fail'.")
    return OnError(value)
