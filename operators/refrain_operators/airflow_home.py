"""The folder that an Airflow lives in: its configuration, its secrets and the environment of its processes."""

from __future__ import annotations

import base64
import configparser
import contextlib
import json
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from refrain.errors import AirflowServerError

USER = "admin"
# Set in every process of an embedded Airflow, so that those of a killed owner can be told from the user's own.
MARK = "REFRAIN_EMBEDDED_AIRFLOW"
_OLDEST, _NEWEST = (3, 10), (3, 13)
_PASSWORDS = "simple_auth_manager_passwords.json.generated"
# Where each secret stands in airflow.cfg.
_SECRETS = {"fernet_key": "core", "api_secret_key": "api", "jwt_secret": "api_auth"}
_OPTIONS = {"api_secret_key": "secret_key"}
# Of the caller's Airflow, if any: they would override the home's configuration.
_FOREIGN = re.compile(r"AIRFLOW__|_AIRFLOW_|AIRFLOW_(HOME|CONFIG|API_APPS)$|DEV_MODE$|PYTHONDONTWRITEBYTECODE$")


@dataclass(frozen=True)
class AirflowHome:
    """Where one Airflow keeps its files, and what its configuration is made of.

    :param sql_alchemy_conn: the metadata database's URL; ``None`` means SQLite in the home.
    """

    path: Path
    dags_folder: Path
    plugins_folder: Path
    port: int
    sql_alchemy_conn: str | None = field(default=None, repr=False)

    @property
    def logs(self) -> Path:
        """The folder of the components' logs; the tasks' logs are in folders below it."""
        return self.path / "logs"

    @property
    def database(self) -> Path | None:
        """The SQLite file; ``None`` where the database is another one."""
        return None if self.sql_alchemy_conn else self.path / "airflow.db"

    def prepare(self) -> None:
        """Write the folders, the configuration and the password; an existing home keeps its secrets.

        :raises AirflowServerError: if Python is unsuitable, a setting cannot be written or the home is not writable.
        """
        check_python(sys.version_info[:2])
        self.make()
        with self._writing():
            self._make_folders()
            target = self.path / "airflow.cfg"
            values = self._values() | _kept_secrets(target)
            _write_private(target, render(_template(), values))
            if not (self.path / _PASSWORDS).exists():
                _write_private(self.path / _PASSWORDS, json.dumps({USER: secrets.token_urlsafe(12)}) + "\n")

    def make(self) -> None:
        """Make the folder itself, which only this user may enter.

        :raises AirflowServerError: if it cannot be made, or this user may not write in it.
        """
        with self._writing():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()

    @property
    def password_file(self) -> Path:
        """The file that holds the password, readable by its owner alone."""
        return self.path / _PASSWORDS

    def password(self) -> str:
        """The password of the user `admin`.

        :raises AirflowServerError: if the home is not prepared, or its password file was damaged.
        """
        path = self.password_file
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))[USER])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise AirflowServerError(
                f"No password of '{USER}' in {path}. Delete that file if it exists, then prepare the home again."
            ) from error

    def environment(self, caller: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
        """The environment of this Airflow's processes.

        :param caller: what they inherit, but for the settings of another Airflow.
        :param own: what is added on purpose, such as ``AIRFLOW__SECTION__KEY``; wins over everything.
        """
        inherited = {name: value for name, value in caller.items() if not _FOREIGN.match(name)}
        # `python` and `airflow` of a BashOperator are those of this interpreter's environment.
        binaries = str(Path(sys.executable).parent)
        inherited["PATH"] = os.pathsep.join(filter(None, [binaries, inherited.get("PATH")]))
        for name in ("NO_PROXY", "no_proxy"):  # tasks talk to the API server, never through a proxy
            inherited[name] = ",".join(filter(None, [inherited.get(name), "127.0.0.1,localhost"]))
        fixed = {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW_CONFIG": str(self.path / "airflow.cfg"),
            "PYTHONUNBUFFERED": "1",  # the last words of a crashed component reach its log
            "SPT_NOENV": "1",  # Airflow's process titles would be written over the mark
            MARK: str(self.path),
        }
        return inherited | fixed | dict(own)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AirflowServerError(
                f"Cannot write the Airflow home {self.path}: {error.strerror or error}. "
                "Make it writable for this user, or choose another folder with home=."
            ) from error

    def _make_folders(self) -> None:
        """Make the home's own folders; one elsewhere must be there, else a typing error would be an empty Airflow."""
        for folder in (self.dags_folder, self.plugins_folder, self.logs):
            if folder.is_relative_to(self.path):
                folder.mkdir(parents=True, exist_ok=True)
            elif not folder.is_dir():
                raise AirflowServerError(f"There is no folder {folder}. Make it, or name another one.")

    def _values(self) -> dict[str, str]:
        connection = self.sql_alchemy_conn or f"sqlite:///{self.database}"
        return {
            "home": str(self.path),
            "dags_folder": str(self.dags_folder),
            "plugins_folder": str(self.plugins_folder),
            "port": str(self.port),
            # Airflow would expand a `$NAME` in it.
            "sql_alchemy_conn": connection.replace("$", "%24") if self.sql_alchemy_conn else connection,
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "api_secret_key": secrets.token_urlsafe(32),
            "jwt_secret": secrets.token_urlsafe(64),
        }


def check_python(version: tuple[int, ...]) -> None:
    """Refuse an interpreter that Refrain does not run Airflow on.

    :raises AirflowServerError: with the versions that do.
    """
    if not _OLDEST <= version[:2] <= _NEWEST:
        found, oldest, newest = (".".join(map(str, each[:2])) for each in (version, _OLDEST, _NEWEST))
        raise AirflowServerError(
            f"Airflow with Refrain runs on Python {oldest} to {newest}; this is Python {found} ({sys.executable}). "
            f"Make an environment with one of these, such as `python{newest} -m venv .venv`."
        )


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of `airflow.cfg.template`; text in braces that is no placeholder stays.

    :raises AirflowServerError: if a value would mean something else in the file than it says.
    """
    for name, value in values.items():
        if re.search(r"[\r\n$]", value):
            raise AirflowServerError(
                f"The Airflow setting {name} must be one line without '$', which Airflow would expand. "
                "Choose another one."
            )
    names = "|".join(values)
    # `%` starts an interpolation in Airflow's configuration files.
    return re.sub(rf"\{{({names})\}}", lambda match: values[match[1]].replace("%", "%%"), template)


def _template() -> str:
    """The template: beside this module in an installed wheel, at the repository's root in a checkout."""
    here = Path(__file__).resolve().parent
    for path in (here / "airflow.cfg.template", here.parents[1] / "airflow.cfg.template"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise AirflowServerError(
        f"airflow.cfg.template is missing from {here}: the installation of refrain is damaged. Install it again."
    )


def _kept_secrets(configuration: Path) -> dict[str, str]:
    """The secrets of an existing home: with others, its stored passwords and open sessions would be lost."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(configuration, encoding="utf-8")
    except configparser.Error as error:
        raise AirflowServerError(
            f"{configuration} is not a configuration file, so the secrets in it cannot be kept. "
            "Restore it, or delete it and enter the passwords of connections again."
        ) from error
    found = {name: parser.get(section, _OPTIONS.get(name, name), fallback="") for name, section in _SECRETS.items()}
    return {name: value.replace("%%", "%") for name, value in found.items() if value}


def _write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody else may read it, not even for a moment."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
