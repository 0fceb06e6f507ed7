"""Extensions: what other installed packages add, found by their entry points.

A package names its additions in its ``pyproject.toml``::

    [project.entry-points."refrain.compute"]
    slurm = "refrain_slurm:SlurmKind"

    [project.entry-points."refrain.steps"]
    r_markdown = "refrain_rmd:RMarkdownBody"
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from refrain.errors import UserError

COMPUTE = "refrain.compute"
"""Kinds of compute targets: see :class:`refrain.compute.kinds.TargetKind`."""

STEPS = "refrain.steps"
"""Kinds of steps, each with the class of its body: see :class:`refrain.execution.body.Body`."""


def installed(group: str) -> dict[str, str]:
    """Return the names that installed packages add to a group, each with where it is, as ``module:name``."""
    return dict(_installed(group))


def load(group: str, name: str) -> Any:
    """Load what a package has added under a name; None when there is none.

    :raises UserError: when two packages add the name, or what is named cannot be imported.
    """
    found = [where for added, where in _installed(group) if added == name]
    if len(found) > 1:
        raise UserError(f"{len(found)} packages add {name!r} to {group}: {', '.join(found)}. Uninstall one of them.")
    return load_object(found[0]) if found else None


def load_object(where: str) -> Any:
    """Import what ``module:name`` means.

    :raises UserError: when it cannot be imported.
    """
    from importlib import import_module

    module, _, name = where.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where!r} cannot be loaded: {error}. Repair or uninstall the package that has it.") from error


@lru_cache
def _installed(group: str) -> tuple[tuple[str, str], ...]:
    from importlib.metadata import entry_points  # here: it reads every package's metadata, which most runs never need

    return tuple(sorted({(point.name, point.value) for point in entry_points(group=group)}))
