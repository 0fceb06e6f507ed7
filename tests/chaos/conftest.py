"""How long the tests of this room are, and the figures that they report."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from chaos.plan import Plan
from fakes.processes import race

__all__ = ["race"]


@pytest.fixture(scope="session")
def plan() -> Plan:
    is_long = os.environ.get("REFRAIN_TEST_CHAOS") == "long"
    seed = os.environ.get("REFRAIN_TEST_SEED") or (str(random.SystemRandom().randrange(2**31)) if is_long else "7")
    return Plan(is_long, int(seed))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Reports a line, which is printed when all tests have ended."""
    return lambda line: record_property("figure", line)
