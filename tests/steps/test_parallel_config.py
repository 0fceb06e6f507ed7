from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refrain import Environment, ParallelRunConfig, PipelineParameter
from refrain.environments.environment import PythonSection
from refrain.errors import UserError


def config(**settings: Any) -> ParallelRunConfig:
    usual = {
        "environment": Environment(), "entry_script": "score.py", "error_threshold": 5, "output_action": "append_row",
        "compute_target": "cluster", "node_count": 2,
    }  # fmt: skip
    return ParallelRunConfig(**{**usual, **settings})


def test_the_defaults_are_azure_mls() -> None:
    found = config()
    assert (found.logging_level, found.run_invocation_timeout, found.run_max_try) == ("INFO", 60, 3)
    assert (found.mini_batch_size, found.process_count_per_node, found.append_row_file_name) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "size"), [(10, 10), ("10", 10), ("1KB", 1024), ("3mb", 3 << 20), ("2Gb", 2 << 30), ("10 kb", 10240)]
)
def test_a_size_becomes_a_number(given: Any, size: int) -> None:
    assert config(mini_batch_size=given).mini_batch_size == size


def test_words_are_taken_however_they_are_written() -> None:
    found = config(output_action="Summary_Only", logging_level="debug")
    assert (found.output_action, found.logging_level) == ("summary_only", "DEBUG")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"environment": "conda"}, "environment must be an Environment, not 'conda'"),
        ({"entry_script": " "}, "needs an entry_script, not ' '"),
        ({"output_action": "print"}, "output_action 'print' is neither 'summary_only' nor 'append_row'"),
        ({"error_threshold": -2}, "error_threshold must be a whole number from -1 on, not -2"),
        ({"error_threshold": 1.5}, "error_threshold must be a whole number from -1 on, not 1.5"),
        ({"error_threshold": True}, "error_threshold must be a whole number from -1 on, not True"),
        ({"allowed_failed_count": -2}, "allowed_failed_count must be a whole number from -1 on, not -2"),
        ({"allowed_failed_percent": 101}, "allowed_failed_percent must be a number from 0 to 100, not 101"),
        ({"allowed_failed_percent": "5"}, "allowed_failed_percent must be a number from 0 to 100, not '5'"),
        ({"mini_batch_size": "10TB"}, "not '10TB'"),
        ({"mini_batch_size": 0}, "mini_batch_size must be a number of files, or a size of bytes such as '10KB'"),
        ({"mini_batch_size": "1KB", "partition_keys": ["a"]}, "mini_batch_size and partition_keys exclude each other"),
        ({"partition_keys": []}, "partition_keys must be a list of names"),
        ({"partition_keys": "country"}, "such as '[\"country\"]', not 'country'"),
        ({"partition_keys": [1]}, "not [1]"),
        ({"process_count_per_node": 0}, "process_count_per_node must be a whole number from 1 on, not 0"),
        ({"node_count": 0}, "node_count must be a whole number from 1 on, not 0"),
        ({"node_count": None}, "node_count must be a whole number from 1 on, not None"),
        ({"run_invocation_timeout": 0}, "run_invocation_timeout must be a number of seconds above 0, not 0"),
        ({"run_max_try": 0}, "run_max_try must be a whole number from 1 on, not 0"),
        ({"logging_level": "LOUD"}, "logging_level 'LOUD' is not one of DEBUG, INFO"),
        ({"append_row_file_name": "a/b.txt"}, "append_row_file_name must be a file's name"),
        ({"append_row_file_name": "a|b"}, "not 'a|b'"),
        ({"environment_variables": {"A": 1}}, "'A' must be a text"),
        ({"error_threshold": PipelineParameter("n", 3)}, "error_threshold cannot be a pipeline parameter"),
        ({"run_max_try": PipelineParameter("n", 0)}, "run_max_try must be a whole number from 1 on, not 0"),
        ({"partition_keys": PipelineParameter("n", "a")}, "partition_keys must be a list of names"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        config(**settings)
    assert message in str(caught.value)


def test_these_settings_may_be_pipeline_parameters() -> None:
    found = config(
        node_count=PipelineParameter("nodes", 3),
        process_count_per_node=PipelineParameter("processes", 2),
        logging_level=PipelineParameter("level", "DEBUG"),
        run_invocation_timeout=PipelineParameter("timeout", 600),
        run_max_try=PipelineParameter("tries", 1),
        partition_keys=PipelineParameter("keys", '["country"]'),
    )
    assert [p.name for p in found.parameters()] == ["nodes", "processes", "level", "timeout", "tries", "keys"]
    assert [p.name for p in config(mini_batch_size=PipelineParameter("size", "5MB")).parameters()] == ["size"]


@pytest.mark.parametrize(
    ("settings", "is_possible"),
    [
        ({"error_threshold": 0}, False),
        ({"error_threshold": 5}, True),
        ({"error_threshold": -1}, True),
        ({"error_threshold": -1, "allowed_failed_count": 0}, False),
        ({"error_threshold": -1, "allowed_failed_percent": 0}, False),
        ({"error_threshold": -1, "allowed_failed_count": -1, "allowed_failed_percent": 50}, True),
    ],
)
def test_it_is_known_whether_a_step_can_succeed_with_failed_items(settings: dict[str, Any], is_possible: bool) -> None:
    assert config(**settings).may_fail_in_part is is_possible


def test_settings_are_read_from_yaml_as_they_were_written(tmp_path: Path) -> None:
    environment = Environment("scoring", PythonSection("/usr/bin/python3"), {"A": "1"})
    written = config(
        environment=environment,
        source_directory=tmp_path,
        description="Digits",
        partition_keys=["country", "year"],
        run_max_try=PipelineParameter("tries", 2),
        environment_variables={"B": "2"},
        allowed_failed_percent=2.5,
    )
    written.save_to_yaml(tmp_path / "config.yml")
    found = ParallelRunConfig.load_yaml(None, tmp_path / "config.yml")
    assert found.environment.specification() == environment.specification()
    expected = {**vars(written), "environment": found.environment, "source_directory": str(tmp_path)}
    assert vars(found) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: []", "has no section 'parallel_run_config'"),
        ("", "has no section 'parallel_run_config'"),
        ("parallel_run_config: {speed: 3}", "'speed' is no setting of a ParallelRunConfig"),
        ("parallel_run_config: {entry_script: a.py}", "is no complete ParallelRunConfig"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(UserError) as caught:
        ParallelRunConfig.load_yaml(None, tmp_path / "config.yml")
    assert message in str(caught.value)
