"""Habits of our packages that no linter checks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
SHAPELESS = {"common", "helper", "helpers", "misc", "util", "utils"}


def _imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _undocumented(tree: ast.Module) -> list[str]:
    """Public classes and functions of a module, and public methods of those classes, without a docstring."""
    found = [] if ast.get_docstring(tree) or not tree.body else ["the module itself"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else [node.name]
            methods = node.body if isinstance(node, ast.ClassDef) else []
            found += [f"{node.name}.{method.name}" for method in methods if _lacks_docstring(method)]
    return found


def _lacks_docstring(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
        return False
    inherited = any("overload" in ast.unparse(mark) or "setter" in ast.unparse(mark) for mark in node.decorator_list)
    return not inherited and ast.get_docstring(node) is None


def test_no_module_is_longer_than_400_lines(sources: list[Path], root: Path) -> None:
    lengths = {str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_function_is_longer_than_40_lines(sources: list[Path], root: Path) -> None:
    long = [
        f"{path.relative_to(root)}:{node.lineno} {node.name}"
        for path in sources
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(node) > 40
    ]
    assert long == []


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code, without the signature and the docstring."""
    start = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - start.lineno + 1


def test_no_pickle_crosses_any_boundary(sources: list[Path], root: Path) -> None:
    found = {str(path.relative_to(root)): _imports(ast.parse(path.read_bytes())) & PICKLES for path in sources}
    assert {name: modules for name, modules in found.items() if modules} == {}


def test_everything_public_has_a_docstring(sources: list[Path], root: Path) -> None:
    found = {str(path.relative_to(root)): _undocumented(ast.parse(path.read_bytes())) for path in sources}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_every_module_has_a_noun_for_a_name(sources: list[Path], root: Path) -> None:
    assert [str(path.relative_to(root)) for path in sources if path.stem in SHAPELESS] == []


def test_what_runs_inside_a_step_reads_as_python_3_8(sources: list[Path], root: Path) -> None:
    inside = [path for path in sources if path.is_relative_to(root / "refrain" / "runtime")]
    if not inside:
        pytest.skip("refrain/runtime has no module")
    for path in inside:
        ast.parse(path.read_bytes(), filename=str(path), feature_version=(3, 8))
