"""Workspace: the user's handle on everything durable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refrain.data.datastore import Datastore
from refrain.errors import WorkspaceError, WorkspaceSchemaError
from refrain.reuse.verification import set_verification
from refrain.storage.identity import set_data_identity
from refrain.storage.retention import DEFAULT_GRACE_DAYS, Retention, set_retention
from refrain.storage.root import Option, Root
from refrain.storage.state import WorkspaceState

if TYPE_CHECKING:
    from refrain.data.files.dataset import FileDataset
    from refrain.data.models.model import Model
    from refrain.data.tabular.dataset import TabularDataset
    from refrain.environments.environment import Environment
    from refrain.pipelines.compute_target import ComputeTarget
    from refrain.pipelines.reuse import Reuse

ROOT_VARIABLE = "REFRAIN_WORKSPACE"
CONNECTION_VARIABLE = "REFRAIN_WORKSPACE_CONN_ID"
CONFIG_FILE = ".refrain/config.json"
_CONFIG_FILES = (CONFIG_FILE, ".azureml/config.json", "aml_config/config.json", "config.json")
_CONFIG_FOLDERS = (".refrain", ".azureml", "aml_config")
_DEFAULT_ROOT = ".refrain/workspace"


class Workspace:
    """A workspace in a folder or below a URL of any file system that fsspec knows, made on first use.

    :param root: the folder or the URL. None means ``REFRAIN_WORKSPACE``, else the nearest configuration file, else
        ``.refrain/workspace`` in the current directory.
    :param name: what the workspace is called if it is made now; one that is there keeps its name.
    :param conn_id: of a URL, the Airflow connection with the credentials. None means ``REFRAIN_WORKSPACE_CONN_ID``, or
        the credentials that the machine has.
    :param options: of a URL, what its file system takes beside them, such as ``endpoint_url``; nothing secret.
    :raises WorkspaceError: when it cannot be read or written.
    :raises WorkspaceSchemaError: when a newer Refrain wrote it.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        name: str | None = None,
        *,
        conn_id: str | None = None,
        options: Mapping[str, Option] | None = None,
    ) -> None:
        if root is None:
            found, found_name = _find(Path.cwd()) or (Root(Path(_DEFAULT_ROOT)), Path.cwd().name)
            name = name or found_name
        else:
            found = _named(root, conn_id, options)
        self.state = WorkspaceState(found)
        self.state.peek()  # a damaged or newer one fails here
        self._wanted_name = name

    @cached_property
    def name(self) -> str:
        """The workspace's name."""
        return self.state.open(self._wanted_name)

    @property
    def root(self) -> str:
        """The folder or URL that holds everything; ``Workspace(root)`` leads back to it."""
        return str(self.state.address)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None) -> Workspace:
        """Return the workspace that a configuration file names, looked for in *path* and every folder above it.

        Read are ``.refrain/config.json`` (``{"name", "root", "conn_id", "options"}``; a relative root counts from the
        folder that holds ``.refrain``, the last two go with a URL) and Azure ML's own ``config.json`` files, whose
        ``workspace_name`` becomes a workspace in ``.refrain/workspace`` beside them. ``REFRAIN_WORKSPACE`` rules over
        all of them.

        :param path: a folder or a configuration file; None means the current directory.
        :raises WorkspaceError: when there is no configuration file, or it is damaged.
        """
        start = Path(path or os.curdir).absolute()
        found = _find(start)
        if found is None:
            raise WorkspaceError(
                f"No configuration file was found in {str(start)!r} or above. Make a workspace with 'refrain init', or "
                f"name its folder with {ROOT_VARIABLE} or Workspace(root)."
            )
        root, name = found
        return cls(str(root), name)

    def write_config(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write ``.refrain/config.json`` below *path* (the current directory), so that :meth:`from_config` finds it."""
        file = Path(path or os.curdir).absolute() / CONFIG_FILE
        try:
            config = {"schema": 1, "name": self.name, **self._address_below(str(file.parent.parent))}
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(config, indent=1) + "\n")
        except OSError as error:
            raise WorkspaceError(f"Cannot write {str(file)!r}: {error.strerror}.") from error

    @property
    def datastores(self) -> dict[str, Datastore]:
        """Every datastore by name."""
        return {name: Datastore(self, name) for name in self.state.datastores.names()}

    @property
    def environments(self) -> dict[str, Environment]:
        """The newest version of every registered environment, by name."""
        from refrain.environments.environment import Environment

        return Environment.list(self)

    @property
    def compute_targets(self) -> dict[str, ComputeTarget]:
        """Every compute target by name."""
        from refrain.pipelines.compute_target import ComputeTarget

        return {target.name: target for target in ComputeTarget.list(self)}

    @cached_property
    def reuse(self) -> Reuse:
        """The results that are kept for reuse."""
        from refrain.pipelines.reuse import Reuse

        return Reuse(self.state)

    @property
    def datasets(self) -> dict[str, FileDataset | TabularDataset]:
        """The newest version of every registered dataset, by name."""
        from refrain.data.dataset import Dataset

        return Dataset.get_all(self)

    @property
    def models(self) -> dict[str, Model]:
        """The newest version of every registered model, by name."""
        from refrain.data.models.model import Model

        return {model.name: model for model in Model.list(self, latest=True)}

    def get_default_datastore(self) -> Datastore:
        """Return the datastore of outputs that name none."""
        return Datastore(self)

    def set_default_datastore(self, name: str) -> None:
        """Make another datastore the default.

        :raises UnknownNameError: when there is no datastore of this name.
        """
        self.state.datastores.set_default(name)

    def set_data_identity(self, value: str) -> None:
        """Choose what counts of data that comes from outside of a pipeline.

        :param value: ``content`` (the default): its bytes; ``definition``: where it is said to be, which is Azure ML's
            rule and never reads the bytes, so that a file changed under its path goes unnoticed.
        :raises UserError: for another word.
        """
        set_data_identity(self.state.registry, value)
        self.state.__dict__.pop("data_identity", None)

    def set_retention(
        self,
        days: float | None = None,
        runs: int | None = None,
        bytes: int | None = None,  # the word for it
        grace_days: float = DEFAULT_GRACE_DAYS,
    ) -> None:
        """Choose which runs ``refrain gc`` keeps: those within every limit that is given; without any, all.

        :param days: runs that ended no longer ago.
        :param runs: the latest so many of each pipeline.
        :param bytes: the latest whose outputs together have no more bytes.
        :param grace_days: whatever was written within this time stays; longer than the longest run.
        :raises UserError: for a number below 0, or below 1 for *runs*.
        """
        set_retention(self.state.registry, Retention(days, runs, bytes, grace_days))

    def set_verification(self, value: str | float) -> None:
        """Choose how often a reused result's bytes are read again; that they are there is checked every time.

        :param value: ``full`` (every time), ``stat`` (never) or a share between 0 and 1; 0.01 unless it was set. A
            share below 1 leaves out what is on another machine or larger than 256 MB.
        :raises UserError: for anything else.
        """
        set_verification(self.state.registry, value)

    def _address_below(self, folder: str) -> dict[str, Any]:
        """Return what a configuration file in *folder* says of the root."""
        address = self.state.address
        if address.folder is not None:
            return {"root": os.path.relpath(self.root, folder) if _is_below(self.root, folder) else self.root}
        config: dict[str, Any] = {"root": address.url}
        if address.conn_id:
            config["conn_id"] = address.conn_id
        return {**config, "options": dict(address.options)} if address.options else config

    def __repr__(self) -> str:
        return f"Workspace({self.root!r})"


def _named(
    text: str | os.PathLike[str], conn_id: str | None = None, options: Mapping[str, Option] | None = None
) -> Root:
    """Return the root that was named; the variable speaks where nothing else says how it is reached."""
    root = Root.parse(text, conn_id, options)
    given = os.environ.get(CONNECTION_VARIABLE)
    return replace(root, conn_id=given) if given and root.folder is None and root.conn_id is None else root


def _find(start: Path) -> tuple[Root, str | None] | None:
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return _named(named), None
    if start.is_file():
        return _read(start, _load(start))
    for folder in (start, *start.parents):
        for file in (folder / name for name in _CONFIG_FILES):
            if file.is_file() and _is_ours(file):
                return _read(file, _load(file))
    return None


def _is_ours(file: Path) -> bool:
    """Say whether a file is a workspace's: a ``config.json`` at the top of a project may belong to anybody."""
    if file.parent.name in _CONFIG_FOLDERS:
        return True
    try:
        return "workspace_name" in _load(file)
    except WorkspaceError:
        return False


def _load(file: Path) -> dict[str, Any]:
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"The configuration file {str(file)!r} cannot be read: {error}.") from error
    return config if isinstance(config, dict) else {}


def _read(file: Path, config: dict[str, Any]) -> tuple[Root, str | None]:
    folder = file.parent.parent if file.parent.name in _CONFIG_FOLDERS else file.parent
    schema, root, name = config.get("schema", 1), config.get("root"), config.get("name")
    if isinstance(schema, int) and schema > 1:
        raise WorkspaceSchemaError(
            f"The configuration file {str(file)!r} has schema {schema}, this Refrain reads up to 1; upgrade Refrain."
        )
    if isinstance(root, str) and root:
        return _configured(file, folder, config), name if isinstance(name, str) else None
    if isinstance(config.get("workspace_name"), str):
        return Root(folder / _DEFAULT_ROOT), config["workspace_name"]
    raise WorkspaceError(f"The configuration file {str(file)!r} names neither a 'root' nor a 'workspace_name'.")


def _configured(file: Path, folder: Path, config: dict[str, Any]) -> Root:
    conn_id, options = config.get("conn_id"), config.get("options", {})
    if not isinstance(conn_id, str | None) or not isinstance(options, dict):
        raise WorkspaceError(
            f"The configuration file {str(file)!r}: 'conn_id' must be a text, and 'options' names with their values."
        )
    root = _named(config["root"], conn_id, options)
    return replace(root, folder=folder / root.folder) if root.folder is not None else root


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder
