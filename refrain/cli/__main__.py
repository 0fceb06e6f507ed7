"""``python -m refrain.cli``: the ``refrain`` command where its script is not installed."""

from __future__ import annotations

import sys

from refrain.cli import command

if __name__ == "__main__":
    sys.exit(command())
