"""Packages: what a step's process could import, kept with its run."""

from __future__ import annotations

from collections.abc import Mapping

from refrain.environments.interpreter import NO_INTERPRETER, InterpreterIdentity
from refrain.errors import WorkspaceError
from refrain.storage.blobs import blob_key
from refrain.storage.state import WorkspaceState

PYTHON = "refrain.python"
PACKAGES = "refrain.packages"


def keep_packages(identity: InterpreterIdentity, state: WorkspaceState) -> dict[str, str]:
    """Store the list of packages, for explanations and for those who look at the run, and return what to note of it."""
    if identity == NO_INTERPRETER:
        return {}
    key = blob_key(identity.packages_digest)
    if not state.objects.is_fresh(key):
        state.objects.put(key, identity.packages_text, durable=False)
    return {PYTHON: identity.version, PACKAGES: identity.packages_digest}


def packages_of(properties: Mapping[str, str], state: WorkspaceState) -> tuple[str, ...] | None:
    """Return the packages that a run noted; None when they are not known any more."""
    digest = properties.get(PACKAGES)
    try:
        content = state.objects.get(blob_key(digest)) if digest else None
    except WorkspaceError:
        return None
    return None if content is None else tuple(content.decode("utf-8", "replace").splitlines())
