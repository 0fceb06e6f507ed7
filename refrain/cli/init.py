"""``refrain init``: a workspace in a project's folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from refrain.cli.answer import Answer
from refrain.errors import UserError, WorkspaceError
from refrain.pipelines.workspace import CONFIG_FILE, ROOT_VARIABLE, Workspace
from refrain.storage.root import home_expanded

_IGNORED = "# Made by `refrain init`: results and runs do not belong into version control.\n*\n"


def init(options: argparse.Namespace) -> Answer:
    """Make ``.refrain`` with a configuration and a workspace; what is there already stays as it is.

    :raises UserError: when the workspace is there under another name.
    :raises WorkspaceError: when the folder cannot be written.
    """
    folder = home_expanded(options.folder).absolute()
    config = folder / CONFIG_FILE
    is_new = not config.exists()
    workspace = _make(folder, options.name) if is_new else Workspace.from_config(config)
    if options.name and workspace.name != options.name:
        raise UserError(
            f"{str(config)!r} already names the workspace {workspace.name!r}. Leave --name out, or change 'name' there."
        )
    says = "Made" if is_new else "There is already"
    lines = [
        f"{says} the workspace {workspace.name!r} in {workspace.root}",
        f"{CONFIG_FILE} tells scripts and commands below {folder} where it is; git ignores all of .refrain.",
    ]
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        lines.append(f"Mind that {ROOT_VARIABLE} is set and rules over it: {named}")
    document = {"created": is_new, "name": workspace.name, "root": workspace.root, "config": str(config)}
    return Answer(document, tuple(lines))


def _make(folder: Path, name: str | None) -> Workspace:
    workspace = Workspace(folder / ".refrain" / "workspace", name or folder.name)
    try:
        folder.joinpath(".refrain").mkdir(parents=True, exist_ok=True)
        ignore = folder / ".refrain" / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_IGNORED, encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"Cannot make a workspace in {str(folder)!r}: {error.strerror}.") from error
    workspace.write_config(folder)
    return workspace
