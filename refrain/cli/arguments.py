"""Arguments: every command, its options and where its code is; nothing of that code is loaded here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from refrain import __version__
from refrain.errors import UserError

_FILE_HELP = "a Python file that defines a pipeline; NAME says which where it defines several"


class UsageError(UserError):
    """The words of a command line do not make a command."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that ``--json`` can tell of a wrong command line too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.format_usage().rstrip()}\n{self.prog}: {message}. Try '{self.prog} --help'.")


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser; ``command`` in what it returns is ``module:function``.

    :param words: what it will parse. Where a command stands first, the others are left out: to put all together takes
        as long as to decide dozens of steps.
    """
    parser = _Parser(
        prog="refrain",
        description="Machine-learning pipelines that do not repeat what has not changed.",
        epilog="Exit codes: 0 success, 1 a run failed, 2 wrong use, 130 interrupted. More: refrain COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"refrain {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = [words[0]] if words and words[0] in _COMMANDS else list(_COMMANDS)
    for name in chosen:
        _COMMANDS[name](commands)
    return parser


def _add(commands: Any, name: str, target: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=description, description=f"{description[0].upper()}{description[1:]}."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.set_defaults(command=f"refrain.cli.{target}")
    return parser


def _add_init(commands: Any) -> None:
    parser = _add(commands, "init", "init:init", "make a workspace in a folder")
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="the project's folder (default: here)")
    parser.add_argument("--name", help="what the workspace is called (default: the folder's name)")


def _add_pipeline(parser: argparse.ArgumentParser, what: str = "FILE[:NAME]", description: str = _FILE_HELP) -> None:
    # Optional only for argparse: in `run --force FILE` it gives FILE to --force, see refrain.cli.load.
    parser.add_argument("target", nargs="?", metavar=what, help=description)
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="set a pipeline parameter; may be repeated"
    )
    parser.add_argument(
        "--force",
        action="extend",
        nargs="*",
        metavar="STEP",
        help="run these steps whatever could be reused, with STEP+ also everything after it; without STEP, all",
    )


def _add_run(commands: Any) -> None:
    parser = _add(commands, "run", "run:run", "run a pipeline on this machine")
    _add_pipeline(parser)
    parser.add_argument("--jobs", type=int, metavar="N", help="how many steps run at once (default: number of cores)")
    parser.add_argument("--keep-going", action="store_true", help="after a failure, run what does not depend on it")
    parser.add_argument("--experiment", metavar="NAME", default="default", help="gather the run under this name")
    parser.add_argument("--detach", action="store_true", help="return at once; the run goes on in the background")
    parser.add_argument(
        "--verify", metavar="HOW", help="read reused results again: full, stat or a share (default: the workspace's)"
    )
    parser.add_argument("--verbose", action="store_true", help="show all output of the steps on a terminal too")
    parser.add_argument(
        "--step", metavar="STEP", help="run this step alone, on what those before it gave in the last run"
    )
    parser.add_argument("--keep-in", metavar="FOLDER", help="its working directory stays here (.refrain/steps/STEP)")
    parser.add_argument(
        "--debug",
        nargs="?",
        type=int,
        const=5678,
        metavar="PORT",
        help="its script waits for a debugger (debugpy) at this port (default: 5678)",
    )


def _add_explain(commands: Any) -> None:
    parser = _add(commands, "explain", "explain:explain", "say what a run would reuse or has reused, and why not")
    _add_pipeline(parser, "FILE[:NAME]|RUN", f"{_FILE_HELP}; or the start of a run's id")
    parser.add_argument("step", nargs="?", metavar="STEP", help="show every field that this step's result depends on")
    _add_workspace(parser)


def _add_runs(commands: Any) -> None:
    parser = _add(commands, "runs", "runs_list:runs_list", "list runs, look into one, stop one")
    _add_workspace(parser)
    _add_list_options(parser)
    actions = parser.add_subparsers(metavar="ACTION")
    listing = _add(actions, "list", "runs_list:runs_list", "list the runs, newest first")
    _add_list_options(listing)
    show = _add(actions, "show", "runs_show:runs_show", "show a run, or one step of it")
    show.add_argument(
        "run", nargs="?", metavar="ID", help="the start of a run's id, with .STEP for a step (default: newest)"
    )
    log = _add(actions, "log", "runs_log:runs_log", "print the output of a step")
    log.add_argument("run", metavar="ID.STEP", help="the start of a run's id, a dot and the step")
    cancel = _add(actions, "cancel", "runs_cancel:runs_cancel", "stop a run and everything that it started")
    cancel.add_argument("run", metavar="ID", help="the start of a run's id")
    for action in (listing, show, log, cancel):
        _add_workspace(action)


def _add_env(commands: Any) -> None:
    parser = _add(commands, "env", "env:listing", "list, build, show and delete the environments of steps")
    actions = parser.add_subparsers(metavar="ACTION")
    listing = _add(actions, "list", "env:listing", "list what is registered, and what is built on this machine")
    building = _add(actions, "build", "env:build", "make environments ready ahead of the steps that run in them")
    building.add_argument("--renew", action="store_true", help="take the newest packages that fit, from now on")
    shown = _add(actions, "show", "env:show", "show an environment's packages; nothing is built")
    pruning = _add(actions, "prune", "env:prune", "delete environments that no step uses now")
    pruning.add_argument("--days", type=float, metavar="N", help="those that were not used for N days")
    pruning.add_argument("--limit", metavar="SIZE", help="the longest unused, until so much is left: 5G")
    pruning.add_argument("--all", action="store_true", help="all")
    for action in (building, shown):
        action.add_argument(
            "target",
            metavar="TARGET",
            help="a registered name, a pipeline's FILE.py[:NAME], conda's FILE.yml or pip's FILE.txt",
        )
    for action in (parser, listing, building, shown):
        _add_workspace(action)


def _add_gc(commands: Any) -> None:
    parser = _add(commands, "gc", "gc:gc", "say what the workspace need not keep, and remove it with --delete")
    parser.add_argument("--delete", action="store_true", help="remove it; without this, nothing is changed")
    parser.add_argument("--days", type=float, metavar="N", help="keep only runs that are no older")
    parser.add_argument("--runs", type=int, metavar="N", help="keep only the latest N runs of each pipeline")
    parser.add_argument("--bytes", metavar="SIZE", help="keep only the latest runs with up to SIZE of outputs (20GB)")
    parser.add_argument(
        "--grace", type=float, metavar="DAYS", help="keep what is younger; longer than the longest run (default: 7)"
    )
    parser.add_argument("--save", action="store_true", help="make these limits the workspace's own")
    _add_workspace(parser)


def _add_data(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "data",
        help="list, copy, identify and verify data on any datastore",
        description="List, copy, identify and verify data. A PLACE is datastore:path, a URL or a local path.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = _add(actions, "ls", "data_ls:data_ls", "show what is at a place, with sizes")
    listing.add_argument("place", metavar="PLACE")
    listing.add_argument("--recursive", action="store_true", help="every file, not only what is directly there")
    copying = _add(
        actions, "cp", "data_cp:data_cp", "copy a file or all that is in a folder, verified; goes on after a stop"
    )
    copying.add_argument("source", metavar="SOURCE")
    copying.add_argument("target", metavar="TARGET", help="with a / at its end: a folder")
    copying.add_argument("--overwrite", action="store_true", help="replace files that are there")
    digest = _add(actions, "digest", "data_digest:data_digest", "show what counts of data when a step is decided on")
    digest.add_argument("place", metavar="PLACE")
    verify = _add(actions, "verify", "data_verify:data_verify", "read data again and compare it with what it should be")
    verify.add_argument("place", metavar="PLACE", nargs="*", help="one, for its receipt; two, to compare them")
    verify.add_argument("--run", metavar="ID.STEP", help="the outputs of a step's run instead")
    for action in (listing, copying, digest, verify):
        _add_workspace(action)
    cache = _add(actions, "cache", "data_cache:data_cache", "show the copies of remote objects on this machine")
    cache.add_argument("--clear", action="store_true", help="delete all that no step uses now")
    cache.add_argument("--limit", metavar="SIZE", help="delete the longest unused until so much is left: 5G")


def _add_model(commands: Any) -> None:
    parser = _add(commands, "model", "model:listing", "list, show, register, download and delete models")
    actions = parser.add_subparsers(metavar="ACTION")
    listing = _add(actions, "list", "model:listing", "list the newest version of every model, or all versions of one")
    listing.add_argument("name", nargs="?", metavar="NAME")
    shown = _add(actions, "show", "model:show", "show what is known of a model")
    registering = _add(actions, "register", "model:put", "register a file or a folder as the next version of a model")
    registering.add_argument("name", metavar="NAME")
    registering.add_argument("path", metavar="PATH", help="the file or the folder; its bytes are copied")
    registering.add_argument("--description", metavar="TEXT")
    registering.add_argument("--framework", metavar="NAME", help="what made it")
    for option in ("--tag", "--property"):
        registering.add_argument(option, action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    downloading = _add(actions, "download", "model:download", "copy a model to a folder, verified")
    deleting = _add(actions, "delete", "model:delete", "forget a version of a model; gc removes its bytes")
    for action in (shown, downloading, deleting):
        action.add_argument("model", metavar="NAME:VERSION" if action is deleting else "NAME[:VERSION]")
    downloading.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="(default: here)")
    downloading.add_argument("--overwrite", action="store_true", help="replace what is there")
    for action in (parser, listing, shown, registering, downloading, deleting):
        _add_workspace(action)


def _add_parallel(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "parallel", help="try an entry script of a parallel run", description="Try an entry script of a parallel run."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    trying = _add(
        actions, "try", "parallel_try:parallel_try", "run an entry script here, on the first few mini-batches"
    )
    trying.add_argument("script", metavar="SCRIPT", help="the entry script; its folder is the working directory")
    trying.add_argument(
        "data", metavar="DATA", help="a file, a folder, or a registered dataset as NAME or NAME:VERSION"
    )
    trying.add_argument("--table", action="store_true", help="read the file at DATA (CSV, TSV or Parquet) as a table")
    trying.add_argument("--count", type=int, default=3, metavar="N", help="how many mini-batches (default: 3)")
    trying.add_argument("--mini-batch-size", metavar="SIZE", help="files, or bytes of a table: 10, 1MB")
    trying.add_argument("--partition-key", action="append", default=[], metavar="NAME", help="may be repeated")
    trying.add_argument("--output", metavar="FOLDER", help="keep what the script writes to the output")
    trying.add_argument("--python", metavar="PATH", help="the interpreter (default: this one)")
    trying.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="for the script, after all options and --")
    _add_workspace(trying)


def _add_reuse(commands: Any) -> None:
    parser = _add(commands, "reuse", "reuse:stats", "pin and forget results, say why a step ran, count what was saved")
    _add_stats_options(parser)
    actions = parser.add_subparsers(metavar="ACTION")
    pin = _add(actions, "pin", "reuse:pin", "keep the results of a run, or of a step of it, whatever is cleaned away")
    pin.add_argument("--note", default="", metavar="TEXT", help="why, for whoever finds the pin")
    unpin = _add(actions, "unpin", "reuse:unpin", "take the pins of a run, or of a step of it, off again")
    forget = _add(actions, "forget", "reuse:forget", "do not use results again; their data stays until it is cleaned")
    forget.add_argument("run", nargs="?", metavar="RUN[.STEP]", help="what this run made, by the start of its id")
    forget.add_argument("--pipeline", metavar="NAME", help="results of this pipeline")
    forget.add_argument("--step", metavar="STEP", help="results of this step")
    forget.add_argument("--fingerprint", metavar="DIGITS", help="the result of this fingerprint, or the start of it")
    forget.add_argument("--older-than", metavar="AGE", help="results that are older, such as 12h or 30d")
    forget.add_argument("--dry-run", action="store_true", help="only say which they are")
    why = _add(actions, "why", "reuse:why", "say why the steps of a run, or one of them, ran or were reused")
    stats = _add(actions, "stats", "reuse:stats", "count what was reused, why the rest ran, and what is kept")
    _add_stats_options(stats)
    for action in (pin, unpin, why):
        action.add_argument("run", metavar="RUN[.STEP]", help="the start of a run's id, with .STEP for a step")
    for action in (parser, pin, unpin, forget, why, stats):
        _add_workspace(action)


def _add_stats_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", metavar="NAME", help="only steps of this pipeline")
    parser.add_argument("--step", metavar="STEP", help="only steps of this key")


def _add_compute(commands: Any) -> None:
    parser = _add(commands, "compute", "compute:listing", "say where steps run: list, set, test compute targets")
    actions = parser.add_subparsers(metavar="ACTION")
    listing = _add(actions, "list", "compute:listing", "list the compute targets and what they are")
    setting = _add(actions, "set", "compute:put", "give a name a meaning, or another one")
    setting.add_argument("name", metavar="NAME", help="the name that pipelines use")
    setting.add_argument("kind", metavar="KIND", help="local, docker, … (see: refrain compute list)")
    setting.add_argument("settings", nargs="*", metavar="SETTING=VALUE", help="what the kind takes; values may be JSON")
    setting.add_argument("--queue", metavar="NAME", help="Airflow's queue for the tasks of its steps")
    setting.add_argument("--pool", metavar="NAME", help="Airflow's pool for them")
    removing = _add(actions, "remove", "compute:remove", "forget a compute target")
    testing = _add(actions, "test", "compute:test", "try a compute target from end to end, and say what is wrong")
    for action in (removing, testing):
        action.add_argument("name", metavar="NAME")
    for action in (parser, listing, setting, removing, testing):
        _add_workspace(action)


def _add_workspace(parser: argparse.ArgumentParser) -> None:
    suppressed = argparse.SUPPRESS  # else the action's default would take the place of what was given before it
    parser.add_argument(
        "--workspace",
        metavar="ROOT",
        default=suppressed,
        help="the workspace's folder or URL (default: as configured)",
    )


def _add_list_options(parser: argparse.ArgumentParser) -> None:
    suppressed = argparse.SUPPRESS
    parser.add_argument("--limit", type=int, metavar="N", default=suppressed, help="how many, 0 for all (default: 20)")
    parser.add_argument("--pipeline", metavar="NAME", default=suppressed, help="only runs of this pipeline")
    parser.add_argument("--experiment", metavar="NAME", default=suppressed, help="only runs of this experiment")


def _add_airflow(commands: Any, name: str, home: str, description: str) -> None:
    parser = _add(commands, name, f"airflow:{name}", description)
    parser.add_argument("--port", type=int, metavar="N", help="the port of Airflow's pages (default: 8080)")
    parser.add_argument("--home", metavar="FOLDER", help=f"Airflow's home (default: {home})")
    parser.add_argument("--dags", metavar="FOLDER", help="DAG files (default: ./dags, else the examples)")
    parser.add_argument("--keep", action="store_true", help="stay until Ctrl-C")


_COMMANDS: dict[str, Callable[[Any], None]] = {
    "init": _add_init,
    "run": _add_run,
    "explain": _add_explain,
    "runs": _add_runs,
    "data": _add_data,
    "model": _add_model,
    "parallel": _add_parallel,
    "reuse": _add_reuse,
    "compute": _add_compute,
    "env": _add_env,
    "gc": _add_gc,
    "up": partial(
        _add_airflow,
        name="up",
        home=".refrain/airflow",
        description="start Airflow on this project's workspace and stay until Ctrl-C",
    ),
    "demo": partial(
        _add_airflow,
        name="demo",
        home=".refrain/demo",
        description="run the example pipeline twice on Airflow and see what is reused",
    ),
}
"""In the order in which help names them."""
