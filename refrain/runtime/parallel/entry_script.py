"""EntryScript: what an entry script may ask about the worker process that it runs in, and about a mini-batch."""

from __future__ import annotations

import os

from refrain.runtime.parallel.mini_batch import paths_of
from refrain.runtime.parallel.pieces import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, Mapping


class _Place:
    """Where the worker writes; the defaults are those of a script that is started by hand."""

    agent_name = "process000"
    log_dir = os.path.join("logs", "user", "entry_script_log", "000")
    output_dir = "outputs"
    level = "INFO"


class EntryScript:
    """The worker process, as its entry script sees it; every call of the class returns the same object.

    ::

        from azureml_user.parallel_run import EntryScript
    """

    _only: EntryScript | None = None
    _logger: logging.Logger | None = None

    def __new__(cls) -> EntryScript:  # noqa: PYI034  # Self is newer than our oldest Python
        """Return the only object."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    @property
    def logger(self) -> logging.Logger:
        """A logger that writes to a file of this process below :attr:`log_dir`."""
        if self._logger is None:
            self._logger = _make_logger(self.log_dir, self.agent_name)
        return self._logger

    @property
    def log_dir(self) -> str:
        """The folder of the logs that scripts of this node write."""
        return _Place.log_dir

    @property
    def output_dir(self) -> str:
        """The folder of the step's output.

        A mini-batch may be run again, after a failure or in a later try: name files after what they are made of.
        """
        return _Place.output_dir

    @property
    def agent_name(self) -> str:
        """The name of this process, such as ``process003``; no other of the step has it."""
        return _Place.agent_name


class MiniBatchContext:
    """What run() may know of its mini-batch, if it takes a second argument."""

    def __init__(self, index: int, keys: Mapping[str, Any], content: bytes, frame: Any, rows: str = "") -> None:
        self._index = index
        self._keys = dict(keys)
        self._content = content
        self._frame = frame
        self._rows = rows
        self._dataset: Any = None

    @property
    def minibatch_index(self) -> int:
        """The number of the mini-batch; it is the same whenever the same data is cut in the same way."""
        return self._index

    @property
    def partition_key_value(self) -> dict[str, Any]:
        """The values of the partition keys that all of its items have; empty without ``partition_keys``."""
        return dict(self._keys)

    @property
    def dataset(self) -> Any:
        """The mini-batch as a dataset, for which the step's interpreter needs Refrain; read it before run() returns."""
        if self._dataset is None:
            self._dataset = pieces().dataset_of(paths_of(self._content), self._frame, self._rows)
        return self._dataset


def place_worker(agent_name: str, log_dir: str, output_dir: str, level: str) -> None:
    """Say where this process writes, before its entry script is loaded."""
    _Place.agent_name, _Place.log_dir, _Place.output_dir, _Place.level = agent_name, log_dir, output_dir, level


def _make_logger(folder: str, agent_name: str) -> logging.Logger:
    import logging

    os.makedirs(folder, exist_ok=True)
    logger = logging.getLogger("EntryScript")
    handler = logging.FileHandler(os.path.join(folder, f"{agent_name}.log.txt"), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s|%(levelname)s|%(process)d|%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(_Place.level)
    logger.propagate = False
    return logger
