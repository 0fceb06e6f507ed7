from __future__ import annotations

from refrain.runtime.parallel.nodes.likeness import difference, likeness

OURS = {"Python": "CPython 3.12.1", "platform": "linux-x86_64", "packages": ["numpy-2.0", "pandas-2.2"]}


def test_an_interpreter_is_like_itself() -> None:
    assert difference(likeness(), likeness()) == ""
    assert any(name.startswith("pytest-") for name in likeness()["packages"])


def test_another_version_or_machine_is_told() -> None:
    theirs = {**OURS, "Python": "CPython 3.11.0", "platform": "linux-aarch64"}
    assert (
        difference(OURS, theirs)
        == "Python CPython 3.11.0, not CPython 3.12.1; platform linux-aarch64, not linux-x86_64"
    )


def test_other_packages_are_told_by_what_is_missing_and_what_is_more() -> None:
    theirs = {**OURS, "packages": ["numpy-1.26", "pandas-2.2"]}
    assert difference(OURS, theirs) == "without numpy-2.0; with numpy-1.26"


def test_of_many_other_packages_some_are_named() -> None:
    theirs = {**OURS, "packages": [*OURS["packages"], *(f"p{number}-1" for number in range(9))]}
    assert difference(OURS, theirs) == "with p0-1, p1-1, p2-1, p3-1, p4-1 and 4 more"
