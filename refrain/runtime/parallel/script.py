"""Script: the user's entry script as a module, and how its functions are called."""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from refrain.runtime.parallel.entry_script import MiniBatchContext

_CONTEXT = "mini_batch_context"


class Script:
    """An entry script: ``run()``, and ``init()`` and ``shutdown()`` where it has them."""

    def __init__(self, path: str) -> None:
        """Load the script as a module; its folder and the current one are where it imports from.

        :raises AttributeError: when it has no function ``run``.
        """
        folder, here = os.path.dirname(os.path.abspath(path)), os.getcwd()
        sys.path[:] = list(dict.fromkeys([folder, here, *(entry for entry in sys.path if entry)]))
        name = os.path.splitext(os.path.basename(path))[0]
        spec = spec_from_file_location(name, os.path.abspath(path))
        if spec is None or spec.loader is None:
            raise ImportError(f"The entry script {path!r} is no Python file.")
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        if not callable(getattr(module, "run", None)):
            raise AttributeError(f"The entry script {path!r} has no function run(mini_batch).")
        self._run: Callable[..., Any] = module.run
        self._takes_context = _takes_context(module.run)
        self.init: Callable[[], object] = getattr(module, "init", _nothing)
        self.shutdown: Callable[[], object] = getattr(module, "shutdown", _nothing)

    def run(self, mini_batch: Any, context: MiniBatchContext) -> Any:
        """Call ``run()``, with the context if it takes one."""
        return self._run(mini_batch, context) if self._takes_context else self._run(mini_batch)


def _takes_context(function: Callable[..., Any]) -> bool:
    """Say whether a second argument is taken: one without a default, or one that is called as the context is.

    Of what is neither a function nor a method it is not taken. The module inspect would cost each worker as much as all
    of the rest.
    """
    is_method = hasattr(function, "__self__")
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
        is_method = is_method or hasattr(function, "__self__")
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    names = code.co_varnames[int(is_method) : code.co_argcount]  # what a method is bound to is not given
    defaults = function.__defaults__ or ()
    return len(names) > 1 and (len(names) - len(defaults) > 1 or names[1] == _CONTEXT)


def _nothing() -> None:
    """Stand for a function that the script does not have."""
