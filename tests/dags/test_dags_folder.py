"""What Airflow takes for a DAG file, and what it must leave alone."""

from pathlib import Path


def ignored(dags_folder: Path) -> set[str]:
    lines = (dags_folder / ".airflowignore").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_every_folder_of_step_sources_is_hidden_from_airflow(dags_folder: Path) -> None:
    folders = {path.name for path in dags_folder.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert ignored(dags_folder) == folders


def test_no_dag_file_is_hidden_by_the_name_of_a_folder(dags_folder: Path) -> None:
    # In the regexp syntax a line hides every path that it is found in.
    files = [path.name for path in dags_folder.glob("*.py")]

    assert not [file for file in files for name in ignored(dags_folder) if name in file]


def test_every_dag_file_has_the_words_without_which_airflow_skips_it(dags_folder: Path) -> None:
    for file in dags_folder.glob("*.py"):
        text = file.read_text().lower()
        assert "airflow" in text, file.name
        assert "dag" in text, file.name
