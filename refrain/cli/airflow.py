"""``refrain up`` and ``refrain demo``: done by the package for Airflow, which is loaded on use."""

from __future__ import annotations

import argparse
from importlib import import_module

from refrain.errors import UserError

_MODULE = "refrain_operators.demo"


def up(options: argparse.Namespace) -> int:
    """Start Airflow and serve until interrupted."""
    return _call("up", options)


def demo(options: argparse.Namespace) -> int:
    """Run the example pipeline on Airflow, twice."""
    return _call("demo", options)


def _call(name: str, options: argparse.Namespace) -> int:
    try:
        function = getattr(import_module(_MODULE), name)
    except ImportError as error:
        raise UserError(
            f"'refrain {name}' needs Apache Airflow, and this is missing: {error.name or error}. "
            "Install it with: pip install 'refrain[airflow]'"
        ) from error
    return int(function(options))
