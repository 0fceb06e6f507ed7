"""The journal of one run: where its events and artifacts go, and what can be read back from them."""

from __future__ import annotations

import json
import os
import time

from refrain.runtime import events, images, metrics
from refrain.runtime.artifacts import ArtifactFolder, artifact_name, files_below
from refrain.runtime.documents import document_bytes
from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException
from refrain.runtime.labels import as_labels
from refrain.runtime.logged import Logged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Iterable, Mapping

    from refrain.runtime.context import RunContext
    from refrain.runtime.events import Event


class Journal:
    """What one run has said. *key* is how events name the run: itself, the pipeline run, or the id of a child."""

    def __init__(self, context: RunContext, key: str, run_id: str) -> None:
        self.context = context
        self.key = key
        self.run_id = run_id
        self.artifacts = ArtifactFolder(os.path.join(context.folder, artifacts_of(key)))

    def write(self, *written: Event) -> None:
        """Append events, all of them or none."""
        if written:
            events.append(self.context.events, self.key, list(written))

    def logged(self) -> Logged:
        """Read back what was written so far, by this process and by others of the same step."""
        tags, properties = self.context.labels(self.key)
        said = events.read(self.context.events)[0]
        return Logged(self.run_id, tags, properties).apply(event for event in said if event["run"] == self.key)

    def get_metrics(self, name: str | None, populate: bool) -> dict[str, Any]:
        """Return the metrics, with the content of documents instead of their URIs if *populate*."""
        logged = self.logged()
        values = logged.get_metrics(name)
        if populate:
            documents = {key: artifact for key, (_, artifact) in logged.documents.items() if key in values}
            values.update({key: json.loads(self.artifacts.read(artifact)) for key, artifact in documents.items()})
        return values

    def add_image(self, name: str, path: str | os.PathLike[str] | None, plot: object, description: str | None) -> None:
        """Keep the image at *path*, or *plot* as a PNG file, and log it."""
        name = metrics.metric_name(name)
        if (path is None) == (plot is None):
            got = "neither" if path is None else "both"
            raise UserErrorException(f"Image '{name}' takes path= or plot= and got {got}. Give exactly one of them.")
        if path is not None:
            images.check_image(os.fspath(path), name)
            artifact = images.artifact_of(os.fspath(path))
            self.artifacts.add_file(artifact, path)
        else:
            stem = f"{name}_{int(time.time())}".replace("/", "_")
            artifact = self.artifacts.add_new(stem, ".png", images.drawn(plot, name))
        self.write(_artifact(artifact), metrics.file_event("image", name, artifact, description))

    def add_document(self, kind: str, name: str, value: object, description: str | None) -> None:
        """Keep a document of *kind* under the name of its metric, and log it."""
        name = metrics.metric_name(name)
        artifact = artifact_name(name)
        self.artifacts.add(artifact, document_bytes(value, name, kind.replace("_", " ")))
        event = metrics.file_event("document", name, artifact, description)
        self.write(_artifact(artifact), {**event, "type": kind})

    def add_file(self, name: str, source: str | os.PathLike[str] | IO[Any]) -> None:
        """Keep a file, or what a stream holds."""
        if isinstance(source, (str, os.PathLike)):
            self.artifacts.add_file(name, source)
        else:
            self.artifacts.add(name, source)
        self.write(_artifact(artifact_name(name)))

    def add_files(self, files: list[tuple[str, str]]) -> None:
        """Keep files, each given as its name and its path; none of them if one name is taken."""
        self.write(*map(_artifact, self.artifacts.add_files(files)))

    def add_folder(self, name: str, path: str) -> None:
        """Keep every file below the folder *path* below *name*; ``.`` is the root of the run."""
        if not os.path.isdir(path):
            raise ArtifactNotFoundException(
                f"Folder '{name}' cannot be uploaded: '{path}' is no folder. Check the path."
            )
        prefix = "" if name in {"", "."} else artifact_name(name.rstrip("/") or name) + "/"
        self.add_files([(prefix + relative, file) for relative, file in files_below(path)])

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags; the last value of each wins."""
        labels = as_labels(tags, "Tag")
        self.write(*({"kind": "tag", "key": key, "value": value} for key, value in labels.items()))

    def remove_tags(self, keys: Iterable[str]) -> None:
        """Remove tags by their keys; one key may come alone."""
        keys = [keys] if isinstance(keys, str) else keys
        self.write(*({"kind": "untag", "key": str(key)} for key in keys))

    def add_properties(self, properties: Mapping[str, object]) -> None:
        """Add properties; none of them if one has another value already."""
        labels, present = as_labels(properties, "Property"), self.logged().properties
        for key, value in labels.items():
            if key in present and present[key] != value:
                raise UserErrorException(
                    f"Property '{key}' of run '{self.run_id}' is '{present[key]}' and cannot become '{value}': "
                    "properties never change. Use run.tag(key, value) for what does."
                )
        self.write(*({"kind": "property", "key": key, "value": value} for key, value in labels.items()))

    def show_as(self, field: str, value: object) -> None:
        """Set how the run is shown: its ``display_name`` or its ``description``."""
        self.write({"kind": "display", "field": field, "value": str(value)})


def artifacts_of(key: str) -> str:
    """Return the folder of a run's artifacts, below the folder of the step's run."""
    folder = {events.OWN: "", events.PARENT: "parent"}.get(key, os.path.join("children", key))
    return os.path.join(folder, "artifacts")


def _artifact(name: str) -> Event:
    return {"kind": "artifact", "name": name}
