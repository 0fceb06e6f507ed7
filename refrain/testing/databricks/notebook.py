"""Notebook: runs a notebook in source format, in a process of its own, with what Databricks provides to it.

Called as ``notebook.py SOURCE FOLDER DBFS WORKSPACE``. Known limitations: cells in other languages than Python are
refused, ``%pip`` does nothing, and ``/dbfs/…`` is no folder: use ``dbutils.fs``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

PARAMETERS = "parameters.json"
RESULT = "result.json"

_SEPARATOR = "# COMMAND ----------"
_MAGIC = "# MAGIC "
_RUN = re.compile(r"%run\s+(\S+)")
_SILENT = ("%md", "%pip", "%sh pip")


class _Exit(BaseException):
    """What ends a notebook: no handler of the user's catches it."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class FileInfo(NamedTuple):
    """A file as ``dbutils.fs.ls`` lists it."""

    path: str
    name: str
    size: int


class FileTools:
    """``dbutils.fs``, on DBFS and on ``file:/``."""

    def __init__(self, dbfs: Path) -> None:
        self._dbfs = dbfs

    def ls(self, path: str) -> list[FileInfo]:
        """List a folder, folders with a ``/`` at the end of their names."""
        base = path.rstrip("/")
        found = sorted(self._local(path).iterdir())
        names = [(item, f"{item.name}/" if item.is_dir() else item.name) for item in found]
        return [FileInfo(f"{base}/{name}", name, 0 if item.is_dir() else item.stat().st_size) for item, name in names]

    def mkdirs(self, path: str) -> bool:
        """Make a folder, and those above."""
        self._local(path).mkdir(parents=True, exist_ok=True)
        return True

    def put(self, path: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text to a file."""
        target = self._local(path)
        if target.exists() and not overwrite:
            raise FileExistsError(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(contents, encoding="utf-8")
        return True

    def head(self, path: str, max_bytes: int = 65536) -> str:
        """Return the beginning of a file."""
        with self._local(path).open("rb") as file:
            return file.read(max_bytes).decode("utf-8")

    def cp(self, source: str, target: str, recurse: bool = False) -> bool:
        """Copy a file, or with *recurse* a folder."""
        one, other = self._local(source), self._local(target)
        other.parent.mkdir(parents=True, exist_ok=True)
        if recurse and one.is_dir():
            shutil.copytree(one, other, dirs_exist_ok=True)
        else:
            shutil.copyfile(one, other)
        return True

    def mv(self, source: str, target: str, recurse: bool = False) -> bool:
        """Move a file, or with *recurse* a folder."""
        return self.cp(source, target, recurse) and self.rm(source, recurse)

    def rm(self, path: str, recurse: bool = False) -> bool:
        """Delete a file, or with *recurse* a folder."""
        target = self._local(path)
        if target.is_dir() and recurse:
            shutil.rmtree(target)
            return True
        if not target.exists():
            return False
        os.remove(target)
        return True

    def _local(self, path: str) -> Path:
        if path.startswith("file:"):
            return Path(path.removeprefix("file:"))
        return self._dbfs / path.removeprefix("dbfs:").lstrip("/")


class Widgets:
    """``dbutils.widgets``."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = dict(values)

    def get(self, name: str) -> str:
        """Return a widget's value."""
        if name not in self._values:
            raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")
        return self._values[name]

    def getAll(self) -> dict[str, str]:  # noqa: N802  # Databricks' name
        """Return all values."""
        return dict(self._values)

    def text(self, name: str, defaultValue: str = "", label: str = "") -> None:  # noqa: ARG002, N803  # its names
        """Define a widget; a value that was given stays."""
        self._values.setdefault(name, defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Any = (), label: str = "") -> None:  # noqa: ARG002, N803
        """Define a widget; a value that was given stays."""
        self._values.setdefault(name, defaultValue)

    combobox = multiselect = dropdown

    def remove(self, name: str) -> None:
        """Remove a widget."""
        self._values.pop(name, None)

    def removeAll(self) -> None:  # noqa: N802  # Databricks' name
        """Remove all widgets."""
        self._values.clear()


class Secrets:
    """``dbutils.secrets``."""

    def __init__(self, scopes: dict[str, dict[str, str]]) -> None:
        self._scopes = scopes

    def get(self, scope: str, key: str) -> str:
        """Return a secret."""
        try:
            return self._scopes[scope][key]
        except KeyError:
            raise ValueError(f"Secret does not exist with scope: {scope} and key: {key}") from None


class NotebookTools:
    """``dbutils.notebook``."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def exit(self, value: Any) -> None:
        """End the notebook with a result."""
        raise _Exit(str(value))

    def run(self, path: str, timeout_seconds: int = 0, arguments: Any = None) -> str:  # noqa: ARG002  # its signature
        """Run another notebook, and return its result."""
        return str(self._run(path, dict(arguments or {})))


class _Spark:
    """A Spark session that is started by whoever uses it first."""

    def __init__(self) -> None:
        self._session: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._session is None:
            from pyspark.sql import SparkSession

            builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
            self._session = builder.getOrCreate()
        return getattr(self._session, name)


class Tools:
    """``dbutils`` of one notebook."""

    def __init__(self, where: Notebooks, here: Path, values: dict[str, str]) -> None:
        self.fs = FileTools(where.dbfs)
        self.widgets = Widgets(values)
        self.secrets = Secrets(where.scopes)
        self.notebook = NotebookTools(lambda path, arguments: where.run(where.find(path, here), arguments))


class Notebooks:
    """The notebooks of a workspace, and what they are given."""

    def __init__(self, dbfs: Path, workspace: Path, scopes: dict[str, dict[str, str]]) -> None:
        self.dbfs, self._workspace, self.scopes = dbfs, workspace, scopes
        self._spark = _Spark()

    def run(self, source: Path, values: dict[str, str]) -> str:
        """Run a notebook and return its result, empty without one."""
        tools = Tools(self, source, values)
        names: dict[str, Any] = {
            "__name__": "__main__",
            "dbutils": tools,
            "spark": self._spark,
            "display": print,
            "getArgument": tools.widgets.get,
        }
        try:
            self._execute(source, names)
        except _Exit as ending:
            return ending.value
        return ""

    def find(self, path: str, here: Path) -> Path:
        """Return the file of a notebook that another one names."""
        base = self._workspace / path.removeprefix("/Workspace").lstrip("/") if path.startswith("/") else None
        found = base or (here.parent / path)
        return found.with_name(f"{found.name}.py")

    def _execute(self, source: Path, names: dict[str, Any]) -> None:
        for number, cell in enumerate(source.read_text(encoding="utf-8").split(_SEPARATOR), 1):
            lines = cell.splitlines()
            magic = [line.removeprefix(_MAGIC).strip() for line in lines if line.startswith(_MAGIC)]
            if magic and magic[0].startswith("%"):
                self._obey(magic[0], source, names)
                continue
            code = compile(cell, f"{source.name}, cell {number}", "exec")
            exec(code, names)  # noqa: S102  # to run the user's notebook is what this is for

    def _obey(self, magic: str, source: Path, names: dict[str, Any]) -> None:
        run = _RUN.match(magic)
        if run is not None:
            self._execute(self.find(run[1].strip("'\""), source), names)
        elif not magic.startswith(_SILENT):
            raise NotImplementedError(f"{magic.split(maxsplit=1)[0]} cells cannot be run here.")


def main() -> None:
    """Run what the command line names, and leave the result for whoever asked for it."""
    source, folder, dbfs, workspace = map(Path, sys.argv[1:])
    values = json.loads((folder / PARAMETERS).read_text())
    scopes = json.loads((folder / "secrets.json").read_text())
    sys.path.insert(0, str(source.parent))
    result = Notebooks(dbfs, workspace, scopes).run(source, values)
    if result:
        (folder / RESULT).write_text(json.dumps({"result": result, "truncated": False}))


if __name__ == "__main__":
    main()
