"""Connections: read as Airflow writes them, and never shown."""

from __future__ import annotations

import json

import pytest

from refrain.errors import UnknownNameError, UserError
from refrain.storage.connections import Connection, connection, from_environment, secret_values

AWS_JSON = {
    "conn_type": "aws",
    "login": "AKIA",
    "password": "se/cret",
    "extra": {"endpoint_url": "http://host:9000", "region_name": "eu-west-1"},
}
AWS_URI = "aws://AKIA:se%2Fcret@/?endpoint_url=http%3A%2F%2Fhost%3A9000&region_name=eu-west-1"
AWS_URI_EXTRA = (
    "aws://AKIA:se%2Fcret@/?__extra__=%7B%22endpoint_url%22%3A%22http%3A%2F%2Fhost%3A9000%22%2C%22region_name%22"
    "%3A%22eu-west-1%22%7D"
)


@pytest.mark.parametrize("text", [json.dumps(AWS_JSON), AWS_URI, AWS_URI_EXTRA])
def test_an_aws_connection_becomes_the_options_of_s3fs(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", text)
    assert connection("my_aws").options("s3") == {
        "key": "AKIA",
        "secret": "se/cret",
        "endpoint_url": "http://host:9000",
        "client_kwargs": {"region_name": "eu-west-1"},
    }


@pytest.mark.parametrize(
    ("document", "options"),
    [
        ({"login": "acc", "password": "k=="}, {"account_name": "acc", "account_key": "k=="}),
        ({"login": "acc", "extra": {"sas_token": "?sv=1"}}, {"account_name": "acc", "sas_token": "?sv=1"}),
        ({"login": "acc", "extra": {"extra__wasb__connection_string": "A=b"}}, {"connection_string": "A=b"}),
        (
            {
                "host": "https://acc.blob.core.windows.net/",
                "login": "id",
                "password": "pw",
                "extra": {"tenant_id": "t"},
            },
            {"account_name": "acc", "client_id": "id", "client_secret": "pw", "tenant_id": "t"},
        ),
    ],
)
def test_an_azure_connection_becomes_the_options_of_adlfs(monkeypatch, document, options):
    monkeypatch.setenv("AIRFLOW_CONN_BLOB", json.dumps({"conn_type": "wasb", **document}))
    assert connection("blob").options("abfs") == options


def test_a_connection_shows_nothing(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", AWS_URI)
    assert repr(connection("my_aws")) == "Connection('my_aws', type 'aws')"


def test_a_missing_connection_says_where_to_put_it():
    with pytest.raises(UnknownNameError, match="no connection 'my_aws': add it to Airflow, or set AIRFLOW_CONN_MY_AWS"):
        connection("my_aws")


@pytest.mark.parametrize("text", ["top-secret", '{"top-secret', '["x"]', "aws://a:top-secret@[h/"])
def test_a_wrong_variable_is_named_and_not_shown(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_CONN_BAD", text)
    with pytest.raises(UserError, match="AIRFLOW_CONN_BAD holds no connection") as raised:
        from_environment("bad").options("s3")
    assert "top-secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_role_is_refused_with_the_way_out():
    with pytest.raises(UserError, match=r"names a role_arn\. Put the role into a profile"):
        Connection("c", "aws", extra={"role_arn": "arn:x"}).options("s3")


def test_what_no_message_may_show_is_known():
    options = {"connection_string": "AccountName=acc;AccountKey=abcd==;", "account_name": "acc", "secret": "se/cret"}
    assert secret_values(options) == ("AccountName=acc;AccountKey=abcd==;", "se/cret", "abcd==")
