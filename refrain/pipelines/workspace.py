"""Workspace: the user's handle on everything durable."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from refrain.data.datastore import Datastore
from refrain.errors import WorkspaceError, WorkspaceSchemaError
from refrain.pipelines.reuse import Reuse
from refrain.reuse.verification import set_verification
from refrain.storage.identity import set_data_identity
from refrain.storage.state import WorkspaceState

if TYPE_CHECKING:
    from refrain.data.files.dataset import FileDataset
    from refrain.data.tabular.dataset import TabularDataset

ROOT_VARIABLE = "REFRAIN_WORKSPACE"
CONFIG_FILE = ".refrain/config.json"
_CONFIG_FILES = (CONFIG_FILE, ".azureml/config.json", "aml_config/config.json", "config.json")
_CONFIG_FOLDERS = (".refrain", ".azureml", "aml_config")
_DEFAULT_ROOT = ".refrain/workspace"


class Workspace:
    """A workspace in a local folder, made on first use.

    :param root: the folder. None means ``REFRAIN_WORKSPACE``, else the nearest configuration file, else
        ``.refrain/workspace`` in the current directory.
    :param name: what the workspace is called if it is made now; one that is there keeps its name.
    :raises WorkspaceError: when the folder cannot be read or written.
    :raises WorkspaceSchemaError: when a newer Refrain wrote it.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, name: str | None = None) -> None:
        if root is None:
            root, found_name = _find(Path.cwd()) or (Path(_DEFAULT_ROOT), Path.cwd().name)
            name = name or found_name
        self.state = WorkspaceState(_local(root))
        self.state.peek()  # a damaged or newer one fails here
        self._wanted_name = name

    @cached_property
    def name(self) -> str:
        """The workspace's name."""
        return self.state.open(self._wanted_name)

    @property
    def root(self) -> str:
        """The folder that holds everything."""
        return str(self.state.root)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None) -> Workspace:
        """Return the workspace that a configuration file names, looked for in *path* and every folder above it.

        Read are ``.refrain/config.json`` (``{"name", "root"}``; a relative root counts from the folder that holds
        ``.refrain``) and Azure ML's own ``config.json`` files, whose ``workspace_name`` becomes a workspace in
        ``.refrain/workspace`` beside them. ``REFRAIN_WORKSPACE`` rules over all of them.

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
        return cls(root, name)

    def write_config(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write ``.refrain/config.json`` below *path* (the current directory), so that :meth:`from_config` finds it."""
        file = Path(path or os.curdir).absolute() / CONFIG_FILE
        try:
            folder = str(file.parent.parent)
            root = os.path.relpath(self.root, folder) if _is_below(self.root, folder) else self.root
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"schema": 1, "name": self.name, "root": root}, indent=1) + "\n")
        except OSError as error:
            raise WorkspaceError(f"Cannot write {str(file)!r}: {error.strerror}.") from error

    @property
    def datastores(self) -> dict[str, Datastore]:
        """Every datastore by name."""
        return {name: Datastore(self, name) for name in self.state.datastores.names()}

    @cached_property
    def reuse(self) -> Reuse:
        """The results that are kept for reuse."""
        return Reuse(self.state)

    @property
    def datasets(self) -> dict[str, FileDataset | TabularDataset]:
        """The newest version of every registered dataset, by name."""
        from refrain.data.dataset import Dataset

        return Dataset.get_all(self)

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

    def set_verification(self, value: str | float) -> None:
        """Choose how often a reused result's bytes are read again; that they are there is checked every time.

        :param value: ``full`` (every time), ``stat`` (never) or a share between 0 and 1; 0.01 unless it was set. A
            share below 1 leaves out what is on another machine or larger than 256 MB.
        :raises UserError: for anything else.
        """
        set_verification(self.state.registry, value)

    def __repr__(self) -> str:
        return f"Workspace({self.root!r})"


def _find(start: Path) -> tuple[Path, str | None] | None:
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return _local(named), None
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


def _read(file: Path, config: dict[str, Any]) -> tuple[Path, str | None]:
    folder = file.parent.parent if file.parent.name in _CONFIG_FOLDERS else file.parent
    schema, root, name = config.get("schema", 1), config.get("root"), config.get("name")
    if isinstance(schema, int) and schema > 1:
        raise WorkspaceSchemaError(
            f"The configuration file {str(file)!r} has schema {schema}, this Refrain reads up to 1; upgrade Refrain."
        )
    if isinstance(root, str) and root:
        return folder / _local(root), name if isinstance(name, str) else None
    if isinstance(config.get("workspace_name"), str):
        return folder / _DEFAULT_ROOT, config["workspace_name"]
    raise WorkspaceError(f"The configuration file {str(file)!r} names neither a 'root' nor a 'workspace_name'.")


def _local(root: str | os.PathLike[str]) -> Path:
    text = os.fspath(root)
    if not text.strip():
        raise WorkspaceError("The workspace's folder has an empty name; give a folder.")
    if text.startswith("file://"):
        return Path(unquote(text.removeprefix("file://")))
    if "://" in text:
        raise WorkspaceError(f"The workspace {text!r} is not a local folder; only local folders are supported.")
    return Path(text).expanduser()


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder
