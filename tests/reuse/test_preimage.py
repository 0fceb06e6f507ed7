"""What a fingerprint is made of, and what it is not made of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.project import COPIES, Project
from refrain import Dataset, PipelineData, PipelineParameter, PythonScriptStep, RunConfiguration
from refrain.data.handle import DataHandle
from refrain.data.ports import (
    FromFiles,
    FromModel,
    FromStep,
    InputMode,
    InputPort,
    OutputKind,
    OutputMode,
    OutputPort,
    Registration,
)
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.specification import EnvironmentSpec
from refrain.reuse.decision import Decision
from refrain.reuse.preimage import Ingredients, fingerprint, is_secret, preimage, secret_texts
from refrain.steps.command import InputPath, Interpreter, Literal, OutputPath, ParameterValue, SparkSubmit
from refrain.steps.definition import SourceCode, StepDefinition
from refrain.storage.manifest import TreeKind

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "fingerprint.md"

STEP = StepDefinition(
    key="train",
    name="Train",
    kind="python_script",
    source=SourceCode(directory="/somewhere/train"),
    command=(
        Interpreter(),
        Literal("train.py"),
        InputPath("table"),
        OutputPath("model"),
        ParameterValue("rate"),
        ParameterValue("verbosity"),
    ),
    inputs=(
        InputPort("table", FromFiles(((None, "/data/table.csv"),)), InputMode.MOUNT),
        InputPort("prepared", FromStep("prepare", "prepared"), InputMode.DOWNLOAD, "prepared", is_dataset=True),
    ),
    outputs=(OutputPort("model", "workspaceblobstore", "azureml/{run-id}/{output-name}", OutputKind.DIRECTORY),),
    parameters=(("mode", Literal("fast")),),
    environment=EnvironmentSpec(None, (("API_TOKEN", "hunter2"), ("THREADS", "4"))),
)
BASE = Ingredients(
    step=STEP,
    snapshot="5" * 64,
    inputs={
        "table": DataHandle("file:///data/table.csv", TreeKind.FILE, "a" * 64, 1, 10),
        "prepared": DataHandle("file:///store/azureml/r.prepare.1/prepared", TreeKind.DIRECTORY, "b" * 64, 3, 30),
    },
    parameters={"rate": 0.1, "verbosity": 1},
    declared={
        "rate": PipelineParameter("rate", 0.5),
        "verbosity": PipelineParameter("verbosity", 0, affects_reuse=False),
    },
    interpreter=InterpreterIdentity("/usr/bin/python3", "CPython 3.11.7", "linux-x86_64", ("numpy==2.0.0",)),
    secret_key=b"k" * 32,
    predecessors=("0123456789abcdef0123456789abcdef.load.1",),
)
GOLDEN = fingerprint(preimage(BASE))


def _step(**changes: Any) -> Ingredients:
    return replace(BASE, step=replace(STEP, **changes))


def _input(number: int, **changes: Any) -> Ingredients:
    ports = list(STEP.inputs)
    ports[number] = replace(ports[number], **changes)
    return _step(inputs=tuple(ports))


def _data(name: str, **changes: Any) -> Ingredients:
    return replace(BASE, inputs={**BASE.inputs, name: replace(BASE.inputs[name], **changes)})


def _output(**changes: Any) -> Ingredients:
    return _step(outputs=(replace(STEP.outputs[0], **changes),))


def _variables(**variables: str) -> Ingredients:
    return _step(environment=EnvironmentSpec(None, tuple(sorted(variables.items()))))


COUNTED = {
    "which run made the result of a step before": replace(BASE, predecessors=("f" * 32 + ".load.1",)),
    "that a step comes after another": replace(BASE, predecessors=()),
    "the kind of step": _step(kind="command"),
    "its version": _step(version="2"),
    "the snapshot": replace(BASE, snapshot="6" * 64),
    "an argument": _step(command=(*STEP.command, Literal("--more"))),
    "the order of arguments": _step(command=tuple(reversed(STEP.command))),
    "a literal where an input was": _step(command=(*STEP.command[:2], Literal("table"), *STEP.command[3:])),
    "an output where an input was": _step(command=(*STEP.command[:2], OutputPath("table"), *STEP.command[3:])),
    "a parameter's value": replace(BASE, parameters={"rate": 0.2, "verbosity": 1}),
    "a parameter's type": replace(BASE, parameters={"rate": "0.1", "verbosity": 1}),
    "a number that is equal but of another type": replace(BASE, parameters={"rate": True, "verbosity": 1}),
    "an environment parameter's value": _step(parameters=(("mode", Literal("slow")),)),
    "an environment parameter's name": _step(parameters=(("made", Literal("fast")),)),
    "the name of a model": _input(0, source=FromModel("net", 1)),
    "the name of another model": _input(0, source=FromModel("other", 1)),
    "an input's bytes": _data("table", digest="c" * 64),
    "an earlier step's bytes": _data("prepared", digest="c" * 64),
    "file or folder": _data("table", kind=TreeKind.DIRECTORY),
    "the name of a single file": _data("table", uri="file:///data/table.parquet"),
    "an input's name": replace(
        _step(inputs=(replace(STEP.inputs[0], name="other"), STEP.inputs[1])),
        inputs={"other": BASE.inputs["table"], "prepared": BASE.inputs["prepared"]},
    ),
    "how an input is read": _input(0, mode=InputMode.DIRECT),
    "where an input is put": _input(1, path_on_compute="elsewhere"),
    "whether an input is a dataset": _input(0, is_dataset=True),
    "an output's name": _output(name="other"),
    "an output's datastore": _output(datastore="archive"),
    "an output's path": _output(path="models/{run-id}"),
    "what an output must be": _output(kind=OutputKind.ANY),
    "how an output is written": _output(mode=OutputMode.UPLOAD),
    "where an output is written": _output(path_on_compute="out"),
    "which files of an output are kept": _output(globs=("*.bin",)),
    "the version of Python": replace(BASE, interpreter=replace(BASE.interpreter, version="CPython 3.12.0")),
    "the platform": replace(BASE, interpreter=replace(BASE.interpreter, platform="darwin-arm64")),
    "a package": replace(BASE, interpreter=replace(BASE.interpreter, packages=("numpy==2.0.1",))),
    "a declared variable": _variables(API_TOKEN="hunter2", THREADS="8"),
    "a secret variable": _variables(API_TOKEN="hunter3", THREADS="4"),
    "an added variable": _variables(API_TOKEN="hunter2", THREADS="4", MORE=""),
}

NOT_COUNTED = {
    "the step's name": _step(name="Another"),
    "the step's key": _step(key="train_2"),
    "the compute target": _step(compute="gpu"),
    "whether it may be reused": _step(allow_reuse=False),
    "the keys of the steps that merely come before": _step(after=("prepare",)),
    "the source directory's path": _step(source=SourceCode(directory="/elsewhere/train")),
    "the path of a file": _data("table", uri="file:///elsewhere/table.csv"),
    "the path of an earlier output": _data("prepared", uri="file:///store/azureml/r2.prepare.1/other"),
    "the step that wrote an input": _input(1, source=FromStep("prepare_2", "result")),
    "a parameter that does not affect reuse": replace(BASE, parameters={"rate": 0.1, "verbosity": 9}),
    "parameters that the step does not use": replace(BASE, parameters={**BASE.parameters, "other": 1}),
    "the default of a parameter": replace(
        BASE, declared={**BASE.declared, "rate": PipelineParameter("rate", 0.9)}
    ),
    "whether an output may replace data": _output(overwrite=True),
    "the name under which an output is registered": _output(registration=Registration("models")),
    "the path of the interpreter": replace(BASE, interpreter=replace(BASE.interpreter, path="/opt/bin/python")),
}  # fmt: skip


@pytest.mark.parametrize("changed", COUNTED.values(), ids=COUNTED.keys())
def test_whatever_can_change_a_result_gives_another_fingerprint(changed: Ingredients) -> None:
    assert fingerprint(preimage(changed)) != GOLDEN


def test_no_two_of_these_changes_have_the_same_fingerprint() -> None:
    assert len({fingerprint(preimage(changed)) for changed in COUNTED.values()}) == len(COUNTED)


@pytest.mark.parametrize("changed", NOT_COUNTED.values(), ids=NOT_COUNTED.keys())
def test_what_cannot_change_a_result_leaves_the_fingerprint_alone(changed: Ingredients) -> None:
    assert fingerprint(preimage(changed)) == GOLDEN


def test_the_version_of_a_model_does_not_count() -> None:
    first, newest = (preimage(_input(0, source=FromModel("net", version))) for version in (1, None))
    assert first == newest


def test_of_a_spark_application_all_that_the_step_says_counts_but_amounts_of_memory() -> None:
    def counted(**conf: str) -> Any:
        token = SparkSubmit(tuple((f"spark.{key}", value) for key, value in conf.items()))
        return preimage(_step(command=(Interpreter(), token)))["command"]

    memory = {"driver.memory": "1g", "executor.memory": "1g", "executor.memoryOverhead": "1g"}
    assert counted(**{**memory, "executor.cores": "2"}) == [["interpreter"], ["spark", {"spark.executor.cores": "2"}]]


def test_the_fingerprint_is_the_one_in_the_reference() -> None:
    """A failure means that every stored result is lost: raise the preimage's schema, and say so in the changelog."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert json.loads(example) == preimage(BASE)
    assert f"`{GOLDEN}`" in text
    assert GOLDEN == "2710633732056510d3fe529fc6717d956d7fb0514833a292771eb12f209b37f5"


def test_the_reference_names_every_component() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [key for key in preimage(BASE) if f"`{key}`" not in text] == []


def test_secrets_are_kept_as_keyed_hashes() -> None:
    text = json.dumps(preimage(BASE))
    assert "hunter2" not in text
    other_key = replace(BASE, secret_key=b"j" * 32)
    assert preimage(other_key)["environment"]["variables"] != preimage(BASE)["environment"]["variables"]


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD", "apiKey", "API_KEY", "AZURE_CLIENT_SECRET", "token", "ACCOUNT_KEY", "BLOB_SAS", "MYSQL_PWD",
        "AIRFLOW_CONN_LAKE", "AZURE_STORAGE_KEY", "FERNET_KEY", "DB_PW", "PGPASS", "BASIC_AUTH", "SLACK_WEBHOOK_URL",
    ],
)  # fmt: skip
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "PRIMARY_KEY", "SORT_KEY", "KEYS", "AUTHOR", "THREADS"])
def test_what_sounds_like_a_secret_and_is_none_is_told_from_one(name: str) -> None:
    assert not is_secret(name)


def test_a_url_with_a_password_is_a_secret_whatever_its_name() -> None:
    assert is_secret("DATABASE", "postgresql://user:pass@host/db")
    assert not is_secret("DATABASE", "postgresql://user@host:5432/db")
    assert not is_secret("PAGE", "https://host:8080/who@where")


@pytest.mark.parametrize(
    ("value", "password"),
    [
        ("postgresql://user:p%40ss@host/db", "p@ss"),
        ("Server=host;Database=db;Uid=user;Pwd=p@ss;", "p@ss"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Eby8vdM02xNO==;", "Eby8vdM02xNO=="),
        ("https://a.blob.core.windows.net/c?sv=2024&sig=abc%2Fdef&se=1", "abc/def"),
        ("postgresql://me@corp:s3cret@host/db", "s3cret"),
        ("mysql://me:pa/ss@host/db", "pa/ss"),
        ("Driver=x;UID=a;Pwd = hunter2", "hunter2"),
        ('{"conn_type": "wasb", "password": "hunter2", "extra": {}}', "hunter2"),
        ('{"extra": {"account_key": "Eby8vdM02xNO"}}', "Eby8vdM02xNO"),
    ],
)
def test_a_password_within_a_value_is_no_text_for_a_log_either(value: str, password: str) -> None:
    assert {value, password} <= secret_texts("ADDRESS", value)


def test_what_is_no_secret_has_no_texts_to_hide() -> None:
    assert secret_texts("ADDRESS", "https://host/path?page=2") == set()


scalars = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())


@given(scalars, scalars)
def test_two_values_have_one_fingerprint_only_if_they_are_the_same_in_type_and_value(one: Any, two: Any) -> None:
    def of(value: Any) -> str:
        return fingerprint(preimage(replace(BASE, parameters={"rate": value, "verbosity": 1})))

    is_same = type(one) is type(two) and repr(one) == repr(two)
    assert (of(one) == of(two)) is is_same


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_arguments_cannot_run_into_each_other(one: list[str], two: list[str]) -> None:
    def of(arguments: list[str]) -> str:
        return fingerprint(preimage(_step(command=tuple(Literal(text) for text in arguments))))

    assert (of(one) == of(two)) is (one == two)


# ---- the same, from the outside


def _decided(project: Project, **options: Any) -> str:
    runner, _ = project.runner(_copy_step(project), **options)
    decision = runner.explain()["copy"]
    assert isinstance(decision, Decision)
    return decision.fingerprint


def _copy_step(project: Project) -> PythonScriptStep:
    data = project.folder / "data" / "table.csv"
    data.parent.mkdir(exist_ok=True)
    if not data.exists():
        data.write_text("1,2")
    config = RunConfiguration()
    config.environment_variables = {"THREADS": "4"}
    table = Dataset.File.from_files(str(data)).as_named_input("table").as_mount()
    return project.step("copy", COPIES, [table, PipelineData("out")], runconfig=config)


def _touch(project: Project) -> None:
    for path in project.folder.rglob("*"):
        os.utime(path, (1, 1))


def _chmod(project: Project) -> None:
    (project.folder / "data" / "table.csv").chmod(0o600)


def _chown(project: Project) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (project.folder / "steps").rglob("*"):
        os.chown(path, 12345, 12345)


def _compile(project: Project) -> None:
    (project.folder / "steps" / "copy" / "__pycache__").mkdir()
    (project.folder / "steps" / "copy" / "__pycache__" / "x.pyc").write_bytes(b"x")


def _run_before(project: Project) -> None:
    project.run(_copy_step(project), force=True)


@pytest.mark.parametrize("act", [_touch, _chmod, _chown, _compile, _run_before])
def test_what_happens_to_files_beside_their_bytes_does_not_count(
    project: Project, act: Callable[[Project], None]
) -> None:
    before = _decided(project)
    act(project)
    assert _decided(project) == before
    assert _decided(project, name="another pipeline") == before


def test_the_executable_bit_of_a_source_counts(project: Project) -> None:
    before = _decided(project)
    (project.folder / "steps" / "copy" / "copy.py").chmod(0o755)
    assert _decided(project) != before


def test_an_added_file_a_renamed_file_and_a_changed_byte_count(project: Project) -> None:
    seen = {_decided(project)}
    data = project.folder / "data" / "table.csv"
    data.write_text("1,3")
    seen.add(_decided(project))
    source = project.folder / "steps" / "copy"
    (source / "more.txt").write_text("")
    seen.add(_decided(project))
    (source / "more.txt").rename(source / "other.txt")
    seen.add(_decided(project))
    assert len(seen) == 4


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "4711"},
        {"LC_ALL": "C"},
        {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
        {"TZ": "Asia/Tokyo"},
        {"HOME": "/nowhere"},
        {"UNDECLARED": "1"},
        {"PYTHONOPTIMIZE": "1"},
    ],
    ids=str,
)
def test_the_process_that_decides_does_not_count(project: Project, tmp_path: Path, environment: dict[str, str]) -> None:
    expected = _decided(project)
    code = f"""
import os
from pathlib import Path
os.umask(0o077)
from fakes.project import Project
import reuse_of_process
print(reuse_of_process._decided(Project(Path({str(project.folder)!r}))))
"""
    tests = Path(__file__).parents[1]
    (tmp_path / "reuse_of_process.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    path = os.pathsep.join((str(tests), str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
