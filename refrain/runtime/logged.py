"""What a run has logged: its events, gathered into metrics, tags, properties, children and artifacts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    from refrain.runtime.events import Event
    from refrain.runtime.values import Scalar


class Metric:
    """All values that were logged under one name.

    ``points`` are single values in log order, each with its time and step; ``uris`` are those of images and documents;
    ``rows`` are the rows of a table.
    """

    __slots__ = ("description", "points", "rows", "uris")

    def __init__(self) -> None:
        self.points: list[tuple[float, int | None, Scalar]] = []
        self.uris: list[str] = []
        self.rows: list[dict[str, Scalar]] = []
        self.description: str | None = None

    def value(self) -> Any:
        """The value as ``get_metrics`` gives it.

        One value is a scalar and several are a list; a table is a dict of columns, of scalars where it has one row.
        A cell that a row did not have is None.
        """
        values: list[Any] = [value for _, _, value in self.points] + self.uris
        if self.rows:
            columns: dict[str, None] = {}
            for row in self.rows:
                columns.update(dict.fromkeys(row))
            table: dict[str, Any] = {column: [row.get(column) for row in self.rows] for column in columns}
            values.append(self.rows[0] if len(self.rows) == 1 else table)
        return values[0] if len(values) == 1 else values


class Logged:
    """Everything that one run has logged so far."""

    def __init__(self, run_id: str, tags: Mapping[str, Any] | None = None, properties: Mapping[str, Any] | None = None):
        self.run_id = run_id
        self.metrics: dict[str, Metric] = {}
        self.tags: dict[str, str | None] = dict(tags or {})
        self.properties: dict[str, str | None] = dict(properties or {})
        self.children: dict[str, str] = {}
        self.artifacts: list[str] = []
        self.images: dict[str, list[str]] = {}
        self.documents: dict[str, tuple[str, str]] = {}
        self.display: dict[str, str] = {}
        self.started: float | None = None
        self.status: str | None = None
        self.error: dict[str, Any] | None = None

    def get_metrics(self, name: str | None = None) -> dict[str, Any]:
        """Return the value of each metric, or of the one called *name*; empty where there is none."""
        return {key: metric.value() for key, metric in self.metrics.items() if name is None or key == name}

    def apply(self, events: Iterable[Event]) -> Logged:
        """Take events of this run in and return this; a kind of a later version is ignored."""
        for event in events:
            take = _TAKE.get(event["kind"])
            if take is not None:
                take(self, event)
        return self

    def _metric(self, event: Event) -> Metric:
        metric = self.metrics.setdefault(event["name"], Metric())
        metric.description = event.get("description") or metric.description
        return metric

    def _point(self, event: Event) -> None:
        self._metric(event).points.append((event["t"], event.get("step"), event["value"]))

    def _row(self, event: Event) -> None:
        self._metric(event).rows.append(event["values"])

    def _table(self, event: Event) -> None:
        columns = {name: cells if isinstance(cells, list) else [cells] for name, cells in event["values"].items()}
        height = max((len(cells) for cells in columns.values()), default=0)
        for index in range(height):
            row = {name: cells[index] if index < len(cells) else None for name, cells in columns.items()}
            self._metric(event).rows.append(row)

    def _file(self, event: Event) -> None:
        artifact = event["artifact"]
        if event["kind"] == "image":
            self.images.setdefault(event["name"], []).append(artifact)
        else:
            self.documents[event["name"]] = (event["type"], artifact)
        self._metric(event).uris.append(f"aml://artifactId/ExperimentRun/dcid.{self.run_id}/{artifact}")

    def _tag(self, event: Event) -> None:
        self.tags[event["key"]] = event["value"]

    def _untag(self, event: Event) -> None:
        self.tags.pop(event["key"], None)

    def _property(self, event: Event) -> None:
        self.properties.setdefault(event["key"], event["value"])  # once set, a property stays

    def _artifact(self, event: Event) -> None:
        if event["name"] not in self.artifacts:
            self.artifacts.append(event["name"])

    def _child(self, event: Event) -> None:
        self.children.setdefault(event["id"], event["name"])

    def _status(self, event: Event) -> None:
        error = event.get("error")
        self.status, self.error = event["status"], error if isinstance(error, dict) else None
        self.started = event["t"] if self.started is None else self.started

    def _display(self, event: Event) -> None:
        self.display[event["field"]] = event["value"]


_TAKE = {
    "metric": Logged._point,
    "row": Logged._row,
    "table": Logged._table,
    "image": Logged._file,
    "document": Logged._file,
    "tag": Logged._tag,
    "untag": Logged._untag,
    "property": Logged._property,
    "artifact": Logged._artifact,
    "child": Logged._child,
    "status": Logged._status,
    "display": Logged._display,
}
