"""Imports: which Python files of a source a script can reach by its import statements.

What Python would find is over-estimated, never under-estimated: every import statement counts, wherever it stands and
whatever it depends on; every file that a name can mean counts, and the ``__init__`` of every package on the way. Where
code could import what no statement names (``importlib``, ``exec``, a changed ``sys.path``, an unpickled object, another
process), nobody can say what it reaches: that is the *doubt*, and the whole source has to count.

Known limitations: an installed package that imports modules of the source by a name which it was given, such as a
framework with plugins, whose most usual ways are in the tables below; and one that finds a module of the source where
it looks for another installed package.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from posixpath import basename, dirname, join

_DOUBTFUL = frozenset({
    "IPython", "_imp", "_pickle", "builtins", "cffi", "cloudpickle", "code", "codeop", "ctypes", "dill", "doctest",
    "fire", "hydra", "imp", "importlib", "lazy_loader", "logging.config", "marshal", "nbconvert", "nbformat",
    "papermill", "pkg_resources", "pkgutil", "pluggy", "pydoc", "pyximport", "pytest", "runpy", "shelve", "site",
    "stevedore", "subprocess", "unittest", "zipimport",
    "joblib.load", "jsonpickle", "numpy.load", "os.execl", "os.execle", "os.execlp", "os.execlpe", "os.execv",
    "os.execve", "os.execvp", "os.execvpe", "os.popen", "os.posix_spawn", "os.posix_spawnp", "os.spawnl", "os.spawnle",
    "os.spawnlp", "os.spawnlpe", "os.spawnv", "os.spawnve", "os.spawnvp", "os.spawnvpe", "os.sys", "os.system",
    "pandas.read_pickle", "pickle.Unpickler", "pickle.load", "pickle.loads", "sys.meta_path", "sys.modules",
    "sys.path", "sys.path_hooks", "sys.path_importer_cache", "torch.hub", "torch.load", "torch.utils.cpp_extension",
    "yaml.full_load", "yaml.load", "yaml.unsafe_load",
})  # fmt: skip
"""Modules, and names in modules, by which code gets hold of other code."""

_WATCHED = frozenset(name.split(".")[0] for name in _DOUBTFUL if "." in name and name != "logging.config") - {"numpy"}
"""Modules that are harmless as long as each of their names that is used can be seen."""

_DOUBTFUL_NAMES = frozenset({
    "__builtins__", "__globals__", "__import__", "__loader__", "__path__", "__spec__", "__subclasses__",
})  # fmt: skip
"""Wherever they stand: as names, attributes or texts."""

_DOUBTFUL_BUILTINS = frozenset({"compile", "eval", "exec", "execfile"})
_DOUBTFUL_ATTRIBUTES = frozenset({"exec_module", "import_module", "load_module", "read_pickle", "unsafe_load"})

_SOURCE = ".py"
_COMPILED = (".pyc", ".so", ".pyd")


@dataclass(frozen=True)
class Closure:
    """What a script can reach: paths in its source, or why nobody can say."""

    paths: frozenset[str] = frozenset()
    doubt: str = ""


@dataclass(frozen=True)
class Import:
    """One import: ``from <level dots><module> import <name>``; no name stands for ``import module``."""

    level: int
    module: str
    name: str = ""


@dataclass(frozen=True)
class Imported:
    """What one file says: its imports, or the first thing that leaves them in doubt."""

    imports: tuple[Import, ...] = ()
    doubt: str = ""


def read_imports(code: bytes) -> Imported:
    """Return what a Python file imports."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Imported(doubt=f"it cannot be parsed ({type(error).__name__})")
    imports = tuple(_imports(tree))
    bound = _bound(tree)
    doubts = [*_doubtful_imports(tree), *_doubtful_uses(tree, bound)]
    if doubts:
        line, what = min(doubts)
        return Imported(doubt=f"line {line}: {what}")
    return Imported(imports)


def closure(script: str, files: Iterable[str], imported: Callable[[str], Imported]) -> Closure:
    """Follow the imports of a script, which Python looks for in the script's own folder.

    :param files: the paths of the source, with ``/``.
    :param imported: reads one of them.
    """
    places = _Places(tuple(files), dirname(script))
    reached: set[str] = set()
    waiting = [script, *places.shadowing()]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        if path.endswith(_COMPILED):
            return Closure(doubt=f"{path} is compiled")
        found = imported(path)
        if found.doubt:
            return Closure(doubt=f"{path}, {found.doubt}")
        for item in found.imports:
            waiting += places.of(item, path)
    return Closure(frozenset(reached))


class _Places:
    """The modules of a source."""

    def __init__(self, files: tuple[str, ...], top: str) -> None:
        self._files = files
        self._top = top

    @cached_property
    def _modules(self) -> dict[str, list[str]]:
        """The files by the path of the module that each is, packages by that of their ``__init__``."""
        found = defaultdict(list)
        for path in self._files:
            if path.endswith((_SOURCE, *_COMPILED)):
                found[join(dirname(path), basename(path).split(".", 1)[0])].append(path)
        return found

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """The paths of the modules and packages by the folder that they are in."""
        found = defaultdict(list)
        for module in self._modules:
            found[dirname(module)].append(module)
            found[dirname(dirname(module))].append(dirname(module))
        return found

    def shadowing(self) -> list[str]:
        """Return what takes the place of a module of Python's own, which installed modules import as well."""
        start = join(self._top, "")
        return [
            path
            for module, paths in self._modules.items()
            if module.startswith(start) and module[len(start) :].split("/")[0] in sys.stdlib_module_names
            for path in paths
        ]

    def of(self, item: Import, importer: str) -> list[str]:
        """Return every file that an import can load."""
        start = self._top
        if item.level:
            start = dirname(importer)
            for _ in range(item.level - 1):
                start = dirname(start)
        parts = [part for part in item.module.split(".") if part]
        found = self._package(start) if item.level else []
        found += self._along(start, parts)
        folder = join(start, *parts)
        if item.name == "*":  # __all__ may name any of them
            for module in self._below.get(folder, ()):
                found += self._at(module)
        elif item.name:
            found += self._at(join(folder, item.name))
        return found

    def _along(self, start: str, parts: list[str]) -> list[str]:
        found = []
        for part in parts:
            start = join(start, part)
            found += self._at(start)
        return found

    def _at(self, place: str) -> list[str]:
        return [*self._modules.get(place, ()), *self._package(place)]

    def _package(self, folder: str) -> list[str]:
        return list(self._modules.get(join(folder, "__init__"), ()))


def _imports(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(node.level, node.module or "", alias.name) for alias in node.names)


def _bound(tree: ast.AST) -> dict[str, set[str]]:
    """Return the modules and names that each local name may stand for."""
    bound: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.split(".")[0]].add(alias.name if alias.asname else _head(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                bound[alias.asname or alias.name].add(f"{node.module}.{alias.name}")
    return bound


def _doubtful_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if _is_doubtful(name) or (name.endswith(".*") and _head(name) in _WATCHED) or name.endswith(".sys"):
                yield node.lineno, f"it imports {name}"  # type: ignore[attr-defined]  # an import has a line


def _doubtful_uses(tree: ast.AST, bound: dict[str, set[str]]) -> Iterator[tuple[int, str]]:
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        what = _doubtful_use(node, bound, is_base=id(node) in bases)
        if what:
            yield getattr(node, "lineno", 0), f"it uses {what}"


def _doubtful_use(node: ast.AST, bound: dict[str, set[str]], is_base: bool) -> str:
    """Return what is doubtful about one node; empty when nothing is."""
    if isinstance(node, ast.Name):
        if node.id in _DOUBTFUL_NAMES | _DOUBTFUL_BUILTINS:
            return node.id
        # Handed on, such a module may be asked for any of its names.
        return "" if is_base else next((name for name in sorted(bound.get(node.id, ())) if name in _WATCHED), "")
    if isinstance(node, ast.Attribute):
        if node.attr in _DOUBTFUL_NAMES | _DOUBTFUL_ATTRIBUTES:
            return node.attr
        return next((name for name in sorted(_dotted(node, bound)) if _is_doubtful(name)), "")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _DOUBTFUL_NAMES:
        return node.value
    return ""


def _dotted(node: ast.Attribute, bound: dict[str, set[str]]) -> set[str]:
    """Return what ``a.b.c`` may stand for, its first name resolved."""
    if isinstance(node.value, ast.Name):
        return {f"{name}.{node.attr}" for name in bound.get(node.value.id, ())}
    if isinstance(node.value, ast.Attribute):
        return {f"{name}.{node.attr}" for name in _dotted(node.value, bound)}
    return set()


def _is_doubtful(name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[: length + 1]) in _DOUBTFUL for length in range(len(parts)))


def _head(name: str) -> str:
    return name.split(".", maxsplit=1)[0]
