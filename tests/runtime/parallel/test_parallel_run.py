"""Whole parallel runs: what becomes of entry scripts that behave as they should, and of those that do not."""

from __future__ import annotations

import json
import os
import pstats
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from fakes.parallel_bench import NAMES, OLDEST, SLOWLY, ParallelBench, runs
from fakes.processes import processes_below
from fakes.waiting import eventually


def log_of(bench: ParallelBench, path: str) -> str:
    return "".join(file.read_text() for file in sorted((bench.folder / "logs").glob(path)))


# ---- what works


def test_every_result_is_one_line_in_the_order_of_the_items(bench: ParallelBench) -> None:
    names = bench.files(25)
    scored = bench.run(NAMES, mini_batch_size=4, process_count_per_node=2)
    assert (scored.code, scored.rows) == (0, names)


def test_the_file_of_results_is_there_when_there_is_nothing_to_do(bench: ParallelBench) -> None:
    scored = bench.run(NAMES)
    assert (scored.code, scored.rows) == (0, [])


def test_the_file_of_results_may_have_another_name(bench: ParallelBench) -> None:
    names = bench.files(2)
    bench.run(NAMES, append_row_file_name="predictions.csv")
    assert (bench.folder / "out" / "predictions.csv").read_text().split() == names


def test_a_folder_of_the_script_with_the_name_of_the_file_of_results_is_told_with_the_way_out(
    bench: ParallelBench,
) -> None:
    bench.files(1)
    code = f"""{NAMES}
    def init():
        from azureml_user.parallel_run import EntryScript
        os.mkdir(os.path.join(EntryScript().output_dir, "predictions.csv"))
    """
    scored = bench.run(code, append_row_file_name="predictions.csv")
    assert scored.code == 1
    assert scored.log.splitlines()[-1] == (
        "Failed: The rows cannot be written to 'out/predictions.csv': the entry script has made a folder of that name. "
        "Let it write somewhere else, or set append_row_file_name."
    )


def test_a_summary_counts_results_and_writes_only_what_the_script_writes(bench: ParallelBench) -> None:
    bench.files(3)
    code = """
        import os
        from azureml_user.parallel_run import EntryScript
        def run(mini_batch):
            for path in mini_batch:
                open(os.path.join(EntryScript().output_dir, os.path.basename(path) + ".txt"), "w").write("seen")
            return mini_batch
    """
    scored = bench.run(code, output_action="summary_only")
    assert scored.counts.results == 3
    assert sorted(os.listdir(bench.folder / "out")) == [f"f0000{n}.txt" for n in range(3)]


def test_init_runs_once_in_each_process_and_shutdown_before_it_ends(bench: ParallelBench) -> None:
    bench.files(8)
    code = """
        import os
        def note(word):
            open("notes", "a").write(f"{word} {os.getpid()}\\n")
        def init():
            note("init")
        def run(mini_batch):
            import time
            note("run")
            while len({line for line in open("notes") if line.startswith("run ")}) < 2:
                time.sleep(0.01)  # else one process may have done everything before the other one has started
            return [os.getpid()]
        def shutdown():
            note("shutdown")
    """
    scored = bench.run(code, process_count_per_node=2)
    notes = [line for line in (bench.folder / "notes").read_text().splitlines() if not line.startswith("run ")]
    assert sorted(notes) == sorted(f"{word} {pid}" for word in ("init", "shutdown") for pid in set(scored.rows))
    assert len(set(scored.rows)) == 2


def test_the_script_sees_the_drivers_arguments_and_its_own(bench: ParallelBench) -> None:
    bench.files(1)
    scored = bench.run("import sys\ndef run(mini_batch):\n    return [str(sys.argv)]", "--model", "iris")
    assert "'--mini_batch_size', '1'" in scored.rows[0]
    assert "'--model', 'iris']" in scored.rows[0]


def test_the_path_of_the_output_among_the_arguments_is_where_the_script_may_write(bench: ParallelBench) -> None:
    bench.files(1)
    code = """
        import argparse, os
        parser = argparse.ArgumentParser()
        parser.add_argument("--output")
        args, _ = parser.parse_known_args()
        def run(mini_batch):
            open(os.path.join(args.output, "extra.txt"), "w").write("extra")
            return [1]
    """
    bench.run(code)
    assert (bench.folder / "out" / "extra.txt").read_text() == "extra"


def test_run_is_called_without_data_so_often(bench: ParallelBench) -> None:
    code = "def run(mini_batch, mini_batch_context):\n    return [mini_batch_context.minibatch_index]"
    scored = bench.run(code, "--rank_mini_batch_count", 4, input_fds_0=None)
    assert scored.rows == ["0", "1", "2", "3"]


def test_a_run_of_several_nodes_says_that_they_are_all_here(bench: ParallelBench) -> None:
    bench.files(1)
    scored = bench.run(NAMES, refrain_node_count=2, process_count_per_node=3)
    assert "6 worker processes (2 nodes' worth, all on this machine)" in scored.log


def test_no_more_processes_are_started_than_there_are_mini_batches(bench: ParallelBench) -> None:
    bench.files(2)
    bench.run(NAMES, process_count_per_node=8)
    assert log_of(bench, "sys/master_role.txt").count(" started") <= 2


def test_a_mini_batch_of_thousands_of_files_gets_through(bench: ParallelBench) -> None:
    names = bench.files(20_000)
    scored = bench.run(NAMES, mini_batch_size=20_000)
    assert scored.rows == names


@pytest.mark.skipif(OLDEST is None, reason="no Python 3.8 below ~/.pyenv/versions")
def test_it_needs_nothing_but_the_steps_interpreter(bench: ParallelBench) -> None:
    names = bench.files(7)
    bench.python = str(OLDEST)
    code = f"from azureml_user.parallel_run import EntryScript\n{textwrap.dedent(NAMES)}"
    scored = bench.run(code, mini_batch_size=2, process_count_per_node=2)
    assert (scored.code, scored.rows) == (0, names), scored.log


# ---- what goes wrong in run()


def test_the_log_of_a_failed_run_ends_with_what_failed_why_and_the_counts(bench: ParallelBench) -> None:
    bench.files(3)
    code = """
        import os
        def run(mini_batch):
            print("looking at", os.path.basename(mini_batch[0]))
            if mini_batch[0].endswith("1"):
                raise ValueError("no such pixel")
            return mini_batch
    """
    scored = bench.run(code)
    last = scored.log.splitlines()
    assert scored.code == 1
    assert last[-1] == "Failed: 1 item failed; error_threshold allows 0."
    assert "2 mini-batches done, 1 failed" in last[-2]
    ending = "\n".join(last[-20:-2])
    assert (
        f"The last failure was mini-batch 1 ({bench.data}/f00001), in process000: ValueError: no such pixel" in ending
    )
    assert 'raise ValueError("no such pixel")' in ending
    assert "refrain/runtime" not in ending
    assert "    looking at f00001" in ending


def test_an_exit_is_told_with_its_place_and_not_only_its_code(bench: ParallelBench) -> None:
    bench.files(1)
    scored = bench.run("import sys\ndef run(mini_batch):\n    sys.exit(42)")
    assert "SystemExit: 42" in scored.log
    assert "sys.exit(42)" in scored.log


def test_a_result_of_another_type_fails_the_items_and_says_what_it_was(bench: ParallelBench) -> None:
    bench.files(1)
    scored = bench.run("def run(mini_batch):\n    pass")
    assert "run() returned a NoneType for 1 items" in scored.log
    assert scored.code == 1


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("os._exit(9)", "its process exited with code 9"),
        ("os.kill(os.getpid(), 9)", "its process was ended by SIGKILL; it may have used too much memory"),
        ("ctypes.string_at(0)", "its process was ended by SIGSEGV"),
        ("os.closerange(3, 100); time.sleep(1000)", "its process closed its connection"),
    ],
)
def test_a_process_that_ends_costs_its_mini_batch_one_attempt(bench: ParallelBench, way: str, told: str) -> None:
    names = bench.files(3)
    code = f"""
        import ctypes, os, time
        def run(mini_batch):
            if mini_batch[0].endswith("1") and not os.path.exists("was here"):
                open("was here", "w").close()
                {way}
            return [os.path.basename(mini_batch[0])]
    """
    scored = bench.run(code, run_max_try=2)
    assert (scored.code, scored.rows, scored.counts.retried) == (0, names, 1), scored.log
    assert told in scored.log


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(1000)",
        "ctypes.PyDLL(None).sleep(1000)",  # in C, with the interpreter's lock held
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(1000)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "[print('x' * 100_000) for _ in iter(int, 1)]",
        "subprocess.Popen(['sleep', '87654321']); time.sleep(1000)",
        "subprocess.Popen(['sleep', '87654321'], start_new_session=True); time.sleep(1000)",
        "os.fork(); time.sleep(1000)",
    ],
)
def test_a_hanging_run_costs_its_time_and_leaves_no_process(bench: ParallelBench, hang: str) -> None:
    bench.files(2)
    code = f"""
        import ctypes, os, signal, subprocess, time
        def run(mini_batch):
            if mini_batch[0].endswith("0"):
                {hang}
            return mini_batch
    """
    began = time.monotonic()
    scored = bench.run(code, run_invocation_timeout=3, error_threshold=1)
    assert time.monotonic() - began < 100  # it would be 1000
    assert (scored.code, scored.counts.failed_items) == (0, 1), scored.log
    assert "run() had not returned after 3 seconds" in scored.log
    assert processes_below(bench.folder) == []


def test_a_child_that_returns_from_run_does_not_speak_for_its_parent(bench: ParallelBench) -> None:
    names = bench.files(4)
    scored = bench.run(
        "import os\ndef run(mini_batch):\n    os.fork()\n    return [os.path.basename(mini_batch[0])]",
        mini_batch_size=1,
    )
    assert (scored.code, scored.rows) == (0, names)


def test_mini_batches_that_waited_behind_one_that_ended_its_process_are_not_blamed(bench: ParallelBench) -> None:
    bench.files(2000)
    code = """
        import os
        def run(mini_batch):
            if mini_batch[0].endswith("1500"):
                os._exit(1)
            return mini_batch
    """
    scored = bench.run(code, error_threshold=-1, run_max_try=2)
    assert (scored.counts.failed, scored.counts.results, scored.counts.retried) == (1, 1999, 1)


# ---- what goes wrong before and after


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "def init():\n    raise OSError('no model')\ndef run(mini_batch):\n    return mini_batch",
            "OSError: no model",
        ),
        ("import not_there\ndef run(mini_batch):\n    return mini_batch", "No module named 'not_there'"),
        ("def run(mini_batch):\n    return (", "SyntaxError"),
        ("def score(mini_batch):\n    return []", "has no function run(mini_batch)"),
        (
            "import os\ndef init():\n    os._exit(5)\ndef run(mini_batch):\n    return []",
            "its process exited with code 5",
        ),
        (
            (
                "import threading, time\ndef init():\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
                "    raise OSError('no model')\ndef run(mini_batch):\n    return []"
            ),
            "OSError: no model",
        ),
    ],
)
def test_a_script_that_cannot_start_fails_the_run_after_some_tries(bench: ParallelBench, code: str, told: str) -> None:
    bench.files(3)
    scored = bench.run(code, process_count_per_node=2)
    assert scored.code == 1
    assert "Failed: the entry script could not be started, 6 times in a row: " in scored.log
    assert told in scored.log.splitlines()[-1]
    assert not scored.log.splitlines()[-1].endswith("..")


def test_an_init_that_fails_now_and_then_does_not_fail_the_run(bench: ParallelBench) -> None:
    names = bench.files(3)
    code = f"""
        import os
        def init():
            with open("inits", "a") as file:
                file.write("x")
            if os.path.getsize("inits") < 3:
                raise OSError("busy")
        {NAMES.strip().replace(chr(10), chr(10) + "    ")}
    """
    scored = bench.run(code)
    assert (scored.code, scored.rows) == (0, names), scored.log


def test_where_no_process_can_start_the_others_do_the_work(bench: ParallelBench) -> None:
    names = bench.files(10)
    code = f"""
        import os, time
        from azureml_user.parallel_run import EntryScript
        def init():
            if EntryScript().log_dir.endswith("000"):
                raise OSError("no model here")
            while not os.path.exists("logs/user/error/000/process003.txt"):
                time.sleep(0.05)
        {NAMES.strip().replace(chr(10), chr(10) + "    ")}
    """
    scored = bench.run(code, refrain_node_count=2)
    assert (scored.code, scored.rows) == (0, names), scored.log
    assert "failed to start (3 of 3): OSError: no model here" in scored.log
    assert "Node 000" in scored.log
    assert "gets no further process; other nodes go on." in scored.log


def test_a_run_whose_last_worker_is_gone_ends_with_why_there_is_no_other(bench: ParallelBench) -> None:
    bench.files(6)
    code = """
        import os
        def init():
            if os.path.exists("was here"):
                raise OSError("no model any more")
        def run(mini_batch):
            open("was here", "w").close()
            os._exit(3)
    """
    scored = bench.run(code, error_threshold=-1)
    last = "Failed: the entry script could not be started, 3 times in a row: OSError: no model any more."
    assert (scored.code, scored.log.splitlines()[-1]) == (1, last)


def test_an_error_may_be_any_text(bench: ParallelBench) -> None:
    bench.files(1)
    bench.more_environment = {"LANG": "C.UTF-8"}
    scored = bench.run("def run(mini_batch):\n    raise ValueError('\\ud800 is half of a letter')", error_threshold=-1)
    assert (scored.code, scored.counts.failed) == (0, 1), scored.log
    assert "ValueError: \\ud800 is half of a letter" in scored.log


def test_a_run_that_takes_longer_than_data_may_is_not_taken_for_a_want_of_data(bench: ParallelBench) -> None:
    names = bench.files(8)
    code = f"{NAMES}".replace("return", "import time; time.sleep(0.3); return")
    scored = bench.run(code, first_task_creation_timeout=0.05)
    assert (scored.code, scored.rows) == (0, names), scored.log


def test_an_init_that_never_returns_fails_the_run(bench: ParallelBench) -> None:
    bench.files(1)
    code = "import time\ndef init():\n    print('loading')\n    time.sleep(1000)\ndef run(mini_batch):\n    return []"
    scored = bench.run(code, progress_update_timeout=3)
    assert scored.log.splitlines()[-1] == "Failed: init() has not returned in process000 for 3 seconds."
    assert "    loading" in scored.log


def test_a_shutdown_that_raises_leaves_the_results(bench: ParallelBench) -> None:
    names = bench.files(1)
    scored = bench.run(f"{NAMES}\n    def shutdown():\n        raise OSError('closed')")
    assert (scored.code, scored.rows) == (0, names)
    assert "process000: shutdown() raised OSError: closed; the results stand" in scored.log


def test_a_shutdown_that_never_returns_is_ended(bench: ParallelBench) -> None:
    names = bench.files(1)
    code = f"{NAMES}\n    def shutdown():\n        import time; time.sleep(1000)"
    scored = bench.run(code, run_invocation_timeout=3)
    assert (scored.code, scored.rows) == (0, names)
    assert "process000: shutdown() had not returned after 3 seconds; it was ended" in scored.log


def test_a_shutdown_that_ends_its_process_is_told_and_leaves_the_results(bench: ParallelBench) -> None:
    names = bench.files(1)
    scored = bench.run(f"{NAMES}\n    def shutdown():\n        os._exit(3)")
    assert (scored.code, scored.rows) == (0, names)
    assert "process000: shutdown() did not return: its process exited with code 3; the results stand" in scored.log
    assert "exited with code 3" in log_of(bench, "sys/error/000/process000.txt")


@pytest.mark.parametrize(("function", "timeout"), [("init", 90), ("shutdown", 1.9)])
def test_a_thread_that_never_ends_does_not_keep_the_run_and_is_not_taken_for_shutdown(
    bench: ParallelBench, function: str, timeout: float
) -> None:
    names = bench.files(1)
    code = f"""{NAMES}
    def {function}():
        import threading, time
        threading.Thread(target=time.sleep, args=(1000,)).start()
    """
    scored = bench.run(code, run_invocation_timeout=timeout)
    assert (scored.code, scored.rows) == (0, names)
    assert "shutdown() had not returned" not in scored.log
    assert "process000: a thread of the entry script kept its process from ending; it was ended" in scored.log


def test_settings_that_are_none_are_refused_before_anything_is_started(bench: ParallelBench) -> None:
    scored = bench.run(NAMES, run_max_try=0)
    assert (scored.code, scored.log) == (2, "Parallel run: argument --run_max_try: '0' is no whole number from 1 on.\n")


# ---- going on


def test_what_failed_is_run_again_by_the_next_try_and_nothing_else(bench: ParallelBench) -> None:
    names = bench.files(10)
    (bench.folder / "bad").touch()
    code = SLOWLY.replace("return [", "return [] if os.path.exists('bad') and mini_batch[0].endswith('4') else [")
    first = bench.run(code)
    (bench.folder / "bad").unlink()
    (bench.folder / "runs").unlink()
    second = bench.run(code)
    assert (first.code, second.code, second.rows) == (1, 0, names)
    again = set(runs(bench))
    assert names[4] in again
    assert again.isdisjoint(names[:4])
    assert len(runs(bench)) == len(again) == 10 - second.is_kept  # one that was under way may have been done, too


def test_a_run_of_which_everything_is_done_starts_no_process(bench: ParallelBench) -> None:
    names = bench.files(6)
    bench.run(SLOWLY)
    again = bench.run(SLOWLY)
    assert (again.code, again.rows, again.is_kept) == (0, names, 6)
    assert runs(bench) == names


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.8])
def test_a_killed_run_is_gone_on_with_and_comes_to_the_same_result(bench: ParallelBench, seconds: float) -> None:
    names = bench.files(40)
    (bench.folder / "slow").touch()
    with bench.start(SLOWLY, process_count_per_node=2) as process:
        time.sleep(seconds)
        process.kill()
    wait_for_none(bench)
    before = runs(bench) if (bench.folder / "runs").exists() else []
    (bench.folder / "slow").unlink()
    again = bench.run(SLOWLY, process_count_per_node=2)
    assert (again.code, again.rows) == (0, names)
    assert len(before) - again.is_kept <= 2 * 2  # in flight: each worker has one beside that which it runs
    assert len(runs(bench)) - len(before) == 40 - again.is_kept


def wait_for_none(bench: ParallelBench) -> None:
    """The workers of a dispatcher that was killed end with it."""
    assert eventually(lambda: processes_below(bench.folder) == [])


def test_a_canceled_run_ends_its_workers_and_keeps_what_is_done(bench: ParallelBench) -> None:
    bench.files(200)
    (bench.folder / "slow").touch()
    with bench.start(SLOWLY) as process:
        # A worker has no more than two mini-batches, so that the results of earlier ones have come.
        assert eventually(lambda: (bench.folder / "runs").exists() and len(runs(bench)) > 5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert processes_below(bench.folder) == []
    (bench.folder / "slow").unlink()
    again = bench.run(SLOWLY)
    assert again.is_kept > 0
    assert again.counts.results == 200


def test_a_run_beside_another_one_of_the_same_work_leaves_its_journal_alone(bench: ParallelBench) -> None:
    names = bench.files(30)
    (bench.folder / "held").touch()
    code = """
        import os, time
        def run(mini_batch):
            with open("runs", "a") as file:
                file.write(os.path.basename(mini_batch[0]) + "\\n")
            while mini_batch[0].endswith("29") and os.path.exists("held"):
                time.sleep(0.02)
            return [os.path.basename(mini_batch[0])]
    """
    with bench.start(code) as process:
        assert eventually((bench.folder / "runs").exists)
        with bench.start(code, output="beside") as beside:
            assert eventually(lambda: len(runs(bench)) == 2 * 30)
            (bench.folder / "held").unlink()
            said, _ = beside.communicate(timeout=60)
        process.communicate(timeout=60)
    assert "Another run does the same work right now" in said
    assert (bench.folder / "beside" / "parallel_run_step.txt").read_text().split() == names
    assert (bench.folder / "out" / "parallel_run_step.txt").read_text().split() == names


def test_a_file_system_without_locks_costs_the_notes_and_not_the_run(bench: ParallelBench) -> None:
    names = bench.files(3)
    (bench.folder / "sitecustomize.py").write_text(
        "import errno, fcntl\ndef flock(*_):\n    raise OSError(errno.ENOSYS, 'Function not implemented')\n"
        "fcntl.flock = flock\n"
    )
    bench.more_environment["PYTHONPATH"] = os.pathsep.join([str(bench.folder), bench.environment["PYTHONPATH"]])
    scored = bench.run(NAMES)
    assert (scored.code, scored.rows) == (0, names), scored.log
    assert "'journal' cannot be locked: Function not implemented; this run begins anew" in scored.log


def test_what_is_given_up_in_a_later_try_leaves_no_rows_of_the_earlier_one(bench: ParallelBench) -> None:
    bench.files(2)
    code = """
        import os
        def run(mini_batch):
            if os.path.exists("second"):
                raise ValueError("no")
            return [f"first try {os.path.basename(mini_batch[0])}"]
    """
    assert bench.run(code, mini_batch_size=2).code == 1
    (bench.folder / "second").touch()
    scored = bench.run(code, mini_batch_size=2, error_threshold=2)
    assert (scored.code, scored.counts.failed, scored.counts.results) == (0, 1, 0), scored.log
    assert scored.rows == []


# ---- telling


def test_the_logs_have_azure_mls_layout(bench: ParallelBench) -> None:
    bench.files(2)
    code = """
        import sys
        from azureml_user.parallel_run import EntryScript
        def init():
            EntryScript().logger.info("begun in %s", EntryScript().agent_name)
        def run(mini_batch):
            print("to output")
            print("to error", file=sys.stderr)
            if mini_batch[0].endswith("1"):
                raise ValueError("bad")
            return mini_batch
    """
    bench.run(code, error_threshold=1)
    assert log_of(bench, "user/stdout/000/process000.stdout.txt") == "to output\n" * 2
    assert "to error" in log_of(bench, "user/stderr/000/process000.stderr.txt")
    assert "begun in process000" in log_of(bench, "user/entry_script_log/000/process000.log.txt")
    assert "ValueError: bad" in log_of(bench, "user/error.txt")
    assert 'raise ValueError("bad")' in log_of(bench, "user/error/000/process000.txt")
    assert "0 1 1 1 " in log_of(bench, "sys/node/000/process000.txt")
    assert "process000 started" in log_of(bench, "sys/master_role.txt")
    assert "2 of 2 mini-batches" in log_of(bench, "job_progress_overview.*.txt")
    assert "1 failed" in log_of(bench, "job_result.txt")


def test_failures_beyond_the_first_hundred_are_told_in_a_file_alone(bench: ParallelBench) -> None:
    bench.files(150)
    scored = bench.run("def run(mini_batch):\n    raise ValueError(mini_batch[0])", error_threshold=-1)
    assert scored.log.count(" it is given up") == 100
    assert "Further failures are in logs/user/error.txt alone." in scored.log
    assert log_of(bench, "user/error.txt").count("ValueError") == 150


def test_run_can_be_profiled(bench: ParallelBench) -> None:
    bench.files(3)
    bench.run(NAMES, "--profiling_module", "cProfile")
    found = pstats.Stats(str(bench.folder / "logs" / "perf" / "000" / "process000.profile"))
    assert any(name == "run" for _, _, name in found.stats)


def test_progress_is_told_while_the_work_goes_on(bench: ParallelBench, tmp_path: Path) -> None:
    bench.files(90)
    (bench.folder / "slow").touch()
    run = tmp_path / "run"
    run.mkdir()
    (run / "context.json").write_text(json.dumps({
        "schema": 1, "run_id": "r.score.1", "name": "score", "experiment": "e", "workspace": {"name": "w", "root": "/"},
        "input_datasets": {"images": str(bench.data)},
    }))  # fmt: skip
    words = bench.words(SLOWLY, input_fds_0="images")
    environment = {**bench.environment, "REFRAIN_RUN_DIR": str(run)}
    done = subprocess.run(words, cwd=bench.folder, env=environment, capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert len(told) >= 3
    assert [event["all"] for event in told] == [90] * len(told)
    assert [event["done"] for event in told] == sorted(event["done"] for event in told)
    midway = [event for event in told if 0 < event["done"] < 90]  # the worker may have started late
    assert midway[0]["workers"][0][:2] == ["process000", "running"]
    assert told[-1]["done"] == 90
    assert "of 90 mini-batches, 0 failed, 0 retried, " in done.stdout
