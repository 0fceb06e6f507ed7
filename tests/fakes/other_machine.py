"""Processes that count as those of another machine: in a name space of their own, in which process ids start anew."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def on_another_machine() -> list[str]:
    """Return the words before a command that let it, and all that it starts, run there.

    What they start dies with a SIGKILL to it. The test is skipped where nobody may make a name space.
    """
    words = ["unshare", "--pid", "--fork", "--kill-child"]
    if shutil.which(words[0]) is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs unshare, and the right to make a namespace")
    return words
