"""The project's declarations agree with each other: dependencies, pins, contracts, change log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


def _normal(requirement: str) -> str:
    """The distribution's name as indexes write it: lower case, one kind of dash."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


@pytest.fixture(scope="module")
def pins(root: Path) -> list[str]:
    """Each pinned version with its hashes, as one line."""
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _declared(pyproject: dict[str, Any]) -> set[str]:
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    groups += [*pyproject["dependency-groups"].values(), pyproject["build-system"]["requires"]]
    return {_normal(requirement) for group in groups for requirement in group} - {_normal(project["name"])}


def test_every_declared_dependency_is_pinned(pyproject: dict[str, Any], pins: list[str]) -> None:
    assert _declared(pyproject) - {_normal(pin) for pin in pins} == set()


def test_every_pin_is_one_version_with_a_hash(pins: list[str]) -> None:
    pattern = re.compile(r"[a-z0-9.-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [pin[:80] for pin in pins if not pattern.fullmatch(pin.strip())] == []


def test_pins_name_no_index(root: Path) -> None:
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert re.findall(r"^\s*(?:-i|-f|--index|--extra-index|--find-links|--trusted).*$", text, re.MULTILINE) == []


def test_every_extra_but_all_is_part_of_all(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"[a-z0-9-]+", everything.partition("[")[2])) == set(extras) - {"all"}


def test_every_package_of_the_core_has_a_place_in_the_import_contract(root: Path, pyproject: dict[str, Any]) -> None:
    (rooms,) = [entry for entry in pyproject["tool"]["importlinter"]["contracts"] if entry["id"] == "rooms"]
    placed = {name for layer in rooms["layers"] for name in re.findall(r"\w+", layer)}
    packages = {path.parent.name for path in (root / "refrain").glob("*/__init__.py")}
    assert packages - placed - set(rooms["exhaustive_ignores"]) == set()


def test_the_change_log_has_a_place_for_the_next_line(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)


def test_airflow_leaves_the_plugin_package_to_its_entry_point(root: Path, pyproject: dict[str, Any]) -> None:
    lines = (root / "plugins" / ".airflowignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["refrain_plugin"]
    assert pyproject["project"]["entry-points"]["airflow.plugins"] == {"refrain": "refrain_plugin:RefrainPlugin"}
