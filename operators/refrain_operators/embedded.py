"""An Airflow of one's own, in a folder: its four components, started and stopped together.

It runs inside the block, until Ctrl-C:

    with EmbeddedAirflow("airflow-home", dags_folder="dags") as airflow:
        airflow.client().trigger("retrain")
        airflow.wait()
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from refrain.errors import AirflowRequestError, AirflowServerError
from refrain_operators import processes
from refrain_operators.airflow_home import MARK, USER, AirflowHome
from refrain_operators.component_group import ComponentGroup, Exit
from refrain_operators.components import API_SERVER, GRACE, JOBS
from refrain_operators.rest import AirflowClient

# Called with a component ("database", "api-server", "scheduler", …) and its state ("migrating", "ready", "healthy").
Progress = Callable[[str, str], None]

_HOST = "127.0.0.1"
_PAUSE = 0.1
_TAIL_LINES = 30


def _silent(_component: str, _state: str) -> None:
    """The progress callback of those who want none."""


class EmbeddedAirflow:
    """One Airflow in one folder; a context manager that has it running inside and leaves no process behind.

    Its processes also end by themselves when their owner dies, however it dies.

    :param home: the folder of its configuration, database and logs; made if missing.
    :param dags_folder: ``None`` means `dags` in the home.
    :param port: of the API server and its pages, on this machine only; 0 takes any free one.
    :param sql_alchemy_conn: the metadata database's URL; ``None`` means SQLite in the home.
    :param plugins_folder: ``None`` means `plugins` in the home.
    :param environment: more variables for its processes, such as ``AIRFLOW__CORE__PARALLELISM``.
    """

    def __init__(
        self,
        home: str | os.PathLike[str],
        dags_folder: str | os.PathLike[str] | None = None,
        port: int = 8080,
        sql_alchemy_conn: str | None = None,
        plugins_folder: str | os.PathLike[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        path = _absolute(home)
        self.home = AirflowHome(
            path=path,
            dags_folder=_absolute(dags_folder or path / "dags"),
            plugins_folder=_absolute(plugins_folder or path / "plugins"),
            port=port or _free_port(),
            sql_alchemy_conn=sql_alchemy_conn,
        )
        self._environment = dict(environment or {})
        self._components: ComponentGroup | None = None
        self._lock: IO[str] | None = None

    def __repr__(self) -> str:
        return f"EmbeddedAirflow({str(self.home.path)!r}, {self.url!r})"

    def __enter__(self) -> EmbeddedAirflow:  # noqa: PYI034 - `Self` is in typing from Python 3.11 on
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of its pages and of its REST API."""
        return f"http://{_HOST}:{self.home.port}"

    def client(self) -> AirflowClient:
        """A REST client with the rights of this Airflow's administrator."""
        return AirflowClient(self.url, username=USER, password=self.home.password())

    def prepare(self) -> None:
        """Write the home's folders, configuration and secrets; may be repeated. Does not touch the database.

        :raises AirflowServerError: if Airflow is missing, Python unsuitable or the home not writable.
        """
        _airflow_version()
        with self._locked():
            self.home.prepare()

    def migrate(self) -> None:
        """Prepare the home and bring its database to the installed Airflow's version; `start` does so by itself.

        :raises AirflowServerError: if the database cannot be reached or migrated.
        """
        with self._locked():
            self.prepare()
            _write_ahead(self.home.database)
            failure = self._group().migrate()
            if failure:
                raise self._crash(failure)
            self._stamp()

    def start(self, progress: Progress = _silent, timeout: float = 180.0) -> None:
        """Start all components and wait until each says that it is healthy.

        :param timeout: seconds; takes about six on an idle machine with two cores.
        :raises AirflowServerError: if another process runs this home, the port is taken, a component ends or time is
            up; nothing is left running then.
        """
        if self._components:
            return
        self._lock = self._take_lock()
        try:
            self.prepare()
            processes.end(processes.marked(MARK, str(self.home.path)), GRACE)  # of an owner that was killed
            self._check_port()
            _write_ahead(self.home.database)
            is_migrating = not self._is_migrated()
            if is_migrating:
                progress("database", "migrating")
            started = datetime.now(timezone.utc)
            self._components = self._group()
            self._components.start(is_migrating=is_migrating)
            deadline = time.monotonic() + timeout
            self._await_migration(progress, deadline)
            self._await_health(progress, started, deadline)
        except BaseException:  # Ctrl-C too
            self.stop()
            raise

    def check(self) -> None:
        """Raise if a component ended by itself.

        :raises AirflowServerError: with the last lines of its log.
        """
        for failure in self._components.exits() if self._components else ():
            raise self._crash(failure)

    def wait(self) -> None:
        """Stay until Ctrl-C, or until a component ends.

        :raises AirflowServerError: with the last lines of the log of the one that ended.
        """
        while self._components:
            self.check()
            time.sleep(5 * _PAUSE)

    def stop(self) -> None:
        """End all components and the tasks that run; may be repeated. A second Ctrl-C kills without waiting.

        :raises AirflowServerError: if a process could not even be killed.
        """
        group, self._components = self._components, None
        try:
            left = self._end(group) if group else set()
        finally:
            if self._lock:
                self._lock.close()
                self._lock = None
        if left:
            numbers = ", ".join(str(process.pid) for process in left)
            raise AirflowServerError(
                f"Processes of the Airflow in {self.home.path} survive a kill: {numbers}. End them by hand."
            )

    def _end(self, group: ComponentGroup) -> set[processes.Process]:
        try:
            left = group.end()
        except KeyboardInterrupt:
            group.end(grace=0.0)
            raise
        # A task's process that lost its parent while nobody looked.
        return left | processes.end(processes.marked(MARK, str(self.home.path)), grace=0.0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes the home meanwhile: its running tasks read the configuration."""
        if self._lock:
            yield
            return
        self._lock = self._take_lock()
        try:
            yield
        finally:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> IO[str]:
        self.home.make()
        return _lock(self.home.path / "embedded.pid", self.url)

    def _group(self) -> ComponentGroup:
        return ComponentGroup(self.home, self.home.environment(os.environ, self._environment))

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
            try:
                probe.bind((_HOST, self.home.port))
            except OSError as error:
                raise AirflowServerError(
                    f"Port {self.home.port} of {_HOST} cannot be used for Airflow: {error.strerror}. "
                    "Stop the program that has it, or choose another one with port= (--port on the command line, "
                    "PORT= for make; 0 takes any free one)."
                ) from error

    # ---- the database's version

    def _is_migrated(self) -> bool:
        """Whether this Airflow migrated the database to where it is now; only SQLite can say so in a millisecond."""
        revision = _revision(self.home.database)
        return revision is not None and self._stamps().get(_airflow_version()) == revision

    def _stamp(self) -> None:
        revision = _revision(self.home.database)
        if revision:
            text = json.dumps({_airflow_version(): revision})
            (self.home.path / "migrated.json").write_text(text, encoding="utf-8")

    def _stamps(self) -> dict[str, str]:
        try:
            stamps: dict[str, str] = json.loads((self.home.path / "migrated.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamps

    # ---- waiting for the start

    def _await_migration(self, progress: Progress, deadline: float) -> None:
        group = self._components
        while group and not group.is_migrated:
            self._check_time(deadline, "the database")
            time.sleep(_PAUSE)
        self._stamp()
        progress("database", "ready")

    def _await_health(self, progress: Progress, started: datetime, deadline: float) -> None:
        client, missing = self.client(), {API_SERVER, *JOBS}
        while missing:
            self._check_time(deadline, ", ".join(sorted(missing)))
            for name in sorted(missing & _healthy(client, started)):
                progress(name, "healthy")
                missing.remove(name)
            time.sleep(_PAUSE)

    def _check_time(self, deadline: float, missing: str) -> None:
        self.check()
        if time.monotonic() > deadline:
            raise AirflowServerError(
                f"Airflow in {self.home.path} is not ready in time; still missing: {missing}. "
                f"Read the logs in {self.home.logs}, or give it more time with timeout=."
            )

    def _crash(self, failure: Exit) -> AirflowServerError:
        log = self.home.logs / f"{failure.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        tail = "\n".join(lines[-_TAIL_LINES:]) or "(empty)"
        return AirflowServerError(
            f"'{failure.name}' of the Airflow in {self.home.path} ended with exit code {failure.code}. "
            f"Its log {log} ends with:\n{tail}"
        )


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).expanduser().resolve()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _airflow_version() -> str:
    try:
        return metadata.version("apache-airflow-core")
    except metadata.PackageNotFoundError as error:
        raise AirflowServerError(
            f"Airflow is not installed for {sys.executable}. Install it: pip install 'refrain[airflow]'"
        ) from error


def _write_ahead(database: Path | None) -> None:
    """Let readers and the writer of a SQLite database, made if it is not there, not wait for each other.

    With a rollback journal, SQLite's default, a reader keeps a writer from committing, and one that has read and then
    writes while another commits fails at once. The database keeps the setting.
    """
    if database is not None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")


def _revision(database: Path | None) -> str | None:
    """The revision that a SQLite database says it has; ``None`` without one."""
    if database is None or not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=5.0)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None  # not a database yet, or half made: the migration will tell
    return str(row[0]) if row else None


def _healthy(client: AirflowClient, started: datetime) -> set[str]:
    """The components that are healthy now; the heartbeat of an earlier start does not count."""
    try:
        report = client.health()
    except AirflowRequestError:
        return set()  # not listening yet
    return {API_SERVER, *(name for name in JOBS if _beats(report, name.replace("-", "_"), started))}


def _beats(report: dict[str, Any], key: str, started: datetime) -> bool:
    part = report.get(key) or {}
    beat = part.get(f"latest_{key}_heartbeat")
    return part.get("status") == "healthy" and beat is not None and datetime.fromisoformat(beat) >= started


def _lock(path: Path, url: str) -> IO[str]:
    """The home's lock, held as long as the file is open; the system lets go of it when its owner dies."""
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise AirflowServerError(
            f"An Airflow already runs in {path.parent}: {owner}. Stop it first, or choose another folder with home= "
            "(--home on the command line)."
        ) from error
    file.truncate(0)
    file.write(f"process {os.getpid()}, {url}\n")
    file.flush()
    return file
