"""Commit: outputs become visible whole or not at all, and only then does a record say that they exist.

The order is what makes a crash harmless: outputs are moved to their place and flushed, then their manifests are
stored, then the caller writes the run record and, last, the reuse record. Until that last write nobody can reuse
anything, whatever a killed process left behind.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from refrain.data.handle import DataHandle
from refrain.data.ports import OutputKind, OutputMode, OutputPort
from refrain.errors import DataError, OutputError
from refrain.execution.links import require_linked
from refrain.execution.spark_outputs import tidy
from refrain.execution.stage import Stage, announce
from refrain.storage.manifest import Manifest
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place
from refrain.storage.trees import OUTPUT


class Commit:
    """The commit of one step's outputs, which can be taken back until a record speaks of them."""

    def __init__(self, stage: Stage, ports: tuple[OutputPort, ...], state: WorkspaceState, step_name: str) -> None:
        """Prepare the commit of *ports*; nothing is touched yet."""
        self._stage = stage
        self._ports = ports
        self._state = state
        self._step_name = step_name
        self._targets = {p.name: state.stores.on(p.datastore, p.path_for(stage.run_id)) for p in ports}
        self._own: list[Place] = []

    def publish(self) -> dict[str, DataHandle]:
        """Publish the outputs and return references to them.

        All outputs are checked before the first is moved.

        :raises OutputError: an output is missing, empty, not storable, or stands in the way of existing data.
        """
        written = {port.name: self._checked(port) for port in self._ports}
        try:
            self._announce()
            for port in self._ports:
                self._bring(port, written[port.name])
            return {port.name: self._publish(port, written[port.name]) for port in self._ports}
        except OSError as error:
            # A store that cannot be reached may be there at the next try; a file in the way will not go away.
            kind = DataError if isinstance(error, DataError) else OutputError
            raise kind(f"Step {self._step_name!r}: its outputs cannot be stored: {error}") from error

    def take_back(self) -> None:
        """Remove what was moved to places of this run's own; what was merged into a shared place stays there."""
        for target in self._own:
            with contextlib.suppress(DataError):  # a store that has gone away; the sweep tries again
                target.store.remove(target.path)
        self._own.clear()

    def _checked(self, port: OutputPort) -> Manifest:
        path = self._stage.outputs[port.name]
        if port.kind.linked:
            require_linked(path, port, self._state, self._step_name)
        _require_produced(path, port, self._step_name)
        if port.globs and path.is_dir():
            _drop_unwanted(path, port.globs)
            _require_produced(path, port, self._step_name)
        if port.mode is OutputMode.HDFS:
            tidy(path, port.name, self._step_name)
        try:
            _make_links_relative(path)
            manifest = self._state.trees.manifest(path, OUTPUT)
        except OSError as error:
            raise OutputError(
                f"Step {self._step_name!r}: its output {port.name!r} cannot be stored: {error}"
            ) from error
        _require_free(path, self._targets[port.name], port, self._step_name)
        return manifest

    def _announce(self) -> None:
        """Note what will be this run's own, before any of it is there: bringing it may fail or be killed half-way."""
        alone = (self._targets[port.name] for port in self._ports if not port.is_shared)
        self._own = [target for target in alone if not target.exists()]
        if self._own:
            announce(self._stage, (target.uri for target in self._own))

    def _bring(self, port: OutputPort, written: Manifest) -> None:
        source, target = self._stage.outputs[port.name], self._targets[port.name]
        target.store.publish(source, target.path, written)

    def _publish(self, port: OutputPort, written: Manifest) -> DataHandle:
        """Store the manifest of what consumers will see: at a shared place, that may be more than was written now."""
        target = self._targets[port.name]
        others = [place for name, place in self._targets.items() if name != port.name]
        is_alone = not port.is_shared and not any(target.covers(place) or place.covers(target) for place in others)
        manifest = written if is_alone else target.manifest(OUTPUT)
        self._state.blobs.put_manifest(manifest)
        return DataHandle(target.uri, manifest.kind, manifest.digest, manifest.files, manifest.bytes)


def _require_produced(path: Path, port: OutputPort, step_name: str) -> None:
    if path.is_symlink():
        raise OutputError(
            f"Step {step_name!r}: its output {port.name!r} at {str(path)!r} is a link to {os.readlink(path)!r}, which "
            "others can change; copy the data instead."
        )
    if not path.exists():
        raise OutputError(
            f"Step {step_name!r} ended well, but its output {port.name!r} was not written to {str(path)!r}. The script "
            "gets that path where the output stands in its arguments."
        )
    if path.is_dir() and not any(True for _ in _files(path)):
        raise OutputError(
            f"Step {step_name!r} ended well, but its output {port.name!r} at {str(path)!r} is an empty directory."
        )
    if port.kind is OutputKind.DIRECTORY and not path.is_dir():
        raise OutputError(
            f"Step {step_name!r}: its output {port.name!r} at {str(path)!r} must be a directory, not a file."
        )


def _drop_unwanted(folder: Path, globs: tuple[str, ...]) -> None:
    for file in list(_files(folder)):
        if not any(fnmatch(file, pattern) or fnmatch(os.path.relpath(file, folder), pattern) for pattern in globs):
            os.unlink(file)


def _make_links_relative(path: Path) -> None:
    """Let links within an output lead to the same file after the move; those that leave it are refused later."""
    top = os.path.realpath(path)
    for parent, folders, names in os.walk(path):
        for link in (os.path.join(parent, name) for name in (*folders, *names)):
            if os.path.islink(link) and os.path.isabs(os.readlink(link)):
                goal = os.path.realpath(link)
                if os.path.commonpath((goal, top)) == top:
                    os.unlink(link)
                    os.symlink(os.path.relpath(goal, os.path.realpath(parent)), link)


def _require_free(source: Path, target: Place, port: OutputPort, step_name: str) -> None:
    """Refuse to replace files at a shared place unless the output says that it may."""
    clash = None if port.overwrite else target.store.clash(source, target.path)
    if clash is not None:
        raise OutputError(
            f"Step {step_name!r}: its output {port.name!r} would replace {clash!r}. Pass overwrite=True, or put "
            "{run-id} into its destination."
        )


def _files(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)
