"""The rules for names."""

import pytest

from refrain.data.names import dataset_name, numbered, port_name
from refrain.errors import UserError


@pytest.mark.parametrize("name", ["a", "A_1", "1a", "_"])
def test_an_input_is_called_by_letters_digits_and_underscores(name):
    assert port_name(name, "an input") == name


@pytest.mark.parametrize("name", ["", "a-b", "a b", "a.b", "é", "a\n", None, 5])
def test_any_other_name_of_an_input_is_refused(name):
    with pytest.raises(UserError, match="is no valid name for an input: use letters, digits and '_' only"):
        port_name(name, "an input")


@pytest.mark.parametrize("name", ["a", "A_1", "_1"])
def test_a_dataset_is_called_like_a_variable(name):
    assert dataset_name(name, "a dataset") == name


@pytest.mark.parametrize("name", ["", "1a", "a-b", "é", "a\n", None])
def test_any_other_name_of_a_dataset_is_refused(name):
    with pytest.raises(UserError, match="is no valid name for a dataset: start with a letter or '_', then letters"):
        dataset_name(name, "a dataset")


@pytest.mark.parametrize("name", ["path", "PATH", "ld_library_path", "user", "logname", "Home", "pwd", "shell"])
def test_a_name_that_every_process_uses_brings_a_warning(name):
    with pytest.warns(UserWarning, match=f"'{name}' as a name for a dataset is also an environment variable of every"):
        assert dataset_name(name, "a dataset") == name


@pytest.mark.parametrize(
    ("names", "filled"),
    [
        ([None, None], ["x_1", "x_2"]),
        (["a", None], ["a", "x_2"]),
        (["x_2", None, None], ["x_2", "x_3", "x_4"]),
        ([None, "x_1"], ["x_2", "x_1"]),
        (["a", "a"], ["a", "a"]),
        ([], []),
    ],
)
def test_a_given_name_is_never_taken(names, filled):
    assert numbered(names, "x") == filled
