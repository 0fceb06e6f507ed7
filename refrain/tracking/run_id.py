"""Run ids: ``<root>`` for a pipeline run, ``<root>.<step key>.<attempt>`` for a step run."""

from __future__ import annotations

import os
import re

from refrain.errors import UserError
from refrain.values import dataclass

_ROOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
_STEP = re.compile(
    r"(?P<root>[A-Za-z0-9][A-Za-z0-9_-]{0,199})\.(?P<key>[A-Za-z0-9_.-]{1,200})\.(?P<attempt>[1-9][0-9]*)"
)


def new_root_id() -> str:
    """Return a new pipeline run's id: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def root_id_for(*parts: str) -> str:
    """Return the pipeline run's id that belongs to a run known elsewhere, the same in every process."""
    import uuid

    return uuid.uuid5(uuid.NAMESPACE_URL, "refrain:" + "\0".join(parts)).hex


@dataclass(frozen=True)
class StepRunId:
    """The parts of a step run's id. ``attempt`` counts from 1 within one pipeline run."""

    root: str
    key: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.root}.{self.key}.{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> StepRunId:
        """Take a step run's id apart.

        :raises UserError: when *text* is none.
        """
        match = _STEP.fullmatch(text)
        if match is None:
            raise UserError(f"{text!r} is no step run id; expected <pipeline run>.<step>.<attempt>.")
        return cls(match["root"], match["key"], int(match["attempt"]))


def run_folder(run_id: str) -> str:
    """Return the folder of a run, relative to the workspace.

    :raises UserError: when *run_id* is no run id; so a path can never be smuggled in.
    """
    if _ROOT.fullmatch(run_id):
        return f"runs/{run_id}"
    parsed = StepRunId.parse(run_id)
    return f"runs/{parsed.root}/steps/{parsed.key}.{parsed.attempt}"


def short_id(run_id: str) -> str:
    """Return a run's id with the part of the pipeline run cut to eight characters, for people to read."""
    root, dot, rest = run_id.partition(".")
    return f"{root[:8]}{dot}{rest}"
