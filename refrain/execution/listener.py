"""Listener: whoever wants to know how a run and its steps are getting on; the default listens to nothing."""

from __future__ import annotations

from enum import Enum

from refrain.reuse.decision import Decision
from refrain.steps.definition import PipelineDefinition


class Phase(str, Enum):
    """The phases in a step's life, in their order."""

    RESOLVE = "resolve"
    LOOK_UP = "look up"
    STAGE = "stage"
    LAUNCH = "launch"
    COMMIT = "commit"
    PUBLISH = "publish"


class Listener:
    """Hears what happens; called from whichever thread the step runs in."""

    def began(self, run_id: str, definition: PipelineDefinition) -> None:
        """Hear that a run of a whole pipeline begins; not called for steps that are run one by one."""

    def warned(self, warning: str) -> None:
        """Hear what is wrong with a whole pipeline, once, when its run begins."""

    def entered(self, key: str, phase: Phase) -> None:
        """Hear that a step has entered a phase."""

    def decided(self, key: str, decision: Decision, run_id: str) -> None:
        """Hear what was decided, before anything is started."""

    def waits(self, key: str, run_id: str) -> None:
        """Hear that a step waits for another step run, which is making the same result right now."""

    def line(self, key: str, line: str) -> None:
        """Hear one line of a step's output."""

    def noted(self, key: str, note: str) -> None:
        """Hear a remark of the engine on a step, such as a warning."""

    def linked(self, key: str, name: str, url: str) -> None:
        """Hear where people can look at a step's work, in another system."""

    def ended(self, key: str, status: str, detail: str = "") -> None:
        """Hear that a step ended: with a run status, and the error or the reuse in words."""

    def finished(self, status: str) -> None:
        """Hear that a run which has begun is over, in whatever way: with its run status."""


def shielded(listener: Listener | None) -> Listener:
    """Return a listener that passes everything on to *listener* and logs its errors, which are nobody's failure."""
    return _Shield(listener) if listener is not None else Listener()


class _Shield(Listener):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def began(self, run_id: str, definition: PipelineDefinition) -> None:
        self._tell("began", run_id, definition)

    def warned(self, warning: str) -> None:
        self._tell("warned", warning)

    def entered(self, key: str, phase: Phase) -> None:
        self._tell("entered", key, phase)

    def decided(self, key: str, decision: Decision, run_id: str) -> None:
        self._tell("decided", key, decision, run_id)

    def waits(self, key: str, run_id: str) -> None:
        self._tell("waits", key, run_id)

    def line(self, key: str, line: str) -> None:
        self._listener.line(key, line)  # the one who reads the output stops telling after the first error

    def noted(self, key: str, note: str) -> None:
        self._tell("noted", key, note)

    def linked(self, key: str, name: str, url: str) -> None:
        self._tell("linked", key, name, url)

    def ended(self, key: str, status: str, detail: str = "") -> None:
        self._tell("ended", key, status, detail)

    def finished(self, status: str) -> None:
        self._tell("finished", status)

    def _tell(self, what: str, *details: object) -> None:
        try:
            getattr(self._listener, what)(*details)
        except Exception:
            import logging

            logging.getLogger(__name__).exception("The listener failed to hear %r", what)
