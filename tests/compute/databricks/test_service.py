"""What is asked of a Databricks workspace."""

from __future__ import annotations

import pytest

from refrain.compute.databricks.channel import open_channel
from refrain.errors import DatabricksError, DatabricksRefusedError, UnknownNameError, UserError


def test_a_large_file_comes_in_blocks_and_whole(service, server, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(range(256)) * 10_000)
    service.upload(source, "dbfs:/a/large.bin")
    assert (server.files.dbfs / "a/large.bin").read_bytes() == source.read_bytes()
    assert server.requests.count("POST dbfs/add-block") == 3


def test_a_block_that_arrives_twice_is_noticed(service, server, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(2_000_000))
    server.faults.lose_answer("dbfs/add-block")
    with pytest.raises(
        DatabricksError, match=r"'large.bin' did not arrive whole at dbfs:/large.bin: \d+ of 2000000 bytes"
    ):
        service.upload(source, "dbfs:/large.bin")


def test_a_file_too_large_for_the_workspace_says_where_to_upload_to(service, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(11 * 1024 * 1024))
    with pytest.raises(UserError, match=r"'large.bin' is too large .* upload_path=dbfs:/refrain"):
        service.upload(source, "/Workspace/Shared/large.bin")


def test_what_is_not_there_is_not_there(service):
    assert not service.exists("dbfs:/nothing")
    assert not service.exists("/Workspace/nothing")
    assert service.find_run(1) is None


def test_a_notebook_s_identity_is_its_source(service, server):
    server.files.put_notebook("/a", "1")
    server.files.put_notebook("/b", "1")
    assert service.code_digest("/a") == service.code_digest("/b")
    server.files.put_notebook("/b", "2")
    assert service.code_digest("/a") != service.code_digest("/b")


def test_an_unknown_connection_says_how_to_make_it(server):
    with pytest.raises(
        UnknownNameError, match="There is no connection 'other': add it to Airflow, or set AIRFLOW_CONN_OTHER"
    ):
        open_channel("other")


def test_a_connection_without_credentials_says_what_to_set(server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BARE", '{"conn_type": "databricks", "host": "adb-1.azuredatabricks.net"}')
    with pytest.raises(UserError, match="The connection 'bare' has no credentials for Databricks: set its password"):
        open_channel("bare")
    monkeypatch.setenv("AIRFLOW_CONN_BARE", '{"conn_type": "databricks", "password": "x"}')
    with pytest.raises(UserError, match="The connection 'bare' has no host"):
        open_channel("bare")


def test_an_expired_token_is_no_passing_fault(service, server):
    server.token = "another"
    with pytest.raises(
        DatabricksRefusedError, match=r"does not accept the credentials .* may have expired or been revoked"
    ):
        service.spark_versions()
