"""CondaDependencies: lists, conda's files, and back."""

import pytest

from refrain import CondaDependencies
from refrain.errors import UserError

INDEX = "https://index/simple"
INDEX_2 = "https://a"
INDEX_3 = "https://me:hunter2@host"
INDEX_4 = "https://b"


def test_lists_become_a_file_and_come_back(tmp_path):
    made = CondaDependencies.create(
        pip_indexurl=INDEX,
        pip_packages=["numpy==1.26", "pandas"],
        conda_packages=["scikit-learn=1.4", "pip"],
        python_version="3.9",
    )
    made.add_channel("conda-forge")
    path = made.save(tmp_path / "deep" / "conda.yml")
    read = CondaDependencies(path)
    assert (
        read.as_dict()
        == made.as_dict()
        == {
            "name": "project_environment",
            "channels": ["conda-forge"],
            "dependencies": [
                "python=3.9",
                "scikit-learn=1.4",
                "pip",
                {"pip": [f"--index-url={INDEX}", "numpy==1.26", "pandas"]},
            ],
        }
    )
    assert read.get_python_version() == "3.9"
    assert read.conda_matches() == ("scikit-learn=1.4",)
    assert read.pip_packages == ["numpy==1.26", "pandas"]


def test_a_file_of_conda_s_own_is_read(tmp_path):
    (tmp_path / "env.yml").write_text(
        "name: train\nchannels: [defaults]\ndependencies:\n- python>=3.8,<3.12\n- conda-forge::numpy\n- pip\n"
        "- pip:\n  - azureml-defaults\n  - -f wheels\n  - -r more.txt\n"
    )
    (tmp_path / "more.txt").write_text("requests\n")
    read = CondaDependencies(tmp_path / "env.yml")
    assert read.get_python_version() == ">=3.8,<3.12"
    assert read.pip_packages == ["requests", "azureml-defaults"]
    assert read.pip_options == [f"--find-links={tmp_path}/wheels"]
    assert read.requirements().left_out == ("azureml-defaults",)
    assert read.conda_channels == ["defaults"]


@pytest.mark.parametrize(
    ("match", "version"),
    [("python=3.9", "3.9"), ("python==3.9.1", "3.9.1"), ("python=3.8.13=h12debd9_0", "3.8.13"), ("python", None)],
)
def test_the_version_of_python_is_told_as_it_is_asked_for(match, version):
    assert CondaDependencies.create(conda_packages=[match, "python-dateutil"]).get_python_version() == version


def test_nothing_is_asked_for_unless_it_is_named():
    """Azure ML adds its own packages and its own version of Python."""
    made = CondaDependencies.create()
    assert (made.pip_packages, made.conda_packages, made.get_python_version()) == ([], [], None)


def test_a_package_takes_the_place_of_its_earlier_line():
    made = CondaDependencies.create(pip_packages=["numpy==1.0", "pandas"])
    made.add_pip_package("NumPy>=2")
    made.set_python_version("3.8")
    made.set_python_version(">=3.9")
    assert made.pip_packages == ["pandas", "NumPy>=2"]
    assert made.conda_packages == ["python>=3.9"]


def test_what_was_added_can_be_taken_away():
    made = CondaDependencies.create(pip_packages=["numpy==1.0"], conda_packages=["scipy=1"], pip_indexurl=INDEX_2)
    made.add_channel("c")
    made.remove_pip_package("numpy")
    made.remove_conda_package("scipy=1")
    made.remove_pip_option("--index-url")
    made.remove_channel("c")
    assert made.as_dict() == {"name": "project_environment", "dependencies": []}


def test_requirements_can_be_replaced_as_a_whole():
    made = CondaDependencies.create(pip_packages=["numpy"], pip_indexurl=INDEX_2)
    made.set_pip_requirements(["pandas", "--pre"])
    assert (made.pip_packages, made.pip_options) == (["pandas"], [f"--index-url={INDEX_2}", "--pre"])


def test_an_option_takes_the_place_of_the_same_one():
    made = CondaDependencies.create(pip_indexurl=INDEX_2)
    made.set_pip_index_url("https://b")
    assert made.pip_options == [f"--index-url={INDEX_4}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "has no dependencies"),
        ("dependencies: [3]\n", "The dependency 3 is neither a package nor a list of pip packages"),
        ("dependencies: [{pip: numpy}]\n", "pip must be a list of texts, not 'numpy'"),
        (":\n  - [\n", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "env.yml").write_text(text)
    with pytest.raises(UserError, match=message):
        CondaDependencies(tmp_path / "env.yml")


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"The conda file '/no/env\.yml' cannot be read"):
        CondaDependencies("/no/env.yml")


def test_a_password_in_an_index_is_refused():
    with pytest.raises(UserError, match="holds a password or a token"):
        CondaDependencies.create(pip_indexurl=INDEX_3)


def test_a_text_is_no_list_of_packages():
    with pytest.raises(UserError, match="pip_packages must be a list of texts, not 'numpy'"):
        CondaDependencies.create(pip_packages="numpy")
