from __future__ import annotations

import pytest

from refrain.runtime.parallel.settings import SettingError, Settings

LEAST = ("--scoring_module_name", "score.py", "--error_threshold", "5", "--output_action", "append_row")


def settings(*words: str) -> Settings:
    return Settings([*LEAST, *words])


def test_what_is_not_said_is_as_in_azure_ml() -> None:
    found = settings()
    assert (found.limits.tries, found.timeout, found.level, found.nodes) == (3, 60, "INFO", 1)
    assert (found.patience, found.rows_file, found.keeps_rows) == (210, "parallel_run_step.txt", True)


def test_words_of_the_user_are_left_alone() -> None:
    found = settings("--model", "iris", "--input_fds_0", "images", "--run", "--input_ds_1", "table", "-x", "--", "--y")
    assert (found.files, found.tables) == (["images"], ["table"])


def test_no_word_of_the_user_is_taken_for_the_beginning_of_one_of_ours() -> None:
    assert settings("--mini", "7", "--out", "x").output is None


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("1KB", 1024), ("3mb", 3 << 20), ("2Gb", 2 << 30), ("10 kb", 10 << 10)]
)
def test_a_size_may_have_a_unit(text: str, size: int) -> None:
    assert settings("--mini_batch_size", text).size == size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mini_batch_size", "many"), "'many' is no size: write a number, or one such as 10KB, 1MB or 2GB"),
        (("--mini_batch_size", "0"), "'0' is no size"),
        (("--run_max_try", "0"), "'0' is no whole number from 1 on"),
        (("--refrain_node_count", "1.5"), "'1.5' is no whole number from 1 on"),
        (("--run_invocation_timeout", "-3"), "'-3' is no number of seconds above 0"),
        (("--run_invocation_timeout", "soon"), "'soon' is no number of seconds above 0"),
        (("--allowed_failed_percent", "101"), "'101' is no number from 0 to 100"),
        (("--partition_keys", "country"), "'country' is no list of names in JSON"),
        (("--partition_keys", "[1]"), "is no list of names in JSON"),
        (("--logging_level", "LOUD"), "invalid choice: 'LOUD'"),
        (("--output_action", "print"), "invalid choice: 'print'"),
    ],
)
def test_a_value_that_is_none_is_named_with_the_way_out(words: tuple[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=r"^Parallel run: argument --") as caught:
        settings(*words)
    assert message in str(caught.value)
