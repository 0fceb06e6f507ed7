"""WriteTextStep: writes a text to its output; it has no process."""

from __future__ import annotations

from refrain.data.handle import DataHandle
from refrain.data.pipeline_data import PipelineData
from refrain.execution.body import Work
from refrain.execution.commit import Commit
from refrain.execution.stage import Stage, make_output_folders, open_stage
from refrain.steps.command import Literal
from refrain.steps.definition import NO_SOURCE, StepDefinition
from refrain.steps.step import PipelineStep
from refrain.steps.wiring import Build, Wiring
from refrain.tracking.run_id import StepRunId

_TEXT = "text"


class WriteTextStep(PipelineStep):
    """A step that writes *text* to ``text.txt`` in *output*."""

    def __init__(self, text: str, output: PipelineData, name: str = "write text") -> None:
        super().__init__(name, None, [output], None)
        self.text = text

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        wiring = Wiring(self.name, build)
        wiring.add_outputs(self.outputs)
        inputs, outputs = wiring.ports()
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind="write_text",
            source=NO_SOURCE,
            command=(),
            inputs=inputs,
            outputs=outputs,
            parameters=((_TEXT, Literal(self.text)),),
        )


class WriteTextBody:
    """See :class:`refrain.execution.body.Body`."""

    def __init__(self, work: Work) -> None:
        """Know what to write."""
        self._work = work
        self._stage: Stage | None = None
        self._commit: Commit | None = None

    def prepare(self) -> None:
        """See :class:`Body`."""
        step = self._work.step
        self._stage = open_stage(StepRunId.parse(self._work.record.run_id), step.outputs, self._work.state)
        make_output_folders(self._stage, step.outputs)

    def perform(self) -> None:
        """See :class:`Body`."""
        text = dict(self._work.step.parameters)[_TEXT].text
        for folder in self._stage.outputs.values():
            folder.mkdir(exist_ok=True)
            (folder / "text.txt").write_text(text)

    def cancel(self) -> None:
        """See :class:`Body`; it takes no time."""

    def publish(self) -> dict[str, DataHandle]:
        """See :class:`Body`."""
        step = self._work.step
        self._commit = Commit(self._stage, step.outputs, self._work.state, step.name)
        return self._commit.publish()

    def take_back(self) -> None:
        """See :class:`Body`."""
        self._commit.take_back()

    def close(self) -> None:
        """See :class:`Body`."""
        if self._stage is not None:
            self._stage.remove()
