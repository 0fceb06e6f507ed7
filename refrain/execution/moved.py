"""Moved: how far a copy is, in one line."""

from __future__ import annotations

from refrain.execution.duration import duration
from refrain.execution.sizes import size_text
from refrain.storage.watch import Progress


def moved(progress: Progress) -> str:
    """Return progress as people read it."""
    left = f", {duration(progress.eta)} left" if progress.eta else ""
    return (
        f"{progress.files} of {progress.all_files} files, {size_text(progress.bytes)} of "
        f"{size_text(progress.all_bytes)}, {size_text(progress.rate)}/s{left}"
    )
