"""Environment: what it asks for, and how it is kept."""

import sys

import pytest

from refrain import CondaDependencies, Environment, Workspace
from refrain.environments.specification import EnvironmentSpec, ImageSpec, PackageSpec
from refrain.errors import CorruptObjectError, UnknownNameError, UserError

INDEX = "https://index"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


def with_packages(name="train", **settings):
    environment = Environment(name)
    environment.python.conda_dependencies = CondaDependencies.create(**{"pip_packages": ["numpy"], **settings})
    return environment


def test_packages_are_asked_for():
    environment = with_packages(conda_packages=["scipy=1"], python_version="3.9")
    environment.python.pins_override = True
    assert environment.specification().packages == PackageSpec(
        python="3.9", requirements=("numpy",), conda=("scipy=1",), pins_override=True
    )


def test_without_packages_it_is_the_interpreter_at_hand():
    assert Environment("any").specification() == EnvironmentSpec()


def test_the_packages_of_azure_ml_are_left_out_with_a_warning():
    environment = with_packages(pip_packages=["azureml-defaults", "azureml-core"])
    with pytest.warns(UserWarning, match="azureml-defaults, azureml-core is left out, because Refrain takes its place"):
        assert environment.specification() == EnvironmentSpec()


def test_user_managed_dependencies_leave_the_packages_out():
    environment = with_packages()
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = sys.executable
    assert environment.specification() == EnvironmentSpec(sys.executable)


def test_an_interpreter_and_packages_contradict_each_other():
    environment = with_packages()
    environment.python.interpreter_path = sys.executable
    with pytest.raises(
        UserError, match=r"has packages to install and the interpreter_path .*user_managed_dependencies"
    ):
        environment.specification()


@pytest.mark.parametrize(
    ("version", "message"), [("three", "'three' is no version of Python"), ("3.6", "3.8 is the oldest"), ("2.7", "3.8")]
)
def test_a_python_that_cannot_be_is_refused_when_the_pipeline_is_built(version, message):
    with pytest.raises(UserError, match=message):
        with_packages(python_version=version).specification()


def test_files_become_environments(tmp_path):
    (tmp_path / "env.yml").write_text("dependencies: [python=3.9, {pip: [numpy]}]")
    (tmp_path / "requirements.txt").write_text("numpy\n--pre\n")
    conda = Environment.from_conda_specification("a", tmp_path / "env.yml").specification().packages
    pip = Environment.from_pip_requirements("b", tmp_path / "requirements.txt").specification().packages
    assert conda == PackageSpec("3.9", ("numpy",))
    assert pip == PackageSpec("", ("numpy",), ("--pre",))


def test_images_and_dockerfiles_are_carried(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    (tmp_path / "requirements.txt").write_text("numpy\n")
    by_name = Environment.from_docker_image("a", "python:3.11", pip_requirements=tmp_path / "requirements.txt")
    assert by_name.specification() == EnvironmentSpec(
        packages=PackageSpec(requirements=("numpy",)), image=ImageSpec("python:3.11")
    )
    for given in (tmp_path / "Dockerfile", "FROM debian\n"):
        found = Environment.from_dockerfile("b", given).specification()
        assert found == EnvironmentSpec(image=ImageSpec(dockerfile="FROM debian\n"))


def test_what_makes_no_environment_is_refused(tmp_path):
    with pytest.raises(UserError, match="its Dockerfile '/no/Dockerfile' cannot be read"):
        Environment.from_dockerfile("a", "/no/Dockerfile").specification()
    with pytest.raises(UserError, match="container_registry would store a login"):
        Environment.from_docker_image("a", "image", container_registry=object())
    with pytest.raises(UserError, match="give a conda_specification or pip_requirements, not both"):
        Environment.from_docker_image("a", "image", None, "a.yml", "b.txt")
    with pytest.raises(UserError, match="An Environment needs a name, not ''"):
        Environment("")


def test_a_conda_environment_is_found_by_name_and_by_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / "envs" / "train" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"/gone\n{tmp_path}/envs/train\n")
    for wanted in ("train", str(tmp_path / "envs" / "train")):
        assert Environment.from_existing_conda_environment("a", wanted).specification().interpreter == str(python)
    with pytest.raises(UserError, match=r"no conda environment 'test' with a Python on this machine.*gone, train"):
        Environment.from_existing_conda_environment("a", "test")


def test_registering_gives_versions_only_to_what_changed(workspace):
    one = with_packages().register(workspace)
    again = with_packages().register(workspace)
    other = with_packages(pip_packages=["pandas"]).register(workspace)
    assert (one.version, again.version, other.version) == ("1", "1", "2")
    assert Environment.get(workspace, "train").specification() == other.specification()
    assert Environment.get(workspace, "train", "1").specification() == one.specification()
    assert Environment.get(workspace, "train", version=2, label="latest").version == "2"
    assert {name: found.version for name, found in Environment.list(workspace).items()} == {"train": "2"}
    assert list(workspace.environments) == ["train"]


def test_everything_that_was_set_is_registered(workspace):
    made = with_packages(conda_packages=["scipy"], python_version="3.9", pip_indexurl=INDEX)
    made.docker.base_image = "python:3"
    made.environment_variables["A"] = "1"
    made.python.conda_from_pypi = False
    made.register(workspace)
    assert Environment.get(workspace, "train").specification() == made.specification()


def test_a_clone_is_another_one(workspace):
    one = with_packages().register(workspace)
    other = one.clone("other")
    other.python.conda_dependencies.add_pip_package("pandas")
    assert (other.name, other.version) == ("other", None)
    assert one.python.conda_dependencies.pip_packages == ["numpy"]


def test_what_is_not_registered_is_refused_with_what_is(workspace):
    with_packages().register(workspace)
    with pytest.raises(UnknownNameError, match=r"no environment 'trian'\. Known: train\. Did you mean 'train'\?"):
        Environment.get(workspace, "trian")
    with pytest.raises(UnknownNameError, match=r"'train' has no such version\. Known: 1\."):
        Environment.get(workspace, "train", 3)
    with pytest.raises(UserError, match="'newest' is no version"):
        Environment.get(workspace, "train", "newest")
    with pytest.raises(UserError, match="labels are not kept"):
        Environment.get(workspace, "train", label="stable")


def test_a_curated_name_can_be_given_a_meaning(workspace):
    with pytest.raises(UnknownNameError, match=r"one of Azure ML's own images.*from_conda_specification\('AzureML-Tut"):
        Environment.get(workspace, "AzureML-Tutorial")
    with_packages("AzureML-Tutorial").register(workspace)
    assert Environment.get(workspace, "AzureML-Tutorial").specification().packages.requirements == ("numpy",)


def test_a_secret_is_not_registered(workspace, tmp_path):
    made = with_packages()
    made.environment_variables["API_TOKEN"] = "hunter2"
    with pytest.raises(UserError, match="the variable 'API_TOKEN' looks like a secret, which would be stored"):
        made.register(workspace)
    with pytest.raises(UserError, match="looks like a secret"):
        made.save_to_directory(tmp_path / "env")


def test_a_damaged_or_newer_record_is_named(workspace):
    registry = workspace.state.registry
    registry.add("environments", "a", {"schema": 9})
    registry.add("environments", "b", {"schema": 1, "name": "b"})
    with pytest.raises(CorruptObjectError, match="The environment 'a' was written by a newer Refrain"):
        Environment.get(workspace, "a")
    with pytest.raises(CorruptObjectError, match="The environment 'b' is damaged: KeyError"):
        Environment.get(workspace, "b")


def test_a_folder_keeps_an_environment(tmp_path):
    made = with_packages(python_version="3.9")
    made.save_to_directory(tmp_path / "env")
    assert Environment.load_from_directory(tmp_path / "env").specification() == made.specification()
    with pytest.raises(UserError, match="is there already; give overwrite=True"):
        made.save_to_directory(tmp_path / "env")
    made.save_to_directory(tmp_path / "env", overwrite=True)
    with pytest.raises(UserError, match="cannot be read"):
        Environment.load_from_directory(tmp_path / "other")
