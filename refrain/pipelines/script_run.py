"""ScriptRun: a script that was submitted by itself."""

from __future__ import annotations

from collections.abc import Iterator

from refrain.pipelines.recorded import RecordedRun
from refrain.pipelines.run import PipelineRun, StepRun
from refrain.tracking.metrics import RunLog
from refrain.tracking.run_files import RunFiles


class ScriptRun(PipelineRun):
    """A pipeline run of one step, whose metrics, tags and files are the run's own, as if there were no pipeline."""

    def logged(self) -> RunLog:
        """See :meth:`RecordedRun.logged`."""
        step = self._step()
        return super().logged() if step is None else step.logged()

    def files(self) -> RunFiles:
        """See :meth:`RecordedRun.files`."""
        step = self._step()
        return super().files() if step is None else step.files()

    def _children(self) -> Iterator[RecordedRun]:
        yield from ()

    def _step(self) -> StepRun | None:
        return next(self.get_steps(), None)
