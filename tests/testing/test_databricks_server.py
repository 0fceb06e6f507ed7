"""The Databricks server of this machine, as the official SDK finds it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, OperationFailed, PermissionDenied
from databricks.sdk.service.compute import ClusterSpec, State
from databricks.sdk.service.jobs import NotebookTask, RunResultState, SparkPythonTask, SubmitTask
from databricks.sdk.service.workspace import ImportFormat, Language, ObjectType

from refrain.testing.databricks import DatabricksServer, databricks_server
from refrain.testing.databricks.faults import Fault

MINUTES = timedelta(minutes=5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabricksServer]:
    with databricks_server(tmp_path_factory.mktemp("databricks")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: DatabricksServer) -> WorkspaceClient:
    config = Config(host=server.url, token=server.token, auth_type="pat", retry_timeout_seconds=20)
    return WorkspaceClient(config=config)


def _notebook(client: WorkspaceClient, path: str, source: str) -> None:
    client.workspace.mkdirs(path.rpartition("/")[0])
    content = base64.b64encode(source.encode()).decode()
    client.workspace.import_(
        path, content=content, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True
    )


def _task(server: DatabricksServer, path: str, **parameters: str) -> SubmitTask:
    task = NotebookTask(notebook_path=path, base_parameters=parameters)
    return SubmitTask(task_key="one", existing_cluster_id=server.cluster_id, notebook_task=task)


def test_files_of_dbfs_are_written_listed_read_and_deleted(client):
    content = bytes(range(256)) * 8192  # two blocks
    client.dbfs.upload("/folder/large.bin", io.BytesIO(content), overwrite=True)
    assert [(item.path, item.file_size) for item in client.dbfs.list("/folder")] == [
        ("/folder/large.bin", len(content))
    ]
    assert client.dbfs.download("/folder/large.bin").read() == content
    client.dbfs.delete("/folder", recursive=True)
    with pytest.raises(NotFound):
        client.dbfs.get_status("/folder/large.bin")


def test_a_notebook_runs_with_its_parameters_and_leaves_a_result(client, server):
    _notebook(client, "/Users/me/add", 'dbutils.notebook.exit(int(dbutils.widgets.get("a")) + 1)')
    assert client.workspace.get_status("/Users/me/add").object_type is ObjectType.NOTEBOOK
    run = client.jobs.submit(run_name="adds", tasks=[_task(server, "/Users/me/add", a="2")]).result(MINUTES)
    assert run.state.result_state is RunResultState.SUCCESS
    assert client.jobs.get_run_output(run.tasks[0].run_id).notebook_output.result == "3"
    with pytest.raises(InvalidParameterValue, match="multiple tasks"):
        client.jobs.get_run_output(run.run_id)


def test_notebooks_run_each_other_and_read_secrets_that_no_output_shows(client, server):
    server.scopes["amlscope"] = {"store": "very-secret"}
    _notebook(client, "/Users/me/names", "SIZE = 5")
    _notebook(client, "/Users/me/inner", 'dbutils.notebook.exit(dbutils.secrets.get("amlscope", "store"))')
    body = "dbutils.notebook.exit(dbutils.notebook.run('inner', 60) * SIZE)"
    source = f"# MAGIC %run ./names\n\n# COMMAND ----------\n\n{body}"
    _notebook(client, "/Users/me/outer", source)
    run = client.jobs.submit(tasks=[_task(server, "/Users/me/outer")]).result(MINUTES)
    assert client.jobs.get_run_output(run.tasks[0].run_id).notebook_output.result == "[REDACTED]" * 5


def test_a_script_s_output_and_its_error_are_had_from_the_run_of_its_task(client, server):
    code = b"import sys\nprint('said', sys.argv[1])\nraise KeyError('age')"
    client.dbfs.upload("/work.py", io.BytesIO(code), overwrite=True)
    script = SparkPythonTask(python_file="dbfs:/work.py", parameters=["a"])
    task = SubmitTask(task_key="one", existing_cluster_id=server.cluster_id, spark_python_task=script)
    run = client.jobs.submit(tasks=[task]).result(MINUTES)
    assert run.state.result_state is RunResultState.FAILED
    output = client.jobs.get_run_output(run.tasks[0].run_id)
    assert (output.error, run.status.termination_details.code.value) == ("KeyError: 'age'", "RUN_EXECUTION_ERROR")
    assert output.logs.startswith("said a\n")


def test_one_token_is_one_run(client, server):
    _notebook(client, "/Users/me/once", "1")
    submit = lambda: client.jobs.submit(tasks=[_task(server, "/Users/me/once")], idempotency_token="t")  # noqa: E731
    first = submit()
    first.result(MINUTES)
    assert submit().run_id == first.run_id
    client.jobs.delete_run(first.run_id)
    with pytest.raises(BadRequest, match="has been deleted"):
        submit()


def test_a_canceled_run_ends(client, server):
    _notebook(client, "/Users/me/sleeps", "import time; time.sleep(600)")
    waiter = client.jobs.submit(tasks=[_task(server, "/Users/me/sleeps")])
    client.jobs.cancel_run(waiter.run_id).result(MINUTES)
    assert client.jobs.get_run(waiter.run_id).state.result_state is RunResultState.CANCELED


def test_clusters_are_started_terminated_and_made_for_one_run(client, server):
    client.clusters.delete(server.cluster_id).result(MINUTES)
    assert client.clusters.get(server.cluster_id).state is State.TERMINATED
    client.clusters.start(server.cluster_id).result(MINUTES)
    new = ClusterSpec(spark_version="13.3.x-scala2.12", node_type_id="large", num_workers=1)
    _notebook(client, "/Users/me/quick", "1")
    task = SubmitTask(task_key="one", new_cluster=new, notebook_task=NotebookTask("/Users/me/quick"))
    run = client.jobs.submit(tasks=[task]).result(MINUTES)
    assert client.clusters.get(run.cluster_instance.cluster_id).state is State.TERMINATED


def test_what_is_wrong_is_refused_as_databricks_does(client, server):
    task = SubmitTask(task_key="one", existing_cluster_id="0-0-0", notebook_task=NotebookTask("/x"))
    with pytest.raises(InvalidParameterValue, match="Cluster 0-0-0 does not exist"):
        client.jobs.submit(tasks=[task])
    with pytest.raises(NotFound, match="Run 1 does not exist"):
        client.jobs.get_run(1)
    with pytest.raises(NotFound):
        client.workspace.get_status("/Users/nobody")
    other = WorkspaceClient(host=server.url, token="expired", auth_type="pat")
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        other.clusters.get(server.cluster_id)


def test_it_limits_the_rate_and_goes_away_when_it_is_told_to(client, server):
    server.faults.limit_rate("clusters/get")
    server.faults.fail("clusters/get")
    server.faults.lose_answer("clusters/get")
    assert client.clusters.get(server.cluster_id).cluster_id == server.cluster_id
    assert server.faults.take("clusters/get") is None
    server.faults.add(Fault("clusters/get", 400, "INVALID_STATE", "said so"))
    with pytest.raises(BadRequest, match="said so"):
        client.clusters.get(server.cluster_id)


def test_a_missing_notebook_is_the_run_s_failure(client, server):
    waiter = client.jobs.submit(tasks=[_task(server, "/Users/me/gone")])
    with pytest.raises(OperationFailed, match='Unable to access the notebook "/Users/me/gone"'):
        waiter.result(MINUTES)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed")
def test_a_notebook_has_a_spark_session(client, server, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    source = f'dbutils.notebook.exit(spark.read.csv("file:{tmp_path}/rows.csv", header=True).count())'
    _notebook(client, "/Users/me/spark", source)
    run = client.jobs.submit(tasks=[_task(server, "/Users/me/spark")]).result(MINUTES)
    assert client.jobs.get_run_output(run.tasks[0].run_id).notebook_output.result == "2"
