"""ParallelRun: one parallel run from its settings to its output."""

from __future__ import annotations

import contextlib
import os
import time

from refrain.runtime.context import current_folder, current_inputs
from refrain.runtime.parallel.accounts import Accounts
from refrain.runtime.parallel.crew import Crew
from refrain.runtime.parallel.dispatcher import Dispatcher, Failure, Waits
from refrain.runtime.parallel.files import EmptySource, FileSource
from refrain.runtime.parallel.journal import Journal, JournalNotHeld
from refrain.runtime.parallel.lifeline import unwind_on_sigterm
from refrain.runtime.parallel.logs import Logs
from refrain.runtime.parallel.places import Here
from refrain.runtime.parallel.report import Report
from refrain.runtime.parallel.settings import DEFAULT_BYTES, DEFAULT_FILES, cores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from refrain.runtime.parallel.frames import Fields
    from refrain.runtime.parallel.mini_batch import Source
    from refrain.runtime.parallel.nodes.order import Order
    from refrain.runtime.parallel.places import Places
    from refrain.runtime.parallel.settings import Settings


class ParallelRun:
    """A parallel run.

    :param words: the command line; the entry script finds it in ``sys.argv``.
    """

    def __init__(self, settings: Settings, words: Sequence[str]) -> None:
        self._settings = settings
        self._words = list(words)
        self._order = _order()
        self._logs = Logs()
        self._accounts = Accounts(settings.limits)
        self._began = time.monotonic()

    def run(self) -> int:
        """Run it to the end; return 0 when it succeeded."""
        unwind_on_sigterm()
        try:
            failure = self._try()
        except OSError as error:
            failure = Failure(str(error), [])
        if failure is None:
            self._logs.say(self._summary("completed"))
            self._logs.ended("job_result.txt", self._summary("completed"))
            return 0
        self._tell_failure(failure)
        return 1

    def _try(self) -> Failure | None:
        try:
            return self._run(self._settings.journal)
        except JournalNotHeld as error:
            self._logs.say(f"{error}; this run begins anew, and leaves no notes.")
            return self._run(None)

    def _run(self, folder: str | None) -> Failure | None:
        """Do the work with the journal in *folder*; without one, with a journal for this process alone."""
        with contextlib.ExitStack() as stack:
            is_shared = folder is not None
            if folder is None:
                import tempfile  # here, as what few runs need costs all of them time

                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".parallel-", dir="."))
            journal = stack.enter_context(contextlib.closing(Journal(folder, self._settings.cut, is_shared=is_shared)))
            failure = self._dispatch(journal)
            if failure is None:
                self._write_output(journal)
            return failure

    def _dispatch(self, journal: Journal) -> Failure | None:
        settings, logs = self._settings, self._logs
        places = self._places(journal)
        crew = Crew(self._start(journal), places, settings.timeout, logs)
        report = Report(logs, current_folder())
        source = self._source(journal, crew)
        logs.say(self._opening(source))
        dispatcher = Dispatcher(
            source,
            crew,
            self._accounts,
            journal,
            logs,
            report,
            Waits(settings.patience, settings.data_patience),
        )
        failure = dispatcher.run()
        report.tell(self._accounts, source.total, crew, is_last=True)
        return failure

    def _places(self, journal: Journal) -> Places:
        settings, logs, order = self._settings, self._logs, self._order
        if order is None:
            return Here(settings.nodes, settings.processes_per_node or cores(), logs)
        from refrain.runtime.parallel.nodes.cluster import Cluster  # here: most parallel runs are on one machine
        from refrain.runtime.parallel.nodes.needs import needs

        folders = [os.path.abspath(folder) for folder in (logs.folder, journal.rows)]
        return Cluster(order, settings.nodes, settings.processes_per_node, logs, folders, needs(settings))

    def _source(self, journal: Journal, crew: Crew) -> Source:
        settings, inputs = self._settings, current_inputs()  # outside of a run, they are named by their paths
        if settings.empty_count:
            return EmptySource(settings.empty_count)
        if settings.tables:
            from refrain.runtime.parallel.tables import TableSource

            descriptions = [inputs.descriptions.get(name, name) for name in settings.tables]
            cut = {"size": settings.size or DEFAULT_BYTES, "keys": settings.keys}
            return TableSource(descriptions, cut, journal, crew, self._logs, ahead=settings.processes + 2)
        return FileSource([inputs.paths.get(name, name) for name in settings.files], settings.size or DEFAULT_FILES)

    def _start(self, journal: Journal) -> Fields:
        """Return what every worker is told first."""
        settings = self._settings
        output = os.path.abspath(journal.output)
        words = list(self._words)
        if "--output" in words:
            words[words.index("--output") + 1] = output
        return {
            "script": settings.script,
            "argv": [os.path.abspath(settings.script), *words],
            "output": output,
            "rows": os.path.abspath(journal.rows),
            "keeps_rows": settings.keeps_rows,
            "level": settings.level,
            "profiles": settings.profiles,
        }

    def _opening(self, source: Source) -> str:
        settings = self._settings
        kind = "a table" if settings.tables else "many files"
        what = f"mini-batches of {kind}" if source.total is None else f"{source.total:,} mini-batches"
        if self._order is not None:
            return f"{what}, {settings.nodes} nodes of {self._order.place}"
        nodes = f" ({settings.nodes} nodes' worth, all on this machine)" if settings.nodes > 1 else ""
        return f"{what}, {settings.processes} worker processes{nodes}"

    def _write_output(self, journal: Journal) -> None:
        """Put the results into the step's output; the journal stays, until somebody has taken them over."""
        output = self._settings.output
        if output is None:
            return
        os.makedirs(output, exist_ok=True)
        journal.copy_output(output)
        if self._settings.keeps_rows:
            journal.write_rows(os.path.join(output, self._settings.rows_file))

    def _tell_failure(self, failure: Failure) -> None:
        """End the log with what a person needs who looks there first."""
        lines = [*failure.details, self._summary("failed"), f"Failed: {failure.reason.rstrip('.')}."]
        for line in lines:
            self._logs.say(line)
        self._logs.ended("job_error.txt", "\n".join(lines))
        self._logs.ended("job_result.txt", lines[-2])

    def _summary(self, how: str) -> str:
        accounts = self._accounts
        kept = f" ({accounts.kept:,} of them by an earlier try)" if accounts.kept else ""
        return (
            f"Parallel run {how} in {time.monotonic() - self._began:.1f} s: {accounts.done:,} mini-batches done{kept}, "
            f"{accounts.failed_now:,} failed, {accounts.retried:,} retried; {accounts.items:,} items, "
            f"{accounts.results:,} results, {accounts.failed_items:,} items failed"
        )


def _order() -> Order | None:
    """Return on which cluster the nodes are; None where this machine is all there is."""
    if "REFRAIN_NODES" not in os.environ:
        return None
    from refrain.runtime.parallel.nodes.order import take_order

    return take_order()
