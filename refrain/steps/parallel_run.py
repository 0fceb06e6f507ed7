"""ParallelRunStep: runs an entry script on the mini-batches of its inputs, in many processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.data_value import DataKind, data_value
from refrain.data.output_config import OutputDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_output import PipelineOutputAbstractDataset, PipelineOutputFileDataset
from refrain.errors import UserError
from refrain.steps.command import Interpreter, Literal, OutputPath, ParameterValue, Setting, Token, UnfinishedPath
from refrain.steps.definition import StepDefinition
from refrain.steps.parallel_config import SUMMARY_ONLY, ParallelRunConfig
from refrain.steps.step import PipelineStep, compute_name, locate_script
from refrain.steps.wiring import Build, Wiring, origin, parameter_of

KIND = "parallel_run"
_MODULE = "refrain.runtime.parallel"
_NAME = re.compile(r"[a-z]([-a-z0-9_]*[a-z0-9])?")
_WITHOUT_DATA = "rank_mini_batch_count"
_RESERVED = (
    "mini_batch_size", "error_threshold", "allowed_failed_count", "allowed_failed_percent", "output", "output_action",
    "logging_level", "process_count_per_node", "run_invocation_timeout", "run_max_try", "append_row_file_name",
    "partition_keys",
)  # fmt: skip


class ParallelRunStep(PipelineStep):
    """A step that cuts its inputs into mini-batches and calls ``run()`` of the entry script for each.

    Worker processes load the script once, call ``init()`` once and are then given one mini-batch after the other: a
    list of paths of files, or a data frame. One that hangs, crashes or is killed costs its mini-batch an attempt. What
    is done is noted, so that a step that is run again, with nothing changed, does only what is missing.

    :param name: 3 to 32 characters: a small letter, then small letters, digits, ``-`` and ``_``.
    :param inputs: datasets, all of files or all of tables.
    :param output: where the results go; may only be left out with ``summary_only``.
    :param side_inputs: data that every process sees as a whole; its path has to be among the arguments.
    :param arguments: for the entry script, which finds them among Refrain's own in ``sys.argv``: read them with
        ``parse_known_args``. The first must begin with ``-``.
    :param allow_reuse: False makes the step run in every run.
    :raises UserError: for arguments that cannot be right.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature
        self,
        name: str,
        parallel_run_config: ParallelRunConfig,
        inputs: Sequence[Any],
        output: Any = None,
        side_inputs: Sequence[Any] | None = None,
        arguments: Sequence[Any] | None = None,
        allow_reuse: bool = True,
    ) -> None:
        what = f"ParallelRunStep {name!r}"
        if not isinstance(name, str) or not 3 <= len(name) <= 32 or not _NAME.fullmatch(name):
            raise UserError(
                f"{what}: the name must have 3 to 32 characters: a small letter, then small letters, digits, - and _."
            )
        if not isinstance(parallel_run_config, ParallelRunConfig):
            raise UserError(f"{what} needs a ParallelRunConfig, not {parallel_run_config!r}.")
        if not isinstance(allow_reuse, bool):
            raise UserError(f"{what}: allow_reuse must be True or False, not {allow_reuse!r}.")
        if output is None and parallel_run_config.output_action != SUMMARY_ONLY:
            raise UserError(f"{what} needs an output, unless its output_action is {SUMMARY_ONLY!r}.")
        words = _checked_arguments(what, arguments)
        self.config = parallel_run_config
        self.allow_reuse = allow_reuse
        has_keys = parallel_run_config.partition_keys is not None
        main = [_taken(what, item, has_keys=has_keys) for item in _listed(what, "inputs", inputs)]
        self.is_tabular = _is_tabular(what, main, is_needed=_WITHOUT_DATA not in map(_option, words))
        self._main = main
        self._output = output
        side = _listed(what, "side_inputs", side_inputs)
        super().__init__(name, [*main, *side], [] if output is None else [output], words)
        self.compute = compute_name(self.name, parallel_run_config.compute_target)

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        config = self.config
        source, script = locate_script(self.name, config.entry_script, config.source_directory, build)
        wiring = Wiring(self.name, build)
        wiring.add_outputs(self.outputs)
        wiring.add_inputs(self.inputs)
        wiring.add_parameters({}, self.arguments)
        arguments = [wiring.token(item) for item in self.arguments]
        inputs, outputs = wiring.ports()
        driver = [Interpreter(), Literal("-m"), Literal(_MODULE), *_words("scoring_module_name", Literal(script))]
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=KIND,
            source=source,
            command=(*driver, *self._settings(), *self._places(wiring), *arguments, *self._names(wiring)),
            inputs=inputs,
            outputs=outputs,
            parameters=wiring.variables(),
            environment=config.specification(),
            allow_reuse=self.allow_reuse,
            after=self.predecessor_keys(build),
            compute=self.compute,
        )

    def parameters(self) -> list[PipelineParameter]:
        """See :meth:`PipelineStep.parameters`."""
        return [*super().parameters(), *self.config.parameters()]

    def _settings(self) -> Iterator[Token]:
        """Yield the settings that decide the results, and those that cannot, which do not count."""
        config = self.config
        for name in (
            "mini_batch_size", "partition_keys", "error_threshold", "allowed_failed_count", "allowed_failed_percent",
            "output_action", "append_row_file_name",
        ):  # fmt: skip
            yield from _setting(name, getattr(config, name))
        for name in ("run_invocation_timeout", "run_max_try"):
            yield from _setting(name, getattr(config, name), is_counted=config.may_fail_in_part)
        for name in ("logging_level", "process_count_per_node"):
            yield from _setting(name, getattr(config, name), is_counted=False)
        # Words that Azure ML does not have, under names that no script has for itself.
        yield from _setting("refrain_node_count", config.node_count, is_counted=False)

    def _places(self, wiring: Wiring) -> Iterator[Token]:
        if self._output is not None:
            yield from _words("output", OutputPath(wiring.outputs[id(origin(self._output))].name))
        yield from _words("refrain_journal", UnfinishedPath())

    def _names(self, wiring: Wiring) -> Iterator[Token]:
        """Yield the names of the inputs that are cut; the process knows where they are."""
        has_objects = self.is_tabular or self.config.partition_keys is not None
        word = "input_ds" if has_objects else "input_fds"
        for index, item in enumerate(self._main):
            yield from _words(f"{word}_{index}", Literal(wiring.inputs[id(item)].name))


def _setting(name: str, value: Any, *, is_counted: bool = True) -> Iterator[Token]:
    if value is None:
        return
    if isinstance(value, PipelineParameter):
        yield from _words(name, ParameterValue(value.name, is_counted))
        return
    text = json.dumps(value) if isinstance(value, list) else str(value)
    yield from _words(name, Literal(text) if is_counted else Setting(text))


def _words(name: str, value: Token) -> Iterator[Token]:
    yield Literal(f"--{name}")
    yield value


def _listed(what: str, name: str, items: Any) -> list[Any]:
    if items is not None and not isinstance(items, (list, tuple)):
        raise UserError(f"{what}: {name} must be a list, not {items!r}.")
    return list(items or ())


def _option(word: Any) -> str:
    return word.lstrip("-").partition("=")[0] if isinstance(word, str) and word.startswith("-") else ""


def _checked_arguments(what: str, arguments: Any) -> list[Any]:
    words = _listed(what, "arguments", arguments)
    if words and not (isinstance(words[0], str) and words[0].startswith("-")):
        raise UserError(f"{what}: the arguments must begin with a name such as '--model', not with {words[0]!r}.")
    for word in words:
        if _option(word) in _RESERVED:
            raise UserError(
                f"{what}: the argument {word!r} is Refrain's own, which the script sees as well; set it in the "
                "ParallelRunConfig, or call the script's own one something else."
            )
    return words


def _taken(what: str, item: Any, *, has_keys: bool) -> Any:
    """Return an input as it is taken: files are mounted; with partition keys, and of a table, as an object."""
    if isinstance(item, OutputDatasetConfig):
        item = item.as_input()
    if not isinstance(item, (DatasetConsumptionConfig, PipelineOutputAbstractDataset)):
        raise UserError(
            f"{what}: {item!r} cannot be cut into mini-batches. Use dataset.as_named_input('name'), pipeline_data."
            "as_dataset() or the OutputFileDatasetConfig of another step."
        )
    if _is_table(item):
        return item
    mode, wanted = getattr(item, "input_mode", None) or getattr(item, "mode", None), "direct" if has_keys else "mount"
    if mode == wanted or not isinstance(item, (DatasetConsumptionConfig, PipelineOutputFileDataset)):
        return item
    return item.as_direct() if has_keys else item.as_mount()


def _is_table(item: Any) -> bool:
    if isinstance(item, PipelineOutputAbstractDataset):
        return item.plan is not None
    if isinstance(item.dataset, OutputDatasetConfig):
        return item.dataset.plan is not None or item.dataset.kind.linked == "tabular"
    parameter = parameter_of(item)
    value = data_value(item.dataset if parameter is None else parameter.default_value)
    return value is not None and value.kind is DataKind.TABLE


def _is_tabular(what: str, items: Sequence[Any], *, is_needed: bool) -> bool:
    kinds = {_is_table(item) for item in items}
    if not kinds and is_needed:
        raise UserError(
            f"{what} has no inputs. Give it datasets, or --{_WITHOUT_DATA} N among the arguments, so that run() is "
            "called N times without data."
        )
    if len(kinds) > 1:
        raise UserError(f"{what}: its inputs must be all of files or all of tables; use a step for each kind.")
    return kinds == {True}
