"""Git properties: which commit a source directory was at, recorded on runs as Azure ML does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_PROPERTIES = {
    "REPOSITORY_URI": ("azureml.git.repository_uri", "mlflow.source.git.repoURL"),
    "BRANCH": ("azureml.git.branch", "mlflow.source.git.branch"),
    "COMMIT": ("azureml.git.commit", "mlflow.source.git.commit"),
    "DIRTY": ("azureml.git.dirty",),
    "BUILD_ID": ("azureml.git.build_id",),
    "BUILD_URI": ("azureml.git.build_uri",),
}
_STATUS = ("--no-optional-locks", "status", "--porcelain=v2", "--branch", ".")
_ADDRESS = ("ls-remote", "--get-url")
_NO_REMOTE = "origin"
_NO_COMMIT = "(initial)"
_NO_BRANCH = "(detached)"
_TIMEOUT_SECONDS = 10


def git_properties(directory: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the git properties of a directory; empty without git or outside of a repository.

    The environment variables ``AZUREML_GIT_REPOSITORY_URI``, ``_BRANCH``, ``_COMMIT``, ``_DIRTY``, ``_BUILD_ID`` and
    ``_BUILD_URI`` rule over what git says.
    """
    found = _asked(directory) if _is_in_repository(directory) else {}
    given = {name: environ[f"AZUREML_GIT_{name}"] for name in _PROPERTIES if f"AZUREML_GIT_{name}" in environ}
    found.update({name: _without_credentials(text) for name, text in given.items()})
    return {key: value for name, value in found.items() if value for key in _PROPERTIES[name]}


def _asked(directory: str) -> dict[str, str]:
    processes = [_start(directory, *arguments) for arguments in (_STATUS, _ADDRESS)]  # at once, to save time
    status, address = (_answer(process) for process in processes)
    if not status:
        return {}
    lines = status.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit, branch = heads.get("branch.oid", ""), heads.get("branch.head", "")
    return {
        "REPOSITORY_URI": "" if address == _NO_REMOTE else _without_credentials(address),
        "BRANCH": "" if branch == _NO_BRANCH else branch,
        "COMMIT": "" if commit == _NO_COMMIT else commit,
        "DIRTY": "" if all(line.startswith("# ") for line in lines) else "True",
    }


def _is_in_repository(directory: str) -> bool:
    """Look for ``.git`` here or above, because starting git costs more than the whole decision to reuse a step."""
    folder = os.path.abspath(directory)
    while not os.path.exists(os.path.join(folder, ".git")):
        folder, last = os.path.dirname(folder), folder
        if folder == last:
            return False
    return True


def _start(directory: str, *arguments: str) -> subprocess.Popen[str] | None:
    import subprocess

    try:
        return subprocess.Popen(
            ["git", "-C", directory, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[str] | None) -> str:
    import subprocess

    if process is None:
        return ""
    with process:
        try:
            output, _ = process.communicate(timeout=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
    return output.strip() if process.returncode == 0 else ""


def _without_credentials(text: str) -> str:
    """Drop ``user:password@`` from an address; other texts stay as they are."""
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if separator else text
