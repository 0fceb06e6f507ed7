"""What a compute target of the kind `spark` says of where applications run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from refrain.compute.kinds import check, kind
from refrain.compute.spark import SparkSettings
from refrain.compute.target import THIS_MACHINE, Target
from refrain.errors import UserError
from refrain.storage.state import WorkspaceState


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"master": "local[2]"},
        {"master": "spark://one:7077,two:7077", "deploy_mode": "client"},
        {"master": "yarn", "hadoop_conf_dir": "/etc/hadoop"},
        {"master": "k8s://https://host:6443", "conf": {"spark.kubernetes.container.image": "spark:4"}},
        {"connect": "sc://host:15002/;use_ssl=true"},
    ],
)
def test_a_target_may_be_any_of_sparks_masters_or_a_connect_server(settings: dict[str, Any]) -> None:
    check(Target("pool", "spark", settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"master": "host:7077"}, "the setting 'master' 'host:7077' is no master of Spark's: local[*], spark://host"),
        ({"connect": "host"}, "the setting 'connect' 'host' is no URL of a Spark Connect server, such as sc://"),
        ({"connect": "sc://h/;token=x"}, "the setting 'connect' holds a token, which must not be stored"),
        ({"master": "yarn", "connect": "sc://h"}, "has a 'master' or is a Spark Connect server ('connect'), not both"),
        (
            {"deploy_mode": "cluster"},
            "'deploy_mode' must be client, not 'cluster': a driver on the cluster would go on",
        ),
        ({"java_home": "jdk"}, "the setting 'java_home' must be an absolute path, not 'jdk'"),
        ({"shared_folders": ["data"]}, "the setting 'shared_folders' must list absolute paths, not 'data'"),
        ({"shared_folders": "/data"}, "the setting 'shared_folders' must be of type list, not '/data'"),
        ({"reads_urls": ["ftp"]}, "the setting 'reads_urls' must list some of abfss, gs, hdfs, s3a, not 'ftp'"),
        ({"conf": {"spark.master": "yarn"}}, "the setting 'conf': spark.master says where"),
        ({"conf": {"spark.ssl.keyPassword": "x"}}, "the setting 'conf': spark.ssl.keyPassword is secret"),
        ({"mster": "yarn"}, "there is no setting 'mster'"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=r"^Compute target 'pool': ") as raised:
        check(Target("pool", "spark", settings))
    assert message in str(raised.value)


def test_a_process_finds_in_its_environment_where_spark_is() -> None:
    conf = {"spark.x": 1}
    target = Target("pool", "spark", {"master": "yarn", "conf": conf, "java_home": "/j", "hadoop_conf_dir": "/h"})
    variables = SparkSettings.of(target).variables()
    assert json.loads(variables.pop("REFRAIN_SPARK")) == {"master": "yarn", "conf": {"spark.x": "1"}}
    assert variables == {"JAVA_HOME": "/j", "HADOOP_CONF_DIR": "/h"}


def test_a_step_on_another_kind_of_target_has_spark_on_its_own_machine() -> None:
    settings = SparkSettings.of(THIS_MACHINE)
    assert (settings.place, settings.is_this_machine) == ("local[*]", True)
    assert settings.sees("/anywhere")


def test_a_cluster_sees_the_folders_that_it_shares_and_nothing_else(tmp_path: Path) -> None:
    settings = SparkSettings("spark://h:7077", shared_folders=(str(tmp_path / "shared"),))
    (tmp_path / "shared").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    assert settings.sees(str(tmp_path / "shared" / "a"))
    assert settings.sees(str(tmp_path / "link" / "a"))
    assert not settings.sees(str(tmp_path / "shared-not"))
    (tmp_path / "shared" / "out").symlink_to(tmp_path)
    assert not settings.sees(str(tmp_path / "shared" / "out" / "a"))


def test_a_url_is_read_by_itself_where_the_target_says_so() -> None:
    settings = SparkSettings("yarn", reads_urls=("s3a", "abfss"))
    assert settings.url("s3://bucket/a b") == "s3a://bucket/a b"
    assert settings.url("abfs://box@account.dfs.core.windows.net/a") == "abfss://box@account.dfs.core.windows.net/a"
    assert settings.url("abfs://box/a") is None
    assert settings.url("gs://bucket/a") is None
    assert settings.url("file:///a") is None


def test_a_cluster_that_does_not_answer_is_told_before_anything_is_started(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    target = Target("pool", "spark", {"connect": "sc://127.0.0.1:1"})
    with pytest.raises(
        UserError, match=r"Compute target 'pool': nobody answers at 127.0.0.1:1 \(.*Start the cluster, or"
    ):
        list(kind("spark").examine(target, WorkspaceState(tmp_path / "workspace")))
