"""JobPaths: what a step's process needs of this machine, where it runs in a container of its own.

Everything is found under the same path there, so that arguments and variables mean the same. Links are followed, since
what they lead to would else be missing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from refrain.compute.job import JobPath
from refrain.execution.datasets import MadeDataset
from refrain.execution.inputs import ResolvedInput
from refrain.execution.process_environment import RUNTIME
from refrain.execution.stage import Stage

_MOST_ALONE = 16
"""From one folder; where more of its files are needed, the folder is shown."""

_SYSTEM = ("/bin/", "/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sbin/", "/sys/", "/usr/bin/", "/usr/lib/")
"""Where a container has files of its own, to which a link means those."""


def job_paths(
    stage: Stage, folders: Iterable[str], inputs: Iterable[ResolvedInput], read: Mapping[str, str]
) -> tuple[JobPath, ...]:
    """Return the paths that a step's process may need, none below another that already shows it.

    Inputs can only be read: a step that writes to one would change the data of others.

    :param folders: where the process writes beside the stage: that of its run, and that of unfinished work.
    :param read: the paths of the inputs by name, as the process gets them.
    """
    own = [str(stage.folder), *folders, *(str(path) for path in stage.waiting if path != stage.mounts)]
    writable = [JobPath(path, path, is_writable=True) for path in own if os.path.isdir(path)]
    data = [JobPath(path, path) for path in _data(inputs, read)]
    linked = _reachable([JobPath(str(stage.folder), str(stage.folder)), *data])
    ours = [JobPath(path, path) for path in (str(stage.mounts), str(RUNTIME))]
    readable = [path for path in (*linked, *data, *ours) if os.path.exists(path.source)]
    return _without_shown([*writable, *_joined(readable)])


def _data(inputs: Iterable[ResolvedInput], read: Mapping[str, str]) -> Iterator[str]:
    """Yield the local paths by which a process finds its inputs."""
    for item in inputs:
        if isinstance(item.made, MadeDataset):
            places = (file.at.in_place for file in item.made.needed)
            yield from (str(place) for place in places if place is not None)
        if os.path.isabs(read[item.port.name]):
            yield read[item.port.name]


def _reachable(roots: list[JobPath]) -> Iterator[JobPath]:
    """Yield what symbolic links at and below some paths lead to, and links there in turn."""
    seen, waiting = set(), list(roots)
    while waiting:
        root = waiting.pop()
        for link in _links(root.source):
            named = root.path + link[len(root.source) :]
            target = os.path.normpath(os.path.join(os.path.dirname(named), os.readlink(link)))
            if target not in seen and not _is_of_system(target):
                seen.add(target)
                waiting.append(JobPath(target, os.path.realpath(link)))
                yield waiting[-1]


def _links(path: str) -> Iterator[str]:
    if os.path.islink(path):
        yield path
        return
    for parent, folders, names in os.walk(path):
        yield from filter(os.path.islink, (os.path.join(parent, name) for name in (*folders, *names)))


def _is_of_system(path: str) -> bool:
    return path == "/" or f"{path}/".startswith(_SYSTEM)


def _joined(paths: list[JobPath]) -> list[JobPath]:
    """Show a folder instead of its files one by one, where there are many."""
    folders = Counter(os.path.dirname(path.path) for path in paths if _is_plain_file(path))
    many = {folder for folder, count in folders.items() if count > _MOST_ALONE and not _is_of_system(folder)}
    kept = [path for path in paths if not _is_plain_file(path) or os.path.dirname(path.path) not in many]
    return [*kept, *(JobPath(folder, folder) for folder in sorted(many))]


def _is_plain_file(path: JobPath) -> bool:
    return path.path == path.source and os.path.isfile(path.source)


def _without_shown(paths: list[JobPath]) -> tuple[JobPath, ...]:
    kept: list[JobPath] = []
    for path in sorted(paths, key=lambda path: (path.path.count("/"), path.path, not path.is_writable)):
        if not any(_shows(other, path) for other in kept):
            kept.append(path)
    return tuple(kept)


def _shows(other: JobPath, path: JobPath) -> bool:
    """Say whether a path is shown as it should be by another; what can be written to there can be read as well."""
    below = path.path[len(other.path) :]
    is_below = path.path == other.path or path.path.startswith(f"{other.path}/")
    return is_below and path.source == other.source + below and other.is_writable >= path.is_writable
