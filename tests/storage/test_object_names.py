"""Objects whose names would be files somewhere else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import fsspec
import pytest

from refrain.errors import DataError
from refrain.storage.state import stores_without_workspace


class ByKey(fsspec.AbstractFileSystem):
    """Lists keys as they are, as object stores do."""

    protocol = "bykey"
    cachable = False
    keys: list[str]

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return str(path).split("://", 1)[-1]

    def find(self, path: str, detail: bool = False, **_: Any) -> Any:
        found = {key: self.info(key) for key in self.keys if key.startswith(f"{self._strip_protocol(path)}/")}
        return found if detail else list(found)

    def info(self, path: str, **_: Any) -> Any:
        key = self._strip_protocol(path)
        if key not in self.keys:
            raise FileNotFoundError(path)
        return {"name": key, "size": 4, "type": "file", "ETag": key}

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        return b"data"[start:end]

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return io.BytesIO(b"data")


@pytest.mark.parametrize("name", ["../../escaped", "a/../../../escaped", "/tmp/escaped", "a//b", "./a"])
def test_no_object_becomes_a_file_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    fsspec.register_implementation(ByKey.protocol, ByKey, clobber=True)
    ByKey.keys = ["bucket/data/good", f"bucket/data/{name}"]
    place = stores_without_workspace().named("bykey://bucket/data")
    view = tmp_path / "a" / "b" / "view"
    with pytest.raises(DataError, match="cannot be a file here: its name has an empty part"):
        place.store.mount(place.path, view)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"good"}


def test_names_with_dots_that_lead_nowhere_are_names(tmp_path: Path) -> None:
    fsspec.register_implementation(ByKey.protocol, ByKey, clobber=True)
    ByKey.keys = ["bucket/data/..a", "bucket/data/b/...", "bucket/data/.c"]
    place = stores_without_workspace().named("bykey://bucket/data")
    place.store.mount(place.path, tmp_path / "view")
    assert sorted(path.name for path in (tmp_path / "view").rglob("*") if path.is_file()) == ["...", "..a", ".c"]
