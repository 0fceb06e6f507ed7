"""DatabricksStep as it is declared: Azure ML's rules, what counts, and what is refused before anything runs."""

from __future__ import annotations

import json
import warnings

import pytest

from refrain import (
    DatabricksCluster,
    DatabricksStep,
    DataReference,
    EggLibrary,
    JarLibrary,
    MavenLibrary,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PyPiLibrary,
    RCranLibrary,
    RunConfiguration,
)
from refrain.errors import PipelineError, UserError
from refrain.steps.command import InputPath, Literal, OutputPath, ParameterValue, Setting
from refrain.steps.definition import NO_SOURCE, PipelineDefinition


def _step(**how) -> DatabricksStep:
    how.setdefault("notebook_path", "/Shared/train")
    return DatabricksStep("train", compute_target="databricks", **how)


def _defined(workspace, step):
    return Pipeline(workspace, [step], name="p").definition.steps[0]


def test_a_notebook_step_is_its_widgets_and_its_settings(workspace, store):
    out, size = PipelineData("out"), PipelineParameter("size", 3)
    raw = DataReference(store, "raw", "raw")
    step = _step(inputs=[raw], outputs=[out], notebook_params={"n": size, "mode": "fast"}, num_workers=2)
    found = _defined(workspace, step)
    assert (found.kind, found.source, found.command, found.compute) == ("databricks", NO_SOURCE, (), "databricks")
    said = dict(found.parameters)
    assert said["notebook_path"] == Literal("/Shared/train")
    assert said["notebook_params.n"] == ParameterValue("size")
    assert said["notebook_params.mode"] == Literal("fast")
    assert said["spark_version"] == Literal('"10.4.x-scala2.12"')
    assert isinstance(said["run"], Setting)
    assert json.loads(said["run"].text) == {"node_type": "Standard_D3_v2", "num_workers": 2, "run_name": "train"}
    assert dict(found.environment.variables) == {"PYSPARK_PYTHON": "/databricks/python3/bin/python3"}


def test_its_definition_survives_json(workspace):
    step = _step(notebook_params={"n": PipelineParameter("size", 3)}, outputs=[PipelineData("out")], num_workers=1)
    definition = Pipeline(workspace, [step], name="p").definition
    assert PipelineDefinition.from_json(json.loads(json.dumps(definition.to_json()))) == definition


def test_arguments_keep_their_order_and_parameters_come_with_their_names(workspace, store):
    raw, out = DataReference(store, "raw", "raw"), PipelineData("out")
    params = ["--raw", raw, PipelineParameter("size", 3), *map(str, range(9)), out]
    step = _step(
        notebook_path=None,
        python_script_path="dbfs:/a.py",
        python_script_params=params,
        inputs=[raw],
        outputs=[out],
    )
    said = [token for name, token in _defined(workspace, step).parameters if name.startswith("argument.")]
    assert said[:4] == [Literal("--raw"), InputPath("raw"), Literal("size"), ParameterValue("size")]
    assert said[4:-1] == [Literal(str(number)) for number in range(9)]
    assert said[-1] == OutputPath("out")


def test_a_set_of_arguments_has_the_same_order_in_every_process(workspace):
    step = _step(notebook_path=None, python_script_path="dbfs:/a.py", python_script_params={"b", "a", "c"})
    said = [token for name, token in _defined(workspace, step).parameters if name.startswith("argument.")]
    assert said == [Literal("a"), Literal("b"), Literal("c")]


def test_libraries_are_what_the_jobs_api_takes(workspace):
    step = _step(
        maven_libraries=[MavenLibrary("a:b:1", exclusions=["c:d"])],
        pypi_libraries=[PyPiLibrary("simplejson==3.8.0", "https://packages.example")],
        egg_libraries=[EggLibrary("dbfs:/a.egg")],
        jar_libraries=[JarLibrary("dbfs:/a.jar")],
        rcran_libraries=[RCranLibrary("geojson")],
        num_workers=1,
    )
    assert json.loads(dict(_defined(workspace, step).parameters)["libraries"].text) == [
        {"maven": {"coordinates": "a:b:1", "exclusions": ["c:d"]}},
        {"pypi": {"package": "simplejson==3.8.0", "repo": "https://packages.example"}},
        {"egg": "dbfs:/a.egg"},
        {"jar": "dbfs:/a.jar"},
        {"cran": {"package": "geojson"}},
    ]


def test_a_run_configuration_holds_libraries_and_cluster(workspace):
    configuration = RunConfiguration()
    configuration.environment.databricks.pypi_libraries = [PyPiLibrary("a")]
    configuration.environment.databricks.cluster = DatabricksCluster(num_workers=3, spark_version="13.3.x-scala2.12")
    said = dict(_defined(workspace, _step(runconfig=configuration)).parameters)
    assert json.loads(said["libraries"].text) == [{"pypi": {"package": "a"}}]
    assert said["spark_version"] == Literal('"13.3.x-scala2.12"')
    with pytest.raises(UserError, match="a runconfig excludes pypi_libraries"):
        _step(runconfig=configuration, pypi_libraries=[PyPiLibrary("b")])
    with pytest.raises(UserError, match="the runconfig describes a cluster, and so do the step's own parameters"):
        _step(runconfig=configuration, num_workers=1)


def test_hash_paths_of_old_code_is_ignored_with_a_warning():
    with pytest.warns(DeprecationWarning, match="hash_paths has no effect"):
        _step(hash_paths=["a"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"notebook_path": None}, r"it runs exactly one of notebook_path, .*; given: none\."),
        ({"python_script_path": "dbfs:/a.py"}, r"exactly one of .*given: notebook_path, python_script_path\."),
        ({"notebook_path": "train"}, r"notebook_path 'train' must be absolute"),
        ({"notebook_path": None, "main_class_name": "A"}, r"the class 'A' must come from somewhere"),
        ({"python_script_params": ["a"]}, r"python_script_params are for a script, and it runs a notebook_path\."),
        ({"jar_params": ["a"]}, r"jar_params are for a JAR"),
        ({"notebook_params": ["a"]}, r"notebook_params must map names to values, not \['a'\]\."),
        ({"existing_cluster_id": "a", "num_workers": 1}, r"an existing_cluster_id excludes num_workers"),
        ({"existing_cluster_id": "a", "spark_conf": {}}, r"an existing_cluster_id excludes spark_conf"),
        ({"num_workers": 1, "permit_cluster_restart": True}, r"permit_cluster_restart is for an existing cluster"),
        (
            {"num_workers": 1, "node_type": "a", "instance_pool_id": "b"},
            r"a node_type or an instance_pool_id, not both",
        ),
        ({"num_workers": 1, "min_workers": 1, "max_workers": 2}, r"num_workers, or min_workers and max_workers"),
        ({"min_workers": 1}, r"num_workers, or min_workers and max_workers"),
        ({"spark_version": "13"}, r"spark_version describe a new cluster: give num_workers"),
        ({"num_workers": "two"}, r"num_workers must be a number of workers, not 'two'\."),
        ({"num_workers": 1, "spark_conf": {"a": 1}}, r"spark_conf must map names to texts, not 'a' to 1\."),
        ({"timeout_seconds": "1h"}, r"timeout_seconds must be a number of seconds, not '1h'\."),
        ({"pypi_libraries": ["a"]}, r"pypi_libraries must hold objects of PyPiLibrary, not 'a'\."),
        ({"runconfig": "a"}, r"runconfig must be a RunConfiguration, not 'a'\."),
        ({"allow_reuse": "no"}, r"allow_reuse must be True or False, not 'no'\."),
        ({"job_options": {"tasks": []}}, r"job_options cannot set 'tasks'"),
        ({"job_options": {"a": object()}}, r"job_options must be JSON values"),
        (
            {"job_options": {"docker_image": {"basic_auth": {"password": "x"}}}},
            r"would store 'password' with the pipeline",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_at_once(how, message):
    with pytest.raises(UserError, match=f"DatabricksStep 'train': .*{message}"):
        _step(**how)


def test_a_step_needs_a_compute_target():
    with pytest.raises(UserError, match=r"needs a compute_target: the name of a target of the kind databricks"):
        DatabricksStep("train", notebook_path="/a")


def test_a_library_without_a_name_is_refused(workspace):
    with pytest.raises(UserError, match=r"PyPiLibrary needs package, not None\."):
        Pipeline(workspace, [_step(pypi_libraries=[PyPiLibrary()])], name="p").definition  # noqa: B018


def test_data_that_has_no_single_address_is_refused(workspace, store):
    step = _step(inputs=[DataReference(store, "raw", "raw").as_download()])
    with pytest.raises(PipelineError, match=r"'raw' cannot be handed to Databricks.*Use a DataReference"):
        Pipeline(workspace, [step], name="p").definition  # noqa: B018


def test_a_scoped_secret_may_be_passed_through(workspace):
    options = {"new_cluster": {"docker_image": {"basic_auth": {"password": "{{secrets/scope/name}}"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _defined(workspace, _step(job_options=options)).kind == "databricks"
