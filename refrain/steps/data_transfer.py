"""DataTransferStep: copies a file or a folder from one datastore to another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.pipeline_data import PipelineData
from refrain.data.ports import OutputKind, OutputPort
from refrain.data.reference import DataReference
from refrain.data.sql.reference import SqlDataReference
from refrain.data.tabular.factory import TabularDatasetFactory
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Literal
from refrain.steps.definition import NO_SOURCE, StepDefinition
from refrain.steps.step import PipelineStep, compute_name
from refrain.steps.wiring import Build, Wiring, consumed, origin
from refrain.storage.sql.relation import SqlQuery, SqlTable

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

    :param source_data_reference: a data reference, what another step of the pipeline writes, or the rows of a table or
        a query of a database. Rows become a file: Parquet if its name ends in ``.parquet``, else delimited text.
    :param destination_data_reference: a data reference; its place is a part of what makes the step reusable.
    :param compute_target: accepted for old code, where it is a data factory; Refrain copies by itself.
    :param source_reference_type: ``file`` or ``directory``; None means what is there.
    :param destination_reference_type: likewise; None means what is there, else what the source is.
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
        if isinstance(destination_data_reference, SqlDataReference):
            raise UserError(f"{what}: rows cannot be copied into a table; let a script load them.")
        if isinstance(source_data_reference, SqlDataReference):
            source_data_reference = _rows(what, source_data_reference)
            destination_data_reference, destination_reference_type = _file_of(
                destination_data_reference, destination_reference_type, str(source_data_reference.name)
            )
        if not isinstance(destination_data_reference, DataReference):
            raise UserError(f"{what}: the destination must be a DataReference, not {destination_data_reference!r}.")
        is_data = isinstance(source_data_reference, (DataReference, DatasetConsumptionConfig))
        if not is_data and consumed(source_data_reference) is None:
            raise UserError(
                f"{what}: the source must be a DataReference or the output of a step, not {source_data_reference!r}."
            )
        if not isinstance(allow_reuse, bool):
            raise UserError(f"{what}: allow_reuse must be True or False, not {allow_reuse!r}.")
        self.source = source_data_reference
        self.destination = destination_data_reference
        self.source_type = _checked(what, SOURCE_TYPE, source_reference_type)
        self.destination_type = _checked(what, DESTINATION_TYPE, destination_reference_type)
        if (self.source_type, self.destination_type) == ("directory", "file"):
            raise UserError(f"{what}: a directory cannot be copied to a file; make the destination a directory.")
        self.allow_reuse = allow_reuse
        self._output = PipelineData(OUTPUT, datastore=self.destination.datastore)
        super().__init__(name, [self.source], [self._output], None)
        self.compute = compute_name(self.name, compute_target)

    def get_output(self) -> PipelineData:
        """Return the copied data as an input for other steps, which then wait for the copy."""
        return self._output

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        self._require_apart()
        wiring = Wiring(self.name, build)
        wiring.outputs[id(origin(self._output))] = OutputPort(
            OUTPUT,
            self.destination.datastore.name,
            str(self.destination.path_on_datastore),
            OutputKind.ANY,
            overwrite=True,
        )
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
            after=tuple(dict.fromkeys(build.key_of(step) for step in self.predecessors)),
            compute=self.compute,
        )

    def _require_apart(self) -> None:
        one, two = self.source, self.destination
        if not isinstance(one, DataReference) or one.datastore.name != two.datastore.name:
            return
        if f"{two.path_on_datastore}/".startswith(f"{one.path_on_datastore}/" if one.path_on_datastore else ""):
            where = f"{two.path_on_datastore!r} of datastore {two.datastore.name!r}"
            raise PipelineError(f"Step {self.name!r}: its destination {where} is its source, or inside it.")


def _rows(what: str, reference: SqlDataReference) -> DatasetConsumptionConfig:
    """Return the rows of a table or a query as a dataset, which is asked for once and counts by its rows."""
    relation = reference.relation
    if not isinstance(relation, SqlTable | SqlQuery):
        raise UserError(f"{what}: the rows of a stored procedure cannot be copied; give sql_table or sql_query.")
    query = relation.text if isinstance(relation, SqlQuery) else f"SELECT * FROM {relation.name}"  # noqa: S608  # the user's own
    rows = TabularDatasetFactory.from_sql_query((reference.datastore, query), validate=False, query_timeout=0)
    return rows.as_named_input(str(reference.name))


def _file_of(destination: Any, kind: str | None, name: str) -> tuple[Any, str | None]:
    """Return the file that rows are written to: in a directory, one that is called like the source."""
    if not isinstance(destination, DataReference):
        return destination, kind
    path = str(destination.path_on_datastore)
    if path.endswith(_ROW_FILES) or (isinstance(kind, str) and kind.lower() == "file"):
        return destination, "file"
    return replace(destination, path_on_datastore=f"{path}/{name}.csv".lstrip("/")), "file"


def _checked(what: str, name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or value.lower() not in _TYPES:
        raise UserError(f"{what}: {name} {value!r} is not one of {', '.join(_TYPES)}.")
    return value.lower()
