"""FoundWorkspace: the workspace that a command looks into."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from refrain.errors import WorkspaceError
from refrain.pipelines.workspace import Workspace

_DEFAULT = ".refrain/workspace"


def open_workspace(options: argparse.Namespace) -> Workspace:
    """Return the workspace to look into; none is made.

    :raises WorkspaceError: when there is none.
    """
    named = getattr(options, "workspace", None)
    if named is not None:
        workspace = Workspace(named)
        is_there = Path(named).is_dir() if workspace.state.is_local else workspace.state.peek() is not None
        if not is_there:
            raise WorkspaceError(
                f"There is no workspace {named!r}. Correct the name; a workspace is made by the first run in it."
            )
        return workspace
    if os.path.isdir(_DEFAULT):  # made by Workspace() where nothing was configured
        return Workspace()
    return Workspace.from_config()
