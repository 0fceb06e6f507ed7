"""A conda channel in a folder, with packages that are made in a moment."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from refrain.environments.interpreter import base_interpreter

_SUBDIR = "linux-64" if os.uname().machine == "x86_64" else f"linux-{os.uname().machine}"


class CondaChannel:
    """Packages below ``<folder>/<subdir>``, and the index that a client reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = folder.as_uri()
        self._records: dict[str, dict[str, dict[str, object]]] = {_SUBDIR: {}, "noarch": {}}
        self._write()

    def add_python(self, version: str = "{}.{}.{}".format(*sys.version_info)) -> Path:
        """Add a Python that is this machine's, as a virtual environment would have it."""
        minor = ".".join(map(str, sys.version_info[:2]))
        home = os.path.dirname(base_interpreter())
        links = {f"bin/python{minor}": os.path.realpath(base_interpreter()), "bin/python": f"python{minor}"}
        files = {"pyvenv.cfg": f"home = {home}\n", f"lib/python{minor}/site-packages/README.txt": "packages\n"}
        return self.add("python", version, files=files, links=links)

    def add_module(self, name: str, version: str, depends: Sequence[str] = (), code: str = "") -> Path:
        """Add a package of one Python module of its name, which says its version."""
        module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
        files = {
            f"site-packages/{module}.py": f"VERSION = {version!r}\nSOURCE = 'conda'\n{code}",
            f"site-packages/{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"site-packages/{info}/INSTALLER": "conda\n",
            f"site-packages/{info}/RECORD": f"{module}.py,,\n{info}/METADATA,,\n{info}/INSTALLER,,\n{info}/RECORD,,\n",
        }
        link = json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1})
        return self.add(name, version, ["python", *depends], files, noarch="python", info={"link.json": link})

    def add(
        self,
        name: str,
        version: str,
        depends: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        *,
        links: Mapping[str, str] | None = None,
        noarch: str = "",
        info: Mapping[str, str] | None = None,
        prefix: str = "",
    ) -> Path:
        """Add a package.

        :param prefix: what in its text files stands for the folder of the environment.
        """
        files, links = files or {}, links or {}
        subdir = "noarch" if noarch else _SUBDIR
        record: dict[str, object] = {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "subdir": subdir,
        }
        record |= {"depends": list(depends), **({"noarch": noarch} if noarch else {})}
        paths = [_path(path, text, prefix) for path, text in files.items()]
        paths += [{"_path": path, "path_type": "softlink"} for path in links]
        texts = {
            "info/index.json": json.dumps(record),
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
            "info/files": "".join(f"{path}\n" for path in (*files, *links)),
            **{f"info/{path}": text for path, text in (info or {}).items()},
        }
        target = self.folder / subdir / f"{name}-{version}-0.tar.bz2"
        with tarfile.open(target, "w:bz2") as archive:
            for path, text in (texts | dict(files)).items():
                _add(archive, path, text)
            for path, to in links.items():
                member = tarfile.TarInfo(path)
                member.type, member.linkname = tarfile.SYMTYPE, to
                archive.addfile(member)
        content = target.read_bytes()
        sums = {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}
        self._records[subdir][target.name] = {**record, **sums, "size": len(content)}
        self._write()
        return target

    def _write(self) -> None:
        for subdir, records in self._records.items():
            (self.folder / subdir).mkdir(parents=True, exist_ok=True)
            index = {"info": {"subdir": subdir}, "packages": records, "packages.conda": {}, "repodata_version": 1}
            (self.folder / subdir / "repodata.json").write_text(json.dumps(index))


def _path(path: str, text: str, prefix: str) -> dict[str, object]:
    content = text.encode()
    found: dict[str, object] = {"_path": path, "path_type": "hardlink", "size_in_bytes": len(content)}
    found["sha256"] = hashlib.sha256(content).hexdigest()
    return found | ({"prefix_placeholder": prefix, "file_mode": "text"} if prefix and prefix in text else {})


def _add(archive: tarfile.TarFile, path: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o755 if path.startswith("bin/") else 0o644
    archive.addfile(member, io.BytesIO(content))
