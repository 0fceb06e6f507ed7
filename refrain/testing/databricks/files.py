"""Files: DBFS and the workspace's notebooks and files, as folders of this machine."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

from refrain.testing.databricks.refusal import Refusal, invalid, missing

NOTEBOOK_HEADER = "# Databricks notebook source"
_MOST_AT_ONCE = 1024 * 1024
_Json = dict[str, Any]


class Files:
    """The two trees. A notebook is a ``.py`` file, whose ending its path in the workspace does not show."""

    def __init__(self, folder: Path) -> None:
        """Keep them below *folder*."""
        self.dbfs = folder / "dbfs"
        self.workspace = folder / "workspace"
        for root in (self.dbfs, self.workspace):
            root.mkdir(parents=True, exist_ok=True)
        self._handles: dict[int, Path] = {}
        self._numbers = itertools.count(1)

    def script(self, path: str) -> Path | None:
        """Return the file of a script or a JAR; None when there is none."""
        root, inner = (self.dbfs, path.removeprefix("dbfs:")) if path.startswith("dbfs:") else (self.workspace, path)
        found = Path(path.removeprefix("file:")) if path.startswith("file:") else _below(root, _plain(inner))
        return found if found.is_file() else None

    def notebook(self, path: str) -> Path | None:
        """Return the file of a notebook; None when there is none."""
        found = _below(self.workspace, _plain(path))
        source = found.with_name(f"{found.name}.py")
        return source if source.is_file() else None

    def put_notebook(self, path: str, source: str) -> None:
        """Store a notebook, given as its source."""
        target = _below(self.workspace, _plain(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        head = "" if source.startswith(NOTEBOOK_HEADER) else f"{NOTEBOOK_HEADER}\n"
        target.with_name(f"{target.name}.py").write_text(head + source, encoding="utf-8")

    def dbfs_put(self, request: _Json) -> _Json:
        """``dbfs/put``."""
        content = base64.b64decode(request["contents"])
        if len(content) > _MOST_AT_ONCE:
            raise Refusal(400, "MAX_BLOCK_SIZE_EXCEEDED", "The block exceeds 1 MB.")
        self._new(request).write_bytes(content)
        return {}

    def dbfs_create(self, request: _Json) -> _Json:
        """``dbfs/create``."""
        number, path = next(self._numbers), self._new(request)
        path.write_bytes(b"")
        self._handles[number] = path
        return {"handle": number}

    def dbfs_add_block(self, request: _Json) -> _Json:
        """``dbfs/add-block``."""
        data = base64.b64decode(request["data"])
        if len(data) > _MOST_AT_ONCE:
            raise Refusal(400, "MAX_BLOCK_SIZE_EXCEEDED", "The block exceeds 1 MB.")
        with self._handle(request).open("ab") as file:
            file.write(data)
        return {}

    def dbfs_close(self, request: _Json) -> _Json:
        """``dbfs/close``."""
        self._handle(request)
        del self._handles[request["handle"]]
        return {}

    def dbfs_status(self, request: _Json) -> _Json:
        """``dbfs/get-status``."""
        return _info(self._there(request), self.dbfs)

    def dbfs_list(self, request: _Json) -> _Json:
        """``dbfs/list``."""
        path = self._there(request)
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        return {"files": [_info(item, self.dbfs) for item in found]}

    def dbfs_read(self, request: _Json) -> _Json:
        """``dbfs/read``."""
        start = int(request.get("offset", 0))
        data = self._there(request).read_bytes()[start : start + int(request.get("length", _MOST_AT_ONCE))]
        return {"bytes_read": len(data), "data": base64.b64encode(data).decode()}

    def dbfs_mkdirs(self, request: _Json) -> _Json:
        """``dbfs/mkdirs``."""
        _below(self.dbfs, request["path"]).mkdir(parents=True, exist_ok=True)
        return {}

    def dbfs_delete(self, request: _Json) -> _Json:
        """``dbfs/delete``."""
        _remove(_below(self.dbfs, request["path"]), bool(request.get("recursive")))
        return {}

    def import_(self, request: _Json) -> _Json:
        """``workspace/import``: source that begins like a notebook becomes one."""
        content = base64.b64decode(request["content"])
        path = _below(self.workspace, _plain(request["path"]))
        if not path.parent.is_dir():
            raise missing(f"The parent folder ({os.path.dirname(request['path'])})")
        is_notebook = content.startswith(NOTEBOOK_HEADER.encode()) or request.get("format", "SOURCE") == "SOURCE"
        if is_notebook:
            self.put_notebook(_plain(request["path"]).removesuffix(".py"), content.decode())
            return {}
        if path.exists() and not request.get("overwrite"):
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS", f"{request['path']} already exists.")
        path.write_bytes(content)
        return {}

    def export(self, request: _Json) -> _Json:
        """``workspace/export``."""
        found = self.notebook(request["path"]) or self.script(request["path"])
        if found is None:
            raise missing(f"Path ({request['path']})")
        return {"content": base64.b64encode(found.read_bytes()).decode(), "file_type": "py"}

    def workspace_status(self, request: _Json) -> _Json:
        """``workspace/get-status``."""
        path = request["path"]
        if self.notebook(path) is not None:
            return {"path": path, "object_type": "NOTEBOOK", "language": "PYTHON"}
        found = _below(self.workspace, _plain(path))
        if not found.exists():
            raise missing(f"Path ({path})")
        return {"path": path, "object_type": "DIRECTORY" if found.is_dir() else "FILE"}

    def workspace_mkdirs(self, request: _Json) -> _Json:
        """``workspace/mkdirs``."""
        _below(self.workspace, _plain(request["path"])).mkdir(parents=True, exist_ok=True)
        return {}

    def workspace_delete(self, request: _Json) -> _Json:
        """``workspace/delete``."""
        found = self.notebook(request["path"]) or _below(self.workspace, _plain(request["path"]))
        if not found.exists():
            raise missing(f"Path ({request['path']})")
        _remove(found, bool(request.get("recursive")))
        return {}

    def _new(self, request: _Json) -> Path:
        path = _below(self.dbfs, request["path"])
        if path.exists() and not request.get("overwrite"):
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS", f"{request['path']} already exists.")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _there(self, request: _Json) -> Path:
        path = _below(self.dbfs, request["path"])
        if not path.exists():
            raise missing(f"No file or directory exists on path {request['path']}; it")
        return path

    def _handle(self, request: _Json) -> Path:
        try:
            return self._handles[int(request["handle"])]
        except KeyError:
            raise missing(f"Handle {request['handle']}") from None


def _below(root: Path, path: str) -> Path:
    if not path.startswith("/") or ".." in path.split("/"):
        raise invalid(f"Path must be absolute: {path}")
    return root / path.lstrip("/")


def _plain(path: str) -> str:
    """Return a path in the workspace without the folder by which clusters see it."""
    return path.removeprefix("/Workspace") or "/"


def _info(path: Path, root: Path) -> _Json:
    status = path.stat()
    return {
        "path": f"/{path.relative_to(root)}",
        "is_dir": path.is_dir(),
        "file_size": 0 if path.is_dir() else status.st_size,
        "modification_time": status.st_mtime_ns // 1_000_000,
    }


def _remove(path: Path, is_recursive: bool) -> None:
    if path.is_dir():
        if any(path.iterdir()) and not is_recursive:
            raise Refusal(400, "DIRECTORY_NOT_EMPTY", "The folder is not empty.")
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
