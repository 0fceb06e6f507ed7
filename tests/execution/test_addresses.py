"""Spark steps by the engine: what their scripts are told of data, and what counts. Spark itself is a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project, Ran
from fakes.remote_stores import s3_server
from fakes.spark_home import java_home, spark_home
from refrain import Dataset, Datastore, HDFSOutputDatasetConfig, SparkResources, SparkStep
from refrain.compute.target import Target, TargetTable

_WRITES = """
    import os, pathlib, sys
    print("told", *sys.argv[1:])
    out = pathlib.Path(sys.argv[-1].removeprefix("file://"))
    print("there before", out.exists(), "java", os.environ["JAVA_HOME"])
    out.mkdir()
    for name in ("part-0", ".part-0.crc", "_SUCCESS"):
        (out / name).write_text("x")
"""


@pytest.fixture
def target(project: Project, tmp_path: Path) -> Any:
    """Give the target `pool` settings beside its Spark and its Java."""
    homes = {
        "spark_home": str(spark_home(tmp_path / "spark")),
        "java_home": str(java_home(tmp_path / "java", "17.0.15")),
    }

    def put(**settings: Any) -> None:
        TargetTable(project.state.registry).put(Target("pool", "spark", {**homes, **settings}))

    put()
    return put


def _step(project: Project, code: str = _WRITES, *arguments: Any, **more: Any) -> SparkStep:
    out = HDFSOutputDatasetConfig("out")
    return SparkStep(
        "s.py", str(project.source("s", code)), "pool", "s", arguments=[*arguments, out], outputs=[out], **more
    )


def _told(ran: Ran) -> list[str]:
    assert ran.status == "Completed", ran.outcome.errors
    return next(line for line in ran.heard.lines if line.startswith("told ")).split()[1:]


def test_a_script_gets_addresses_and_its_output_is_data_alone(project: Project, target: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    data = Dataset.File.from_files(str(tmp_path / "in")).as_named_input("texts").as_hdfs()
    ran = project.run(_step(project, _WRITES, data))

    read, written = _told(ran)
    assert read == f"file://{tmp_path / 'in'}"
    assert written.startswith("file:///")
    assert f"there before False java {tmp_path / 'java'}" in ran.heard.lines
    assert sorted(path.name for path in ran.path("s", "out").iterdir()) == ["_SUCCESS", "part-0"]
    assert project.run(_step(project, _WRITES, data)).reused() == ["s"]


def test_several_files_are_put_together_in_one_folder(project: Project, target: Any, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv"):
        (tmp_path / name).write_text(name)
    data = Dataset.File.from_files(str(tmp_path / "*.txt")).as_named_input("texts").as_hdfs()
    look = "\n    print('names', *sorted(p.name for p in pathlib.Path(sys.argv[1][7:]).iterdir()))\n"
    ran = project.run(_step(project, _WRITES + look, data))
    _told(ran)
    assert "names a.txt b.txt" in ran.heard.lines


def test_where_it_runs_does_not_count_and_what_the_step_says_does(
    project: Project, target: Any, tmp_path: Path
) -> None:
    def sentence(**more: Any) -> str:
        ran = project.run(_step(project, **more))
        return str(ran.step("s").decision["sentence"])

    sentence(conf={"spark.sql.shuffle.partitions": 8}, resources=SparkResources(driver_memory="1g", num_executors=2))
    target(master="local[1]", conf={"spark.executor.memory": "4g"})
    same = {"conf": {"spark.sql.shuffle.partitions": 8}}
    larger = SparkResources(driver_memory="2g", num_executors=2)
    assert sentence(**same, resources=larger).startswith("reused")
    assert sentence(**same, resources=SparkResources(num_executors=3)) == (
        "runs: changed: Spark: spark.executor.instances '2' → '3'"
    )
    target(java_home=str(java_home(tmp_path / "newer", "21.0.1")))
    assert sentence(**same, resources=larger) == "runs: changed: packages: java-runtime 17.0.15 → 21.0.1"


def test_a_cluster_must_share_what_it_is_to_read_and_write(project: Project, target: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a")
    data = Dataset.File.from_files(str(tmp_path / "in.txt")).as_named_input("text").as_hdfs()
    target(master="spark://host:7077", shared_folders=[str(project.folder / "workspace")])
    refused = project.run(_step(project, _WRITES, data)).error("s")
    assert refused.startswith(
        f"Input 'text': the executors of spark://host:7077 must find {str(tmp_path / 'in.txt')!r}, but of this "
        f"machine's folders they share only {project.folder / 'workspace'}."
    )
    assert "name it in the target's setting shared_folders." in refused

    target(master="spark://host:7077")
    assert "Output 'out': the executors of spark://host:7077 must find" in project.run(_step(project)).error("s")
    assert project.leftovers() == []

    target(master="spark://host:7077", shared_folders=[str(tmp_path)])
    assert len(_told(project.run(_step(project, _WRITES, data)))) == 2


def test_remote_data_comes_through_the_cache_or_is_read_by_spark_itself(
    project: Project, target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as server:
        monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", server.connection())
        project.state.datastores.register_url("objects", f"s3://{server.make_bucket()}/base", "objects")
        store = Datastore.get(project.workspace, "objects")
        (tmp_path / "in.txt").write_text("from afar")
        store.upload_files([str(tmp_path / "in.txt")], target_path="in")
        data = Dataset.File.from_files((store, "in")).as_named_input("texts").as_hdfs()
        look = "\n    print('read', open(sys.argv[1].removeprefix('file://') + '/in.txt').read())\n"

        ran = project.run(_step(project, _WRITES + look, data))
        assert _told(ran)[0].startswith(f"file://{tmp_path}/cache/")
        assert "read from afar" in ran.heard.lines

        target(master="spark://host:7077", shared_folders=[str(project.folder / "workspace")])
        refused = project.run(_step(project, _WRITES, data)).error("s")
        assert "Or let them read s3:// by themselves: reads_urls." in refused
        target(reads_urls=["s3a"])
        told = _told(project.run(_step(project, _WRITES, data)))
        assert told[0] == str(store.root).replace("s3://", "s3a://") + "/in"
        # By its URL, Spark would read all that is there.
        chosen = Dataset.File.from_files((store, "in")).take(1).as_named_input("texts").as_hdfs()
        assert _told(project.run(_step(project, _WRITES, chosen)))[0].startswith("file:///"), (
            "Spark would read them all"
        )


def test_an_end_by_a_signal_is_named_although_spark_gives_it_as_a_number(project: Project, target: Any) -> None:
    error = project.run(_step(project, "import sys; sys.exit(137)")).error("s")
    assert "exited with code 137. That stands for an end by SIGKILL. It may have been stopped" in error


def test_what_the_output_tells_of_a_failure_is_in_the_message(project: Project, target: Any) -> None:
    code = """
        import sys
        print("java.lang.OutOfMemoryError: Java heap space")
        print("line\\n" * 100)
        sys.exit(1)
    """
    assert "The driver ran out of memory: raise driver_memory" in project.run(_step(project, code)).error("s")


def test_a_machine_without_java_refuses_the_step_before_it_starts(project: Project, target: Any) -> None:
    target(java_home="/nowhere")
    error = project.run(_step(project)).error("s")
    assert error.startswith(
        "JAVA_HOME '/nowhere' holds no Java: there is no bin/java in it that runs. "
        "Correct the compute target's setting java_home, or the variable"
    )
    assert project.leftovers() == []


def test_another_step_on_such_a_target_is_a_process_that_hears_nothing_of_spark(project: Project, target: Any) -> None:
    code = "import os; print([name for name in os.environ if 'SPARK' in name or 'JAVA' in name])"
    target(java_home="/nowhere")
    assert project.run(project.step("plain", code, compute_target="pool")).heard.lines == ["[]"]
