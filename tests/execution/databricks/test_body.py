"""A DatabricksStep in the life of a step: run for real, reused, canceled, and clear about what went wrong."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace

import pytest

from fakes.databricks import DatabricksProject
from fakes.project import COPIES
from fakes.waiting import eventually
from refrain import (
    DatabricksStep,
    DataReference,
    Datastore,
    JarLibrary,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
)
from refrain.errors import DatabricksError, DatabricksRefusedError, DataNotFoundError, OutputError, StepFailedError
from refrain.execution.submissions import Submissions
from refrain.reuse.decision import Verdict
from refrain.testing.databricks.task import TaskEnd
from refrain.tracking.record import RunStatus, RunStore

SLEEPS = """
    import time
    print("asleep", flush=True)
    time.sleep(600)
"""


def test_a_script_of_the_snapshot_is_uploaded_once_run_and_its_output_reused(databricks: DatabricksProject):
    ran = databricks.run(databricks.script(python_script_params=["--text", "hello"]))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("work", "out") == "hello"
    assert "written" in ran.heard.lines
    assert (ran.runs.files(ran.step("work").run_id).folder / "logs" / "std_log.txt").read_text().endswith("written\n")

    again = databricks.run(databricks.script(python_script_params=["--text", "hello"]))
    assert again.reused() == ["work"]
    assert databricks.submissions() == 1

    other = databricks.run(databricks.script(python_script_params=["--text", "other"]))
    assert other.text("work", "out") == "other"
    uploads = [request for request in databricks.server.requests if request == "POST dbfs/put"]
    assert len(uploads) == 2  # the script and the sign, once
    assert databricks.jobs() == []
    assert databricks.leftovers() == []


def test_a_script_imports_what_is_beside_it_and_is_told_the_folder(databricks):
    code = """
        import argparse, beside
        parser = argparse.ArgumentParser()
        parser.add_argument("-out")
        parser.add_argument("--AZUREML_SCRIPT_DIRECTORY_NAME")
        parser.add_argument("--AZUREML_RUN_ID")
        args, _ = parser.parse_known_args()
        text = f"{beside.VALUE} {args.AZUREML_SCRIPT_DIRECTORY_NAME} {args.AZUREML_RUN_ID}"
        open(args.out.removeprefix("file:"), "w").write(text)
    """
    step = databricks.script(code)
    (databricks.folder / "steps" / "work" / "beside.py").write_text("VALUE = 'near'")
    ran = databricks.run(step)
    near, folder, run_id = ran.text("work", "out").split()
    assert (near, run_id) == ("near", ran.step("work").run_id)
    assert folder.startswith("dbfs:/refrain/snapshots/")


def test_scripts_can_be_uploaded_as_workspace_files(databricks):
    databricks.target(upload_path="/Workspace/Shared/refrain")
    ran = databricks.run(databricks.script())
    assert ran.text("work", "out") == "data"
    assert "POST workspace/import" in databricks.server.requests


def test_a_notebook_gets_data_and_parameters_as_widgets_and_its_result_is_in_the_log(databricks):
    code = """
    dbutils.widgets.text("size", "0")
    dbutils.fs.put(dbutils.widgets.get("out"), dbutils.widgets.get("size"))

    # COMMAND ----------

    # MAGIC %md
    # MAGIC # A title

    # COMMAND ----------

    dbutils.notebook.exit(f"wrote {getArgument('size')}")
    """
    size = PipelineParameter("n", 7)
    ran = databricks.run(databricks.notebook(code, notebook_params={"size": size}), parameters={"n": 8})
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("notebook", "out") == "8"
    assert "notebook result: wrote 8" in ran.heard.lines


def test_a_notebook_that_was_edited_on_databricks_is_run_again_and_the_reason_is_told(databricks):
    step = lambda text: databricks.notebook(f'dbutils.fs.put(dbutils.widgets.get("out"), "{text}")')  # noqa: E731
    databricks.run(step("one"))
    assert databricks.run(step("one")).reused() == ["notebook"]
    ran = databricks.run(step("two"))
    assert ran.text("notebook", "out") == "two"
    assert "code at /Shared/notebook: content changed" in ran.heard.decisions["notebook"].sentence()


def test_data_flows_from_a_step_of_this_machine_through_databricks_and_back(databricks):
    first, second = PipelineData("first"), PipelineData("out")
    code = """
        import sys
        given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
        text = open(given["-first"].removeprefix("file:")).read()
        open(given["-out"].removeprefix("file:"), "w").write(text.upper())
    """
    third = PipelineData("third")
    here = databricks.step("here", arguments=[first, "words"])
    there = databricks.script(code, inputs=[first], outputs=[second])
    back = databricks.step("back", COPIES, arguments=[second, third], inputs=[second])
    ran = databricks.run(here, there, back)
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("back", "third") == "WORDS"
    assert databricks.run(here, there, back).reused() == ["back", "here", "work"]


def test_an_output_that_somebody_changed_is_made_again(databricks):
    databricks.run(databricks.script()).path("work", "out").write_text("changed")
    ran = databricks.run(databricks.script())
    assert ran.verdict("work") is not Verdict.REUSED
    assert ran.text("work", "out") == "data"


def test_a_new_cluster_has_the_settings_of_the_target_of_the_step_and_of_the_options(databricks):
    databricks.target(cluster={"custom_tags": {"team": "a"}, "policy_id": "p"})
    step = databricks.script(
        num_workers=2,
        spark_conf={"spark.speculation": "true"},
        job_options={"new_cluster": {"custom_tags": {"run": "b"}}, "task": {"max_retries": 1}, "tags": {"x": "y"}},
    )
    assert databricks.run(step).status == "Completed"
    (run,) = databricks.server.runs.all()
    cluster = run.only_task["new_cluster"]
    assert cluster["custom_tags"] == {"team": "a", "run": "b"}
    assert cluster["num_workers"] == 2
    assert cluster["policy_id"] == "p"
    assert cluster["spark_conf"] == {"spark.speculation": "true"}
    assert cluster["spark_env_vars"] == {"PYSPARK_PYTHON": "/databricks/python3/bin/python3"}
    assert run.only_task["max_retries"] == 1
    assert run.request["tags"] == {"x": "y"}
    assert databricks.server.clusters.get({"cluster_id": run.cluster_id})["state"] == "TERMINATED"


def test_the_size_of_a_cluster_changes_no_result_and_its_spark_version_may(databricks):
    databricks.run(databricks.script(num_workers=1))
    assert databricks.run(databricks.script(num_workers=5, node_type="large")).reused() == ["work"]
    ran = databricks.run(databricks.script(num_workers=1, spark_version="13.3.x-scala2.12"))
    assert ran.reused() == []
    assert "parameter spark_version" in ran.heard.decisions["work"].sentence()


def test_secret_variables_are_nowhere_in_the_workspace(databricks):
    variables = {"API_TOKEN": "hunter2-hunter2", "PLAIN": "seen"}
    conf = {"fs.azure.account.key.lake.blob.core.windows.net": "topsecret-key"}
    ran = databricks.run(databricks.script(num_workers=1, spark_env_variables=variables, spark_conf=conf))
    assert ran.status == "Completed", ran.outcome.errors
    content = b"".join(path.read_bytes() for path in databricks.state.root.rglob("*") if path.is_file())
    assert b"hunter2-hunter2" not in content
    assert b"topsecret-key" not in content
    assert b"seen" in content
    (run,) = databricks.server.runs.all()
    assert run.only_task["new_cluster"]["spark_env_vars"]["API_TOKEN"] == "hunter2-hunter2"


def test_a_failed_script_names_its_error_its_run_and_its_page_and_leaves_nothing(databricks):
    code = """
        import sys
        open(sys.argv[sys.argv.index("-out") + 1].removeprefix("file:"), "w").write("half")
        raise ValueError("no such column 'age'")
    """
    ran = databricks.run(databricks.script(code))
    assert isinstance(ran.outcome.errors["work"], StepFailedError)
    (run,) = databricks.server.runs.all()
    assert f"Step 'work': its run {run.run_id} in Databricks failed: ValueError: no such column 'age'." in ran.error(
        "work"
    )
    assert f"{databricks.server.url}/?o=1#job/{run.run_id}" in ran.error("work")
    assert "ValueError: no such column 'age'" in ran.heard.lines
    assert "half" not in [path.read_text() for path in databricks.state.root.rglob("out") if path.is_file()]
    assert databricks.jobs() == []
    assert databricks.leftovers() == []


def test_an_output_that_was_not_written_fails_the_step_and_the_next_run_runs_it_again(databricks):
    ran = databricks.run(databricks.script("print('nothing')"))
    assert isinstance(ran.outcome.errors["work"], OutputError)
    assert "Step 'work' ended well, but its output 'out' at " in ran.error("work")
    databricks.run(databricks.script("print('nothing')"))
    assert databricks.submissions() == 2


def test_a_canceled_step_ends_its_run_on_databricks(databricks):
    runner, _run_id = databricks.runner(databricks.script(SLEEPS))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
    runner._engine.cancel()
    thread.join(60)
    (run,) = databricks.server.runs.all()
    assert run.end is not None
    assert run.end.result == "CANCELED"
    assert databricks.jobs() == []


def test_a_canceled_step_leaves_the_run_that_another_step_run_waits_for(databricks):
    runner, root_id = databricks.runner(databricks.script(SLEEPS))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
    jobs, runs = Submissions(databricks.state.objects), RunStore(databricks.state)
    (own,) = runs.steps(root_id)
    assert eventually(lambda: jobs.find(own.fingerprint).job_id is not None)
    other = f"{'b' * 32}.work.1"
    runs.put(replace(own, run_id=other))
    jobs.follow(own.fingerprint, jobs.find(own.fingerprint), other)

    runner._engine.cancel()
    thread.join(60)

    (run,) = databricks.server.runs.all()
    assert run.end is None
    assert len(databricks.jobs()) == 1
    (own,) = runs.steps(root_id)
    assert own.status is RunStatus.CANCELED
    assert "goes on, because another step run waits for it, too: http" in own.error
    databricks.server.runs.cancel({"run_id": run.run_id})


def test_a_run_that_somebody_canceled_on_databricks_says_so(databricks):
    heard = threading.Thread(target=_cancel_when_running, args=(databricks,))
    heard.start()
    ran = databricks.run(databricks.script(SLEEPS))
    heard.join()
    assert "was canceled in Databricks, and not by Refrain: Run cancelled." in ran.error("work")


def _cancel_when_running(databricks: DatabricksProject) -> None:
    eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
    (run,) = databricks.server.runs.all()
    databricks.server.runs.cancel({"run_id": run.run_id})


def test_a_timeout_says_which_setting_it_was(databricks):
    ran = databricks.run(databricks.script(SLEEPS, timeout_seconds=1))
    assert "was ended by Databricks because it took longer than its timeout_seconds" in ran.error("work")


def test_a_driver_without_memory_says_what_to_change(databricks):
    ran = databricks.run(databricks.script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert "most often for want of memory: take a larger node_type" in ran.error("work")


def test_a_terminated_cluster_loses_its_run_and_another_try_may_help(databricks):
    def terminate() -> None:
        eventually(lambda: any(run.phase == "RUNNING" for run in databricks.server.runs.all()))
        databricks.server.clusters.terminate({"cluster_id": databricks.server.cluster_id})

    thread = threading.Thread(target=terminate)
    thread.start()
    ran = databricks.run(databricks.script(SLEEPS))
    thread.join()
    assert "was terminated during the run. The cluster ended while the run was going on" in ran.error("work")


def test_a_run_that_the_cloud_lost_may_be_tried_again(databricks):
    databricks.server.runs.end_next(TaskEnd("INTERNAL_ERROR", "FAILED", "CLOUD_FAILURE", "Spot capacity is gone"))
    ran = databricks.run(databricks.script())
    error = ran.outcome.errors["work"]
    assert isinstance(error, DatabricksError)
    assert not isinstance(error, DatabricksRefusedError)
    assert "was lost by Databricks: Spot capacity is gone." in ran.error("work")


def test_a_wrong_cluster_id_is_told_and_nothing_was_submitted(databricks):
    ran = databricks.run(databricks.script(existing_cluster_id="0000-wrong"))
    assert "Step 'work' was not submitted. Databricks at http://" in ran.error("work")
    assert "Cluster 0000-wrong does not exist" in ran.error("work")
    assert databricks.submissions() == 0
    assert databricks.jobs() == []


def test_a_cluster_that_may_not_be_started_is_refused_while_it_is_down(databricks):
    cluster_id = databricks.server.cluster_id
    databricks.server.clusters.terminate({"cluster_id": cluster_id})
    ran = databricks.run(databricks.script(existing_cluster_id=cluster_id, permit_cluster_restart=False))
    assert (
        f"Step 'work': its cluster '{cluster_id}' is TERMINATED, and permit_cluster_restart=False forbids to start it."
        in ran.error("work")
    )
    assert databricks.run(databricks.script(existing_cluster_id=cluster_id)).status == "Completed"


def test_an_expired_token_names_the_connection_and_the_way_out(databricks):
    databricks.server.token = "another"
    ran = databricks.run(databricks.script())
    assert "does not accept the credentials of the connection 'databricks_default': Invalid access token." in ran.error(
        "work"
    )
    assert "put a new one into the connection" in ran.error("work")


def test_a_missing_notebook_is_told_before_anything_is_submitted(databricks):
    step = DatabricksStep("gone", notebook_path="/Shared/gone", compute_target="databricks")
    ran = databricks.run(step)
    assert isinstance(ran.outcome.errors["gone"], DataNotFoundError)
    assert "Step 'gone': there is no '/Shared/gone' on Databricks at http://" in ran.error("gone")
    assert databricks.submissions() == 0


def test_a_script_on_dbfs_runs_and_counts_by_its_state_there(databricks):
    script = databricks.server.files.dbfs / "scripts" / "work.py"
    script.parent.mkdir()
    script.write_text("import sys\nopen(sys.argv[2].removeprefix('file:'), 'w').write('one')")

    def step() -> DatabricksStep:
        path = "dbfs:/scripts/work.py"
        out = PipelineData("out")
        return DatabricksStep("dbfs", python_script_path=path, outputs=[out], compute_target="databricks")

    assert databricks.run(step()).text("dbfs", "out") == "one"
    assert databricks.run(step()).reused() == ["dbfs"]
    script.write_text("import sys\nopen(sys.argv[2].removeprefix('file:'), 'w').write('another')")
    assert databricks.run(step()).text("dbfs", "out") == "another"


def test_a_folder_of_this_machine_is_refused_unless_the_clusters_see_it(databricks):
    databricks.target(shares_files=False)
    ran = databricks.run(databricks.script())
    assert "Step 'work', output 'out': Databricks cannot read the folder '" in ran.error("work")
    assert "refrain compute set NAME databricks shares_files=true" in ran.error("work")
    assert databricks.submissions() == 0


def test_a_step_without_any_cluster_says_where_to_name_one(databricks):
    databricks.target(existing_cluster_id="")
    ran = databricks.run(databricks.script())
    assert "Step 'work' names no cluster, and neither does its compute target 'databricks'." in ran.error("work")


def test_an_unregistered_target_says_how_to_register_it(databricks):
    step = DatabricksStep("lost", notebook_path="/Shared/x", compute_target="nowhere")
    ran = databricks.run(step)
    assert "its compute target 'nowhere' is not registered. Register it: refrain compute set nowhere databricks" in (
        ran.error("lost")
    )


def test_another_kind_of_step_is_refused_on_databricks(databricks):
    folder = databricks.source("plain", "print(1)")
    ran = databricks.run(PythonScriptStep("plain.py", source_directory=str(folder), compute_target="databricks"))
    assert "is a Databricks workspace, where only a DatabricksStep runs" in ran.error("plain")


def test_rate_limits_and_outages_are_sat_out(databricks):
    databricks.server.faults.limit_rate("runs/submit")
    databricks.server.faults.fail("runs/get")
    ran = databricks.run(databricks.script())
    assert ran.status == "Completed", ran.outcome.errors
    assert databricks.submissions() == 1


def test_an_existing_folder_of_a_datastore_is_read_by_its_address(databricks):
    (databricks.folder / "raw").mkdir()
    (databricks.folder / "raw" / "a.txt").write_text("raw words")
    disk = Datastore.register_folder(databricks.workspace, "disk", databricks.folder / "raw")
    code = 'dbutils.fs.cp(dbutils.widgets.get("given") + "/a.txt", dbutils.widgets.get("out"))'
    ran = databricks.run(databricks.notebook(code, inputs=[DataReference(disk, "given")]))
    assert ran.text("notebook", "out") == "raw words", ran.outcome.errors


@pytest.mark.slow
def test_the_main_class_of_a_jar_runs(databricks):
    if subprocess.run(["which", "javac"], capture_output=True, check=False).returncode:
        pytest.skip("there is no Java compiler to make a JAR with")
    folder = databricks.folder / "java"
    folder.mkdir()
    (folder / "Work.java").write_text(
        """
        import java.nio.file.*;
        public class Work {
            public static void main(String[] args) throws Exception {
                Files.writeString(Path.of(args[3].replaceFirst("^file:", "")), args[0] + args[1]);
            }
        }
        """
    )
    subprocess.run(["javac", "Work.java"], cwd=folder, check=True)
    jar = databricks.server.files.dbfs / "work.jar"
    subprocess.run(["jar", "cf", str(jar), "Work.class"], cwd=folder, check=True)
    step = DatabricksStep(
        "jar",
        main_class_name="Work",
        jar_params=["a", "b"],
        jar_libraries=[JarLibrary("dbfs:/work.jar")],
        outputs=[PipelineData("out")],
        compute_target="databricks",
    )
    ran = databricks.run(step)
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.text("jar", "out") == "ab"


def test_the_run_is_tagged_with_the_page_of_its_job(databricks):
    record = databricks.run(databricks.script()).step("work")
    assert record.status is RunStatus.COMPLETED
    assert record.tags["databricks.run_page"].startswith(f"{databricks.server.url}/?o=1#job/")
