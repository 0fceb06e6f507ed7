"""DataTransferStep: copies files and rows from one datastore to another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refrain.data.pipeline_data import PipelineData
from refrain.data.ports import OutputKind, OutputPort
from refrain.data.recipe import recipe_of
from refrain.data.reference import DataReference
from refrain.data.sql.factory import rows_of
from refrain.data.sql.reference import SqlDataReference
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Literal
from refrain.steps.definition import NO_SOURCE, StepDefinition
from refrain.steps.step import PipelineStep, compute_name
from refrain.steps.wiring import Build, Wiring, consumed, origin
from refrain.storage.sql.relation import SqlTable

KIND = "data_transfer"
OUTPUT = "_data_transfer_output"
SOURCE_TYPE = "source_reference_type"
DESTINATION_TYPE = "destination_reference_type"
_TYPES = ("file", "directory")
PARQUET = ".parquet"
_ROW_FILES = (".csv", PARQUET)


class DataTransferStep(PipelineStep):
    """A step that copies data, in parallel and verified; it has no process and no source directory.

    A file that is copied to a directory keeps its name; the files of a directory are added to those that are there.
    Files that are there are replaced. A copy that was interrupted is gone on with by the next try.

    Rows become a file: Parquet if its name ends in ``.parquet``, else delimited text. Into a table go the rows of a
    file, of all files of a folder (``.csv``, ``.csv.gz``, ``.tsv`` or ``.parquet``), or of a database. They take the
    place of the rows that are there, all at once, so that a copy that is repeated doubles nothing. A table that is
    missing is made.

    :param source_data_reference: a data reference, what another step of the pipeline writes, or a
        ``SqlDataReference`` to the rows of a table, a query or a stored procedure.
    :param destination_data_reference: a data reference, or a ``SqlDataReference`` to a table; its place is a part of
        what makes the step reusable.
    :param compute_target: accepted for old code, where it is a data factory; Refrain copies by itself.
    :param source_reference_type: ``file`` or ``directory``; None means what is there.
    :param destination_reference_type: likewise; None means what is there, else what the source is. A table has none.
    :param allow_reuse: False makes the step copy in every run.
    :raises UserError: for arguments of the wrong type.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        name: str,
        source_data_reference: Any = None,
        destination_data_reference: Any = None,
        compute_target: Any = None,
        source_reference_type: str | None = None,
        destination_reference_type: str | None = None,
        allow_reuse: bool = True,
    ) -> None:
        what = f"DataTransferStep {name!r}"
        if source_data_reference is None or destination_data_reference is None:
            raise UserError(f"{what} needs a source_data_reference and a destination_data_reference.")
        if not isinstance(allow_reuse, bool):
            raise UserError(f"{what}: allow_reuse must be True or False, not {allow_reuse!r}.")
        self.source_type = _checked(what, SOURCE_TYPE, source_reference_type)
        self.destination_type = _checked(what, DESTINATION_TYPE, destination_reference_type)
        self.source = _source(what, source_data_reference)
        self.destination = _destination(what, destination_data_reference)
        if isinstance(self.destination, SqlDataReference):
            _require_another_table(what, source_data_reference, self.destination)
            self.destination_type = ""
        elif isinstance(source_data_reference, SqlDataReference):
            self.destination = _file_of(self.destination, self.destination_type, str(source_data_reference.name))
            self.destination_type = "file"
        if (self.source_type, self.destination_type) == ("directory", "file"):
            raise UserError(f"{what}: a directory cannot be copied to a file; make the destination a directory.")
        self.allow_reuse = allow_reuse
        is_table = isinstance(self.destination, SqlDataReference)
        self._output = PipelineData(OUTPUT, datastore=None if is_table else self.destination.datastore)
        super().__init__(name, [self.source], [self._output], None)
        self.compute = compute_name(self.name, compute_target)

    def get_output(self) -> PipelineData:
        """Return the copied data as an input for other steps, which then wait for the copy.

        :raises UserError: for a table, which no step reads as files.
        """
        if isinstance(self.destination, SqlDataReference):
            raise UserError(
                f"DataTransferStep {self.name!r} fills a table, which is no input of files. Let the other step come "
                "after it (step.run_after(copy), on Airflow copy >> step), and read the table with "
                "Dataset.Tabular.from_sql_query."
            )
        return self._output

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        self._require_apart()
        wiring = Wiring(self.name, build)
        wiring.outputs[id(origin(self._output))] = _port(self.destination)
        wiring.add_inputs(self.inputs)
        inputs, outputs = wiring.ports()
        types = ((DESTINATION_TYPE, self.destination_type), (SOURCE_TYPE, self.source_type))
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=KIND,
            source=NO_SOURCE,
            command=(),
            inputs=inputs,
            outputs=outputs,
            parameters=tuple((name, Literal(text)) for name, text in types),
            allow_reuse=self.allow_reuse,
            after=self.predecessor_keys(build),
            compute=self.compute,
        )

    def _require_apart(self) -> None:
        one, two = self.source, self.destination
        if not isinstance(one, DataReference) or not isinstance(two, DataReference):
            return
        if one.datastore.name != two.datastore.name:
            return
        if f"{two.path_on_datastore}/".startswith(f"{one.path_on_datastore}/" if one.path_on_datastore else ""):
            where = f"{two.path_on_datastore!r} of datastore {two.datastore.name!r}"
            raise PipelineError(f"Step {self.name!r}: its destination {where} is its source, or inside it.")


def _source(what: str, source: Any) -> Any:
    """Return the source as an input: rows of a database are a dataset, which is asked for once and counts by its rows.

    :raises UserError: for what is no data, or a query that is none.
    """
    if isinstance(source, SqlDataReference):
        return rows_of(source.datastore, source.relation, timeout=0).as_named_input(str(source.name))
    if not isinstance(source, DataReference) and consumed(source) is None:
        raise UserError(
            f"{what}: the source must be a DataReference, a SqlDataReference or the output of a step, not {source!r}."
        )
    return source


def _destination(what: str, destination: Any) -> DataReference | SqlDataReference:
    if isinstance(destination, SqlDataReference) and not isinstance(destination.relation, SqlTable):
        raise UserError(f"{what}: rows are copied into a table; give the destination a sql_table.")
    if not isinstance(destination, DataReference | SqlDataReference):
        raise UserError(f"{what}: the destination must be a DataReference or a SqlDataReference, not {destination!r}.")
    return destination


def _require_another_table(what: str, source: Any, destination: SqlDataReference) -> None:
    if isinstance(source, SqlDataReference) and source.source == destination.source:
        raise UserError(f"{what}: its source and its destination are the same table, {destination.sql_table!r}.")


def _port(destination: DataReference | SqlDataReference) -> OutputPort:
    store = destination.datastore.name
    if isinstance(destination, SqlDataReference):
        rows = rows_of(destination.datastore, destination.relation, timeout=0)
        recipe = recipe_of(rows.to_json())
        return OutputPort(OUTPUT, store, str(destination.sql_table), OutputKind.TABLE, overwrite=True, recipe=recipe)
    return OutputPort(OUTPUT, store, str(destination.path_on_datastore), OutputKind.ANY, overwrite=True)


def _file_of(destination: DataReference, kind: str, name: str) -> DataReference:
    """Return the file that rows are written to: in a directory, one that is called like the source."""
    path = str(destination.path_on_datastore)
    if path.endswith(_ROW_FILES) or kind == "file":
        return destination
    return replace(destination, path_on_datastore=f"{path}/{name}.csv".lstrip("/"))


def _checked(what: str, name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or value.lower() not in _TYPES:
        raise UserError(f"{what}: {name} {value!r} is not one of {', '.join(_TYPES)}.")
    return value.lower()
