"""Requirement lines: what reaches uv, what is left out, and what is refused."""

import pytest

from refrain.environments.requirements import (
    Requirements,
    from_conda,
    is_python_package,
    name_of,
    read_file,
    read_requirements,
)
from refrain.errors import UserError

INDEX = "https://more"
INDEX_2 = "https://index/simple"


def test_comments_and_continued_lines_are_read_as_pip_does():
    lines = ["# all", "", "numpy==1.26  # pinned", "pandas \\", "  >=2,<3", "torch @ https://host/a#egg=torch"]
    assert read_requirements(lines).lines == ("numpy==1.26", "pandas >=2,<3", "torch @ https://host/a#egg=torch")


def test_packages_of_azure_ml_are_apart():
    found = read_requirements(
        ["azureml-defaults", "azureml-dataset-runtime[pandas,fuse]~=1.5", "AzureML_Core", "numpy"]
    )
    assert found == Requirements(
        ("numpy",), (), ("azureml-defaults", "azureml-dataset-runtime[pandas,fuse]~=1.5", "AzureML_Core")
    )


def test_options_have_one_form(tmp_path):
    lines = ["-i https://index/simple", f"--extra-index-url={INDEX}", "-f wheels", "--pre", "--no-cache-dir"]
    assert read_requirements(lines, str(tmp_path)).options == (
        f"--index-url={INDEX_2}",
        f"--extra-index-url={INDEX}",
        f"--find-links={tmp_path}/wheels",
        "--pre",
    )


def test_files_name_files_beside_them(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "all.txt").write_text("-r more/base.txt\npandas\n")
    (tmp_path / "more" / "base.txt").write_text("numpy\n-f wheels\nazureml-core\n")
    assert read_file(str(tmp_path / "all.txt")) == Requirements(
        ("numpy", "pandas"), (f"--find-links={tmp_path}/more/wheels",), ("azureml-core",)
    )


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"The requirements file '/no/file.txt' cannot be read: .*No such file"):
        read_file("/no/file.txt")


@pytest.mark.parametrize("line", ["-e .", "--editable=.", "-c constraints.txt", "--target=x", "--pre=1", "--index-url"])
def test_options_without_a_meaning_here_are_refused(line):
    with pytest.raises(UserError, match=r"The option '.*' cannot be used in an environment\. Known: --extra-index-url"):
        read_requirements([line])


@pytest.mark.parametrize("line", ["./local", "/abs/x.whl", "https://host/x.whl", "git+https://host/x", "?"])
def test_what_names_no_package_is_refused(line):
    with pytest.raises(UserError, match="names no package"):
        read_requirements([line])


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://user:hunter2@host/simple",
        "--extra-index-url https://hunter2@host/simple",
        "x @ git+https://hunter2@host/x",
        "x @ ssh://git:hunter2@host/x",
    ],
)
def test_a_login_is_refused_and_not_repeated(line):
    with pytest.raises(UserError, match=r"\*\*\*@host.*holds a password or a token.*\.netrc.*UV_INDEX_URL") as caught:
        read_requirements([line])
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_login_stays():
    line = "x @ git+ssh://git@host/x"
    assert read_requirements([line]).lines == (line,)


def test_names_are_written_as_indexes_do():
    assert name_of("Scikit_Learn.extra[a] >= 1") == "scikit-learn-extra"


@pytest.mark.parametrize(
    ("match", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.21", "numpy==1.21.*"),
        ("numpy=1.21.*", "numpy==1.21.*"),
        ("numpy==1.21.2", "numpy==1.21.2"),
        ("numpy 1.21.2", "numpy==1.21.2"),
        ("numpy>=1.2,<2", "numpy>=1.2,<2"),
        ("numpy=1.21=py38_0", "numpy==1.21.*"),
        ("numpy==1.21=py38_0", "numpy==1.21"),
        ("conda-forge::pytorch=1.6", "torch==1.6.*"),
        ("py-xgboost", "xgboost"),
    ],
)
def test_condas_matches_become_requirements(match, requirement):
    assert from_conda(match) == requirement


@pytest.mark.parametrize(
    "match", ["cudatoolkit=10.1", "r-base", "openmpi", "conda-forge::gcc", "_libgcc_mutex=0.1=main"]
)
def test_libraries_and_programs_are_no_python_packages(match):
    assert not is_python_package(match)


@pytest.mark.parametrize(
    "match", ["numpy", "conda-forge::librosa=0.9", "rasterio", "cupy", "tkinter-tools", "sqlalchemy"]
)
def test_what_only_begins_like_a_library_is_a_package(match):
    assert is_python_package(match)


def test_alternatives_are_refused():
    with pytest.raises(UserError, match=r"'numpy=1.2\|1.3' has alternatives"):
        from_conda("numpy=1.2|1.3")
