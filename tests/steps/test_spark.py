"""SparkStep and SynapseSparkStep: what they take and refuse, and the settings that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project
from refrain import (
    Dataset,
    Environment,
    HDFSOutputDatasetConfig,
    OutputFileDatasetConfig,
    Pipeline,
    PipelineParameter,
    RunConfiguration,
    SparkPackage,
    SparkStep,
    SynapseSparkStep,
)
from refrain.errors import PipelineError, UserError
from refrain.steps.command import Interpreter, Literal, OutputPath, ParameterValue, SparkSubmit
from refrain.steps.definition import PipelineDefinition, StepDefinition


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def source(project: Project) -> Path:
    folder = project.source("s", "")
    (folder / "lib.py").write_text("")
    (folder / "own.jar").write_text("")
    return folder


def _defined(project: Project, step: SparkStep) -> StepDefinition:
    return Pipeline(project.workspace, [step]).definition.steps[0]


def _conf(step: SparkStep) -> dict[str, str]:
    return step.conf


def _synapse(source: Path, **more: Any) -> SynapseSparkStep:
    sizes = {"driver_cores": 2, "executor_memory": "8g", "executor_cores": 4, "num_executors": 3}
    return SynapseSparkStep("s.py", str(source), "pool", **{"driver_memory": "28g", **sizes, **more})


def test_azures_parameters_become_sparks_keys(source: Path) -> None:
    step = _synapse(
        source, app_name="app", py_files=["lib.py"], jars=["own.jar"], files=["lib.py"], conf={"spark.x": 1}
    )
    assert step.conf == {
        "spark.app.name": "app",
        "spark.driver.cores": "2",
        "spark.driver.memory": "28g",
        "spark.executor.cores": "4",
        "spark.executor.instances": "3",
        "spark.executor.memory": "8g",
        "spark.files": "lib.py",
        "spark.jars": "own.jar",
        "spark.submit.pyFiles": "lib.py",
        "spark.x": "1",
    }
    assert step.name == "s.py"


def test_packages_of_the_environment_and_settings_of_the_runconfig_are_sparks_too(source: Path) -> None:
    config = RunConfiguration()
    config.environment.spark.packages = [SparkPackage("com.example", "reader", "1.0"), SparkPackage("a", "b", "2")]
    config.environment.spark.repositories = ["https://maven.example"]
    config.spark.configuration = {"spark.app.name": "of the config", "spark.executor.memory": "1g", "spark.y": "config"}
    step = SparkStep("s.py", str(source), app_name="own", conf={"spark.executor.memory": "2g"}, runconfig=config)
    assert step.conf == {
        "spark.app.name": "own",
        "spark.executor.memory": "2g",
        "spark.jars.packages": "com.example:reader:1.0,a:b:2",
        "spark.jars.repositories": "https://maven.example",
        "spark.y": "config",
    }


def test_a_package_without_a_version_is_refused(source: Path) -> None:
    config = RunConfiguration()
    config.environment.spark.packages = [SparkPackage("com.example", "reader")]
    with pytest.raises(UserError, match="is no SparkPackage with group, artifact and version"):
        SparkStep("s.py", str(source), runconfig=config)


def test_a_step_becomes_a_command_with_its_settings_before_the_script(project: Project, source: Path) -> None:
    rate, out = PipelineParameter("rate", 0.5), HDFSOutputDatasetConfig("out")
    config = RunConfiguration()
    config.environment_variables = {"A": "1"}
    step = SparkStep(
        "s.py", str(source), arguments=["--rate", rate, out], conf={"spark.b": True, "spark.a": "x"}, runconfig=config
    )
    found = _defined(project, step)
    assert found.kind == "spark"
    assert found.command == (
        Interpreter(),
        SparkSubmit((("spark.a", "x"), ("spark.b", "true"))),
        Literal("s.py"),
        Literal("--rate"),
        ParameterValue("rate"),
        OutputPath("out"),
    )
    assert (found.environment.uses_spark, found.environment.variables) == (True, (("A", "1"),))


def test_a_definition_reads_back(project: Project, source: Path) -> None:
    definition = Pipeline(project.workspace, [SparkStep("s.py", str(source), conf={"spark.a": "x"})]).definition
    assert PipelineDefinition.from_json(definition.to_json()) == definition


def test_the_environment_of_a_synapse_step_is_that_of_its_driver(project: Project, source: Path) -> None:
    environment = Environment("e")
    environment.environment_variables = {"A": "1"}
    assert _defined(project, _synapse(source, environment=environment)).environment.variables == (("A", "1"),)
    with pytest.raises(UserError, match=r"Step 's.py': environment must be an Environment, not 'e'"):
        _synapse(source, environment="e")


@pytest.mark.parametrize("key", ["spark.driver.memory", "spark.executor.instances"])
def test_a_setting_that_a_parameter_says_is_not_said_again(source: Path, key: str) -> None:
    with pytest.raises(ValueError, match=rf"Step 's.py': conf says again what a parameter says: {key} \("):
        _synapse(source, conf={key: "1g"})


def test_lists_are_appended(source: Path) -> None:
    step = _synapse(
        source,
        py_files=["lib.py"],
        conf={"spark.submit.pyFiles": "s3a://b/a.zip,lib.py", "spark.yarn.maxAppAttempts": 2},
    )
    assert step.conf["spark.submit.pyFiles"] == "s3a://b/a.zip,lib.py"
    assert step.conf["spark.yarn.maxAppAttempts"] == "2"


@pytest.mark.parametrize("memory", ["28", "28gb", 28, "0g", "-1g", "1.5g", "", "28 g"])
def test_memory_is_a_whole_number_with_a_unit(source: Path, memory: Any) -> None:
    with pytest.raises(
        UserError, match=r"Step 's.py': driver_memory must be a whole number with a unit, such as '28g'"
    ):
        _synapse(source, driver_memory=memory)


@pytest.mark.parametrize("count", [0, -1, "2", 1.5, True])
def test_cores_and_executors_are_whole_numbers(source: Path, count: Any) -> None:
    with pytest.raises(UserError, match=r"Step 's.py': num_executors must be a whole number above 0, not"):
        _synapse(source, num_executors=count)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"spark.master": "yarn"}, "spark.master says where the step runs.*refrain compute set NAME spark master=yarn"),
        ({"spark.submit.deployMode": "cluster"}, "spark.submit.deployMode says where the step runs"),
        ({"executor.memory": "1g"}, "'executor.memory' is no key of Spark's, which begins with 'spark.'"),
        ({"spark.a": None}, "spark.a must be a text, a number or a truth value, not None"),
        ({"spark.hadoop.fs.s3a.secret.key": "x"}, "spark.hadoop.fs.s3a.secret.key is secret and would be stored"),
        ({"spark.hadoop.fs.azure.account.key.a.dfs.core.windows.net": "x"}, "is secret and would be stored"),
        ({"spark.executorEnv.API_TOKEN": "x"}, "is secret and would be stored"),
        ("spark.a=1", "conf must map Spark's keys to values, not 'spark.a=1'"),
    ],
)
def test_a_conf_that_cannot_be_right_is_refused(source: Path, conf: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SparkStep("s.py", str(source), conf=conf)


@pytest.mark.parametrize(
    "key", ["spark.hadoop.fs.s3a.aws.credentials.provider", "spark.kubernetes.authenticate.oauthTokenFile"]
)
def test_what_only_says_where_a_secret_is_may_be_said(source: Path, key: str) -> None:
    assert SparkStep("s.py", str(source), conf={key: "x"}).conf == {key: "x"}


def test_files_are_in_the_source_directory_or_have_a_url(project: Project, source: Path) -> None:
    _defined(project, SparkStep("s.py", str(source), py_files=["s3a://b/a.zip"], files=["lib.py#renamed"]))
    with pytest.raises(PipelineError, match=r"Step 's.py': 'no.py' is not in the source_directory"):
        _defined(project, SparkStep("s.py", str(source), py_files=["no.py"]))
    for outside in ("/etc/hosts", "../other.jar"):
        with pytest.raises(PipelineError, match=f"Step 's.py': '{outside}' is outside of the source_directory"):
            _defined(project, SparkStep("s.py", str(source), jars=[outside]))
    with pytest.raises(UserError, match=r"Step 's.py': files must be a list of paths in the source_directory, or URLs"):
        SparkStep("s.py", str(source), files="lib.py")
    with pytest.raises(UserError, match=r"names 'a,b'; Spark takes the comma for the end of a name"):
        SparkStep("s.py", str(source), files=["a,b"])


def test_a_missing_script_is_named(project: Project, source: Path) -> None:
    with pytest.raises(PipelineError, match=r"Step 'no.py': the script 'no.py' is not in the source_directory"):
        _defined(project, SparkStep("no.py", str(source)))
    with pytest.raises(UserError, match="SparkStep needs a file, the script that it runs, not ''"):
        SparkStep("", str(source))


def test_an_argument_that_spark_would_change_is_refused(project: Project, source: Path) -> None:
    with pytest.raises(PipelineError, match=r"spark-submit drops the carriage return in the argument 'a\\rb'"):
        _defined(project, SparkStep("s.py", str(source), arguments=["a\rb"]))


def test_a_synapse_step_takes_datasets_and_hdfs_outputs_only(source: Path) -> None:
    data = Dataset.File.from_files(str(source)).as_named_input("d")
    assert len(_synapse(source, inputs=[data.as_hdfs()], outputs=[HDFSOutputDatasetConfig("o")]).inputs) == 1
    with pytest.raises(UserError, match=r"takes datasets, direct or with as_hdfs\(\), not"):
        _synapse(source, inputs=[data.as_mount()])
    with pytest.raises(UserError, match="writes to an HDFSOutputDatasetConfig, not to"):
        _synapse(source, outputs=[OutputFileDatasetConfig("o")])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runconfig": {}}, "runconfig must be a RunConfiguration, not {}"),
        ({"allow_reuse": "no"}, "allow_reuse must be True or False, not 'no'"),
        ({"params": ["a"]}, r"params must map names to values, not \['a'\]"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(source: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SparkStep("s.py", str(source), **wrong)
