"""DatabaseAddress: read from URLs, and never with a password."""

from __future__ import annotations

import pytest

from refrain.errors import UserError
from refrain.storage.sql.address import DatabaseAddress


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgres://me@host:5433/db", "postgresql://me@host:5433/db"),
        ("postgresql+psycopg2://host/db?sslmode=require", "postgresql://host/db?sslmode=require"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=%2Frun%2Fpostgresql"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("mariadb://me%40one@host/a%20b/", "mysql://me%40one@host/a%20b"),
        ("mysql+pymysql://host/db", "mysql://host/db"),
        ("mssql://host/db", "mssql://host/db"),
        ("sqlite:////srv/a b.db", "sqlite:////srv/a%20b.db"),
    ],
)
def test_a_url_has_one_form(url, kept):
    assert DatabaseAddress.parse("sales", url).url == kept
    assert DatabaseAddress.parse("sales", kept).url == kept


def test_messages_show_neither_user_nor_options():
    assert DatabaseAddress.parse("sales", "mysql://me@host/db?charset=latin1").shown == "mysql://host/db"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "oracle://host/db",
            "Datastore 'sales': 'oracle' is no kind of database. Known: mssql, mysql, postgresql, sqli",
        ),
        ("host/db", "is no kind of database"),
        ("postgresql://me:top-secret@host/db", "its URL must hold no password. Make an Airflow connection"),
        ("postgresql://me:@host/db", "its URL must hold no password"),
        ("postgresql://host/db?password=top-secret", "the option 'password' would be stored with the workspace"),
        ("postgresql://host/db?user=me", "write 'user' into the URL itself"),
        ("postgresql://host/db?host=other", "write 'host' into the URL itself"),
        ("postgresql://host", "its URL names no host and database; write one such as 'postgresql://host/database'"),
        ("mysql:///db", "its URL names no host and database"),
        ("mysql://host/a/b", "its URL names no host and database"),
        ("mysql://host:top-secret/db", "its URL has no host and port that can be read"),
        ("sqlite://relative.db", "a SQLite database is an absolute path after three slashes"),
        ("sqlite:///relative.db", "a SQLite database is an absolute path"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url, message):
    with pytest.raises(UserError, match=message) as raised:
        DatabaseAddress.parse("sales", url)
    assert "top-secret" not in str(raised.value)
