"""Logins: from connections of Airflow, for the server that they are for."""

from __future__ import annotations

import json

import pytest

from refrain.errors import UnknownNameError, UserError
from refrain.storage.sql.address import DatabaseAddress, DatabaseLocation
from refrain.storage.sql.login import login_for


def login(monkeypatch, url="postgresql://host/db", **connection):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "postgres", **connection}))
    return login_for(DatabaseLocation("sales", DatabaseAddress.parse("sales", url), "mine"))


def test_a_connection_gives_who_and_options_of_the_driver(monkeypatch):
    extra = {"sslmode": "verify-full", "cursor": "dictcursor", "ssl": {"ca": "x"}, "iam": False}
    made = login(monkeypatch, login="me", password="top-secret", extra=extra)
    assert (made.user, made.password, made.options) == ("me", "top-secret", {"sslmode": "verify-full"})
    assert repr(made) == "Login('me')"


def test_the_user_may_stand_in_the_url_alone(monkeypatch):
    assert login(monkeypatch, "postgresql://me@host/db", password="top-secret").user == "me"


def test_without_a_connection_the_driver_finds_what_it_needs():
    made = login_for(DatabaseLocation("sales", DatabaseAddress.parse("sales", "postgresql://me@host/db")))
    assert (made.user, made.password, made.options) == ("me", "", {})


def test_an_unknown_connection_is_named():
    location = DatabaseLocation("sales", DatabaseAddress.parse("sales", "postgresql://host/db"), "mine")
    with pytest.raises(UnknownNameError, match="There is no connection 'mine'"):
        login_for(location)


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ({"host": "other"}, "Datastore 'sales' is at host 'host', but its connection 'mine' is for host 'other'"),
        ({"host": "HOST", "port": 5433}, "is at port 5432, but its connection 'mine' is for port 5433"),
        ({"login": "you"}, "is at user 'me', but its connection 'mine' is for user 'you'. Make the two the same"),
    ],
)
def test_a_password_goes_nowhere_else(monkeypatch, connection, message):
    with pytest.raises(UserError, match=message) as raised:
        login(monkeypatch, "postgresql://me@host:5432/db", password="top-secret", **connection)
    assert "top-secret" not in str(raised.value)
