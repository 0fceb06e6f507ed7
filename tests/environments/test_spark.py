"""Spark and Java as a part of an environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fakes.spark_home import java_home, spark_home
from refrain.environments.interpreter import InterpreterIdentity
from refrain.environments.spark import with_spark
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.errors import UserError

PLAIN = InterpreterIdentity(sys.executable, "CPython 3.11.7", "linux-x86_64", ("numpy==2.0.0",))
SPARK = EnvironmentSpec(uses_spark=True)
BUILT = EnvironmentSpec(uses_spark=True, packages=PackageSpec(requirements=("pyspark",)))


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAVA_HOME", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_versions_of_spark_and_java_are_among_the_packages(tmp_path: Path) -> None:
    homes = {
        "SPARK_HOME": str(spark_home(tmp_path / "s", "3.5.1")),
        "JAVA_HOME": str(java_home(tmp_path / "j", "17.0.1")),
    }
    found = with_spark(PLAIN, SPARK, homes)
    assert found.packages == ("apache-spark==3.5.1", "java-runtime==17.0.1", "numpy==2.0.0")


def test_the_target_rules_over_the_step_and_this_over_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = {version: str(java_home(tmp_path / version, version)) for version in ("17.0.1", "21.0.1", "25.0.1")}
    monkeypatch.setenv("SPARK_HOME", str(spark_home(tmp_path / "s")))
    monkeypatch.setenv("JAVA_HOME", homes["17.0.1"])
    declares = EnvironmentSpec(variables=(("JAVA_HOME", homes["21.0.1"]),), uses_spark=True)
    assert "java-runtime==17.0.1" in with_spark(PLAIN, SPARK, {}).packages
    assert "java-runtime==21.0.1" in with_spark(PLAIN, declares, {}).packages
    assert "java-runtime==25.0.1" in with_spark(PLAIN, declares, {"JAVA_HOME": homes["25.0.1"]}).packages


def test_an_environment_that_is_not_built_yet_is_known_by_its_pyspark(tmp_path: Path) -> None:
    java = {"JAVA_HOME": str(java_home(tmp_path / "j", "17.0.1"))}
    to_be = InterpreterIdentity("/not/there/yet", "CPython 3.11.7", "linux-x86_64", ("pyspark==3.5.1",))
    assert with_spark(to_be, BUILT, java).packages == (
        "apache-spark==3.5.1",
        "java-runtime==17.0.1",
        "pyspark==3.5.1",
    )
    with pytest.raises(UserError, match="The step's environment has no pyspark among its packages"):
        with_spark(PLAIN, BUILT, java)


def test_what_is_not_here_is_told_as_the_launcher_tells_it() -> None:
    with pytest.raises(UserError, match=r"^SPARK_HOME '/nowhere' holds no Spark: there is no folder 'jars' in it\.$"):
        with_spark(PLAIN, SPARK, {"SPARK_HOME": "/nowhere"})


def test_a_connect_server_leaves_an_interpreter_as_it_is() -> None:
    pytest.importorskip("pyspark")
    assert with_spark(PLAIN, SPARK, {"REFRAIN_SPARK": '{"remote": "sc://host"}'}) == PLAIN
