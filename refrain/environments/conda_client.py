"""The program that solves and installs conda's packages, by py-rattler: a process of its own, which can be ended.

Called as ``python -m refrain.environments.conda_client solve|create FOLDER``; the question is the folder's
``request.json``, the answer its ``answer.json``. What goes wrong is said on standard output; code 2 means that what was
asked for cannot be had.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

REQUEST = "request.json"
ANSWER = "answer.json"
UNSOLVABLE = 2
_ALIAS = "https://conda.anaconda.org/"
_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
_FALLBACK = "conda-forge"
_MISMATCH = "hash mismatch"
_FILE = "file://"


def main(act: str, folder: str) -> int:
    """Do what is asked for, and return the exit code."""
    request = json.loads(Path(folder, REQUEST).read_text(encoding="utf-8"))
    from rattler.exceptions import InvalidMatchSpecError, SolverError

    try:
        answer = asyncio.run(_solve(request) if act == "solve" else _create(request))
    except Exception as error:  # noqa: BLE001  # the process's edge; rattler's errors have no base of their own
        print(str(error).strip() or type(error).__name__)  # noqa: T201  # this is how the process says it
        is_final = isinstance(error, (SolverError, InvalidMatchSpecError)) or _MISMATCH in str(error)
        return UNSOLVABLE if is_final else 1
    Path(folder, ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def channels_of(named: Iterable[str], matches: Iterable[str]) -> list[str]:
    """Return where to look: the channels that are named, then those that single packages name; else conda-forge."""
    of_matches = (match.partition("::")[0] for match in matches if "::" in match)
    all_named = [*named, *(place if "://" in place else place.partition("/")[0] for place in of_matches)]
    found: list[str] = []
    for name in dict.fromkeys(channel for channel in all_named if channel != "nodefaults"):
        found += _DEFAULTS if name == "defaults" else (name,)
    return found or [_FALLBACK]


async def _solve(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return records of packages, sorted by name.

    As conda's own default priority of channels: a later one is taken from only where the earlier ones lead nowhere.
    """
    from rattler import Channel, ChannelPriority, Client, Gateway, MatchSpec, VirtualPackage, VirtualPackageOverrides
    from rattler.channel import ChannelConfig
    from rattler.exceptions import SolverError
    from rattler.solver import solve

    config = ChannelConfig(os.environ.get("CONDA_CHANNEL_ALIAS", _ALIAS))
    asked = {
        "sources": [Channel(name, config) for name in channels_of(request["channels"], request["matches"])],
        "specs": [MatchSpec(match, strict=False) for match in request["matches"]],
        "gateway": Gateway(Path(request["cache"]) / "repodata", client=Client.authenticated_client()),
        "virtual_packages": VirtualPackage.detect(VirtualPackageOverrides.from_env()),
    }
    try:
        records = await solve(**asked)
    except SolverError as first:
        try:
            records = await solve(**asked, channel_priority=ChannelPriority.Disabled)
        except SolverError:
            raise first from None  # which is about the channels as they were named
    return sorted((json.loads(record.to_json()) for record in records), key=lambda record: str(record["name"]))


async def _create(request: dict[str, Any]) -> None:
    """Install packages into a folder that will be renamed to another, which their files name."""
    from rattler import Client, install

    for known in request["records"]:
        _require_unchanged(known)
    with tempfile.TemporaryDirectory() as folder:
        records = [_record(known, Path(folder)) for known in request["records"]]
    await install(
        records,
        target_prefix=request["folder"],
        alternative_target_prefix=request["final"],
        cache_dir=Path(request["cache"]) / "packages",
        client=Client.authenticated_client(),
        show_progress=False,
        execute_link_scripts=True,  # as conda does; without, some packages are not whole
    )


def _require_unchanged(known: dict[str, Any]) -> None:
    """Check the bytes of a package in a folder; rattler does so only for what it downloads."""
    wanted = known.get("sha256")
    if wanted and known["url"].startswith(_FILE):
        path = url2pathname(known["url"].removeprefix(_FILE))
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != wanted:
            raise ValueError(f"{_MISMATCH}: {path} was {wanted} when the environment was resolved, and is {found}")


def _record(known: dict[str, Any], folder: Path) -> Any:
    from rattler.repo_data import PackageRecord, RepoDataRecord

    path = folder / "index.json"
    path.write_text(json.dumps(known), encoding="utf-8")
    package = PackageRecord.from_index_json(path, known.get("size"), known.get("sha256"), known.get("md5"))
    return RepoDataRecord(package, known["fn"], known["url"], known["channel"])


if __name__ == "__main__":
    ended = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(ended)  # at once: rattler's threads, which go on for a moment, crash in an interpreter that is taken down
