"""An embedded Airflow before it starts anything: its home, its configuration, its environment and its refusals."""

from __future__ import annotations

import configparser
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from refrain.errors import AirflowServerError
from refrain_operators.airflow_home import AirflowHome, check_python, render
from refrain_operators.embedded import EmbeddedAirflow


def _configuration(home: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(home / "airflow.cfg", encoding="utf-8")
    return parser


def _home(path: Path, sql_alchemy_conn: str | None = None) -> AirflowHome:
    return AirflowHome(path, path / "dags", path / "plugins", 8080, sql_alchemy_conn)


def test_importing_it_does_not_import_airflow() -> None:
    code = "import sys, refrain_operators.embedded, refrain_operators.components; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_prepared_home_names_its_own_folders_and_listens_on_this_machine_only(tmp_path: Path) -> None:
    EmbeddedAirflow(tmp_path / "home", port=8123).prepare()
    configuration = _configuration(tmp_path / "home")
    assert configuration["core"]["dags_folder"] == str(tmp_path / "home" / "dags")
    assert configuration["core"]["execution_api_server_url"] == "http://127.0.0.1:8123/execution/"
    assert configuration["api"]["host"] == "127.0.0.1"
    assert configuration["database"]["sql_alchemy_conn"] == f"sqlite:///{tmp_path}/home/airflow.db"
    assert "{" not in "".join(value for section in configuration.values() for value in section.values())


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    EmbeddedAirflow(tmp_path / "home").prepare()
    for name in ("airflow.cfg", "simple_auth_manager_passwords.json.generated"):
        assert stat.S_IMODE((tmp_path / "home" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_preparing_again_keeps_secrets_and_password_and_takes_the_new_port(tmp_path: Path) -> None:
    first = EmbeddedAirflow(tmp_path / "home", port=8123)
    first.prepare()
    before, password = _configuration(tmp_path / "home"), first.home.password()
    EmbeddedAirflow(tmp_path / "home", port=8124).prepare()
    after = _configuration(tmp_path / "home")
    for section, name in (("core", "fernet_key"), ("api", "secret_key"), ("api_auth", "jwt_secret")):
        assert before[section][name] == after[section][name] != ""
    assert first.home.password() == password
    assert after["api"]["port"] == "8124"


def test_each_home_has_secrets_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        EmbeddedAirflow(tmp_path / name).prepare()
    one, two = _configuration(tmp_path / "one"), _configuration(tmp_path / "two")
    assert one["core"]["fernet_key"] != two["core"]["fernet_key"]
    assert one["api_auth"]["jwt_secret"] != two["api_auth"]["jwt_secret"]


def test_a_password_in_the_database_url_survives_the_configuration_file(tmp_path: Path) -> None:
    _home(tmp_path, "postgresql://me:per%40cent$HOME@db/airflow").prepare()
    assert _configuration(tmp_path)["database"]["sql_alchemy_conn"] == "postgresql://me:per%40cent%24HOME@db/airflow"


def test_a_value_that_airflow_would_expand_is_refused() -> None:
    with pytest.raises(AirflowServerError, match=r"setting dags_folder must be one line without '\$'"):
        render("{dags_folder}", {"dags_folder": "/some/$HOME"})


def test_an_airflow_cfg_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "airflow.cfg").write_text("no section\n", encoding="utf-8")
    with pytest.raises(AirflowServerError, match=r"airflow\.cfg is not a configuration file, so the secrets"):
        _home(tmp_path).prepare()
    assert (tmp_path / "airflow.cfg").read_text(encoding="utf-8") == "no section\n"


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_another_python_is_refused_with_those_that_work(version: tuple[int, int]) -> None:
    message = rf"runs on Python 3\.10 to 3\.13; this is Python 3\.{version[1]} .*Make an environment with one of these"
    with pytest.raises(AirflowServerError, match=message):
        check_python(version)


def test_a_home_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AirflowServerError, match=r"Cannot write the Airflow home .*file/home: .*choose another folder"):
        EmbeddedAirflow(tmp_path / "file" / "home").prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_the_right_to_write_is_named_with_the_way_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AirflowServerError, match=r"Cannot write the Airflow home .*: Permission denied\. Make it"):
        EmbeddedAirflow(tmp_path).prepare()


def test_a_dag_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AirflowServerError, match=r"There is no folder .*/typo\. Make it, or name another one\."):
        EmbeddedAirflow(tmp_path / "home", dags_folder=tmp_path / "typo").prepare()


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AirflowServerError, match=rf"Port {port} of 127\.0\.0\.1 .*in use.*port="):
            EmbeddedAirflow(tmp_path / "home", port=port).start()


def test_port_0_takes_a_free_one(tmp_path: Path) -> None:
    assert EmbeddedAirflow(tmp_path, port=0).url != EmbeddedAirflow(tmp_path, port=0).url


def test_settings_of_another_airflow_do_not_reach_the_processes(tmp_path: Path) -> None:
    caller = {
        "AIRFLOW_HOME": "/elsewhere",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_LAKE": "s3://bucket",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/bin",
    }
    environment = _home(tmp_path).environment(caller, {"AIRFLOW__CORE__PARALLELISM": "2"})
    assert environment["AIRFLOW_HOME"] == str(tmp_path)
    assert "AIRFLOW__CORE__EXECUTOR" not in environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["AIRFLOW_CONN_LAKE"] == "s3://bucket"
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"
    assert environment["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert "127.0.0.1" in environment["NO_PROXY"]


def test_no_secret_shows_in_its_representation(tmp_path: Path) -> None:
    airflow = EmbeddedAirflow(tmp_path, sql_alchemy_conn="postgresql://me:secret-word@db/airflow")
    airflow.prepare()
    text = repr(airflow) + repr(airflow.home) + repr(airflow.client())
    assert "secret-word" not in text
    assert airflow.home.password() not in text


def test_a_damaged_password_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    home = _home(tmp_path)
    home.prepare()
    (tmp_path / "simple_auth_manager_passwords.json.generated").write_text("[]", encoding="utf-8")
    with pytest.raises(AirflowServerError, match=r"No password of 'admin' in .*\. Delete that file"):
        home.password()


def test_every_setting_is_one_that_the_installed_airflow_knows(tmp_path: Path) -> None:
    pytest.importorskip("airflow.configuration")
    from airflow.configuration import conf

    EmbeddedAirflow(tmp_path).prepare()
    known = conf.configuration_description
    ours = {(section, key) for section, keys in _configuration(tmp_path).items() for key in keys}
    assert {(section, key) for section, key in ours if key not in known[section]["options"]} == set()
    assert ours & set(conf.inversed_deprecated_options) == set()
