"""Likeness: whether the interpreter of a node is that of the step, so that it comes to the same results."""

from __future__ import annotations

import os
import platform
import site
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

_METADATA = (".dist-info", ".egg-info")
_TOLD = 5


def likeness() -> dict[str, Any]:
    """Describe the running interpreter by what makes two of them alike; costs a listing of a folder or two."""
    folders = {*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])}
    names = (name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder))
    packages = sorted({os.path.splitext(name)[0] for name in names if name.endswith(_METADATA)})
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": packages,
    }


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say how a node's interpreter differs from ours; an empty text when it does not."""
    parts = [
        f"{name} {theirs[name]}, not {ours[name]}" for name in ("Python", "platform") if ours[name] != theirs[name]
    ]
    here, there = set(ours["packages"]), set(theirs["packages"])
    for word, names in (("without", here - there), ("with", there - here)):
        more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
        parts += [f"{word} {', '.join(sorted(names)[:_TOLD])}{more}"] if names else []
    return "; ".join(parts)
