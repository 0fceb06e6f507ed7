"""An object store in a folder, which outlives the process that uses it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

PROTOCOL = "kept"


class FolderStore(LocalFileSystem):
    """Files that are written whole or not at all, conditionally where that is asked for, with tags of their content.

    As in object stores there are no folders: one without files is not there, whoever died before it got any.
    """

    protocol = PROTOCOL
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).removeprefix(f"{PROTOCOL}://"))

    def info(self, path: Any, **kwargs: Any) -> Any:
        found = super().info(path, **kwargs)
        if found["type"] == "file":
            with contextlib.suppress(FileNotFoundError):
                found["ETag"] = hashlib.md5(Path(found["name"]).read_bytes()).hexdigest()
        elif not any(names for _, _, names in os.walk(found["name"])):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), found["name"])
        return found

    def ls(self, path: Any, detail: bool = False, **kwargs: Any) -> Any:
        found = super().ls(path, detail=True, **kwargs)  # asks for each, so that folders without files are left out
        return found if detail else [entry["name"] for entry in found]

    def pipe_file(self, path: Any, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        target = Path(self._strip_protocol(path))
        waiting = Path(os.environ["REFRAIN_CACHE"]) / f"kept-{uuid.uuid4().hex}"
        waiting.parent.mkdir(parents=True, exist_ok=True)
        waiting.write_bytes(value)
        try:
            while True:
                target.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # the folder has just become empty
                    (os.link if mode == "create" else os.replace)(waiting, target)
                    return
        finally:
            waiting.unlink(missing_ok=True)

    def put_file(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        self.pipe_file(path2, Path(path1).read_bytes())

    def rm_file(self, path: Any) -> None:
        target = Path(self._strip_protocol(path))
        target.unlink()
        with contextlib.suppress(OSError):
            for folder in target.parents:
                folder.rmdir()


def register() -> None:
    """Let URLs that begin with ``kept://`` be folders of this machine."""
    fsspec.register_implementation(PROTOCOL, FolderStore, clobber=True)
