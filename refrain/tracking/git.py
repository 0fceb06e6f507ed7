"""Git properties: which commit a source directory was at, recorded on runs as Azure ML does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import lru_cache

_QUESTIONS = {
    "REPOSITORY_URI": ("ls-remote", "--get-url"),
    "BRANCH": ("symbolic-ref", "--short", "HEAD"),
    "COMMIT": ("rev-parse", "HEAD"),
    "DIRTY": ("status", "--porcelain", "."),
}
_PROPERTIES = {
    "REPOSITORY_URI": ("azureml.git.repository_uri", "mlflow.source.git.repoURL"),
    "BRANCH": ("azureml.git.branch", "mlflow.source.git.branch"),
    "COMMIT": ("azureml.git.commit", "mlflow.source.git.commit"),
    "DIRTY": ("azureml.git.dirty",),
    "BUILD_ID": ("azureml.git.build_id",),
    "BUILD_URI": ("azureml.git.build_uri",),
}


def git_properties(directory: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the git properties of a directory; empty without git or outside of a repository.

    The environment variables ``AZUREML_GIT_REPOSITORY_URI``, ``_BRANCH``, ``_COMMIT``, ``_DIRTY``, ``_BUILD_ID`` and
    ``_BUILD_URI`` rule over what git says.
    """
    found = dict(_asked(directory))
    found.update({name: environ[f"AZUREML_GIT_{name}"] for name in _PROPERTIES if f"AZUREML_GIT_{name}" in environ})
    return {key: value for name, value in found.items() for key in _PROPERTIES[name]}


@lru_cache
def _asked(directory: str) -> tuple[tuple[str, str], ...]:
    if not _is_in_repository(directory):
        return ()
    answers = {name: _git(directory, *question) for name, question in _QUESTIONS.items()}
    if answers["DIRTY"]:
        answers["DIRTY"] = "True"
    if answers["REPOSITORY_URI"] == "origin":  # git's answer when there is no remote
        answers["REPOSITORY_URI"] = ""
    return tuple((name, _without_credentials(answer)) for name, answer in answers.items() if answer)


def _is_in_repository(directory: str) -> bool:
    """Look for ``.git`` here or above, because starting git costs more than the whole decision to reuse a step."""
    folder = os.path.abspath(directory)
    while not os.path.exists(os.path.join(folder, ".git")):
        folder, last = os.path.dirname(folder), folder
        if folder == last:
            return False
    return True


def _git(directory: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", directory, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _without_credentials(text: str) -> str:
    """Drop ``user:password@`` from a repository's address."""
    scheme, separator, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else text
