"""Which Python files Airflow looks into for DAGs."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

_OURS = b"refrain_operators"


def might_contain_dag(file_path: str, zip_file: ZipFile | None = None) -> bool:
    """Whether Airflow should import a file: by its own rule, or because the file imports these operators.

    Airflow's rule asks for the words "airflow" and "dag"; a file that calls `pipeline_dag` needs only the second.

    :param zip_file: the archive that holds the file; ``None`` for a file on disk.
    """
    from airflow.utils.file import might_contain_dag_via_default_heuristic

    content = zip_file.read(file_path) if zip_file else Path(file_path).read_bytes()
    return _OURS in content or bool(might_contain_dag_via_default_heuristic(file_path, zip_file))
