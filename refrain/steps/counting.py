"""Counting: which files of a source count in the fingerprint, by imports and patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from refrain.errors import UserError
from refrain.steps.definition import Counted

if TYPE_CHECKING:
    from refrain.steps.imports import Imported

_MODES = ("snapshot", "imports")
_NOT_FOLLOWED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")


def counted(  # a step's arguments, which are checked here
    step_name: str,
    script: str,
    hash_mode: str,
    hash_include: Sequence[str] | None,
    hash_exclude: Sequence[str] | None,
    variables: Iterable[str],
) -> Counted | None:
    """Return what of a step's source counts, as its author declares it; None for everything.

    :param variables: the names of the environment variables that the step declares.
    :raises UserError: for an unknown mode, patterns that are none, a pattern that leaves out the script itself, and
        imports that Python would look for elsewhere.
    """
    if hash_mode not in _MODES:
        raise UserError(f"Step {step_name!r}: hash_mode must be 'snapshot' or 'imports', not {hash_mode!r}.")
    include, exclude = (
        _patterns(step_name, "hash_include", hash_include),
        _patterns(step_name, "hash_exclude", hash_exclude),
    )
    by_imports = hash_mode == "imports"
    if include and not by_imports:
        raise UserError(
            f"Step {step_name!r}: hash_include adds to hash_mode='imports'; without it everything counts already."
        )
    if exclude and _matches(exclude, script):
        raise UserError(f"Step {step_name!r}: hash_exclude={list(exclude)} leaves out the script {script!r} itself.")
    elsewhere = next((name for name in variables if name in _NOT_FOLLOWED), None)
    if by_imports and elsewhere:
        raise UserError(
            f"Step {step_name!r}: hash_mode='imports' cannot follow imports where the variable {elsewhere} leads them. "
            "Leave one of the two out."
        )
    return Counted(script if by_imports else None, include, exclude) if by_imports or exclude else None


def select(paths: Iterable[str], of: Counted, imported: Callable[[str], Imported]) -> tuple[set[str], str]:
    """Return which of a source's paths count, and why imports did not decide although they should have.

    :param imported: reads one file.
    """
    known, note = set(paths), ""
    chosen = set(known)
    if of.script is not None:
        from refrain.steps.imports import closure

        found = closure(of.script, known, imported)
        if found.doubt:
            note = f"its whole source counts, because nobody can say what it imports: {found.doubt}"
        else:
            chosen = set(found.paths) | {path for path in known if of.include and _matches(of.include, path)}
    return {path for path in chosen if not (of.exclude and _matches(of.exclude, path))}, note


def _patterns(step_name: str, what: str, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not all(isinstance(item, str) and item.strip() for item in given):
        raise UserError(f"Step {step_name!r}: {what} must be a list of patterns such as '*.yaml', not {given!r}.")
    return tuple(given)


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    from pathspec import GitIgnoreSpec

    return bool(GitIgnoreSpec.from_lines(patterns).match_file(path))
