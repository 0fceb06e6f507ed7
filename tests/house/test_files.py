"""Nothing in the project's files belongs to one machine, one person or one network."""

from __future__ import annotations

import re
from pathlib import Path

# Written so that this file does not find itself.
MACHINE_PATHS = re.compile(r"/(?:work|root|home)/(?!airflow\b)[a-z][\w.-]*/|/opt/(?:pypi|wheels)")
INDEX_HOSTS = re.compile(
    r"(?:index|extra-index|find-links)[_-]?url\s*=\s*\S*://|://[^/\s]*(?:artifactory|nexus|devpi)", re.IGNORECASE
)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bdapi[0-9a-f]{32}\b"
)
MERGE_MARKS = re.compile(r"^(?:<{7} |>{7} )", re.MULTILINE)


def _found(tracked: list[Path], root: Path, pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern occurs, as "file:line text"."""
    return [
        f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1} {match.group()}"
        for path in tracked
        if path != Path(__file__)
        for text in [path.read_text(encoding="utf-8", errors="replace")]
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_path_of_one_machine(tracked: list[Path], root: Path) -> None:
    assert _found(tracked, root, MACHINE_PATHS) == []


def test_no_file_names_a_package_index(tracked: list[Path], root: Path) -> None:
    assert _found(tracked, root, INDEX_HOSTS) == []


def test_no_file_holds_a_secret(tracked: list[Path], root: Path) -> None:
    assert _found(tracked, root, SECRETS) == []


def test_no_file_holds_a_half_done_merge(tracked: list[Path], root: Path) -> None:
    assert _found(tracked, root, MERGE_MARKS) == []


def test_no_large_file_slips_in(tracked: list[Path], root: Path) -> None:
    allowed = {root / "constraints.txt"}
    assert [
        str(path.relative_to(root)) for path in tracked if path not in allowed and path.stat().st_size > 300_000
    ] == []
