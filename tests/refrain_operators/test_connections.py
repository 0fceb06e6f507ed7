"""Connections, asked of Airflow."""

import json

from refrain_operators.connections import airflow_connection


def test_a_connection_of_airflow_is_read(monkeypatch):
    document = {"conn_type": "aws", "login": "AKIA", "password": "pw", "extra": {"endpoint_url": "http://h"}}
    monkeypatch.setenv("AIRFLOW_CONN_OBJECTS", json.dumps(document))
    found = airflow_connection("objects")
    assert found.options("s3") == {"key": "AKIA", "secret": "pw", "endpoint_url": "http://h"}


def test_a_missing_connection_is_none():
    assert airflow_connection("nowhere") is None
