"""Who may see the page of a run: Airflow's API server answers nobody whom its auth manager does not know."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

import pytest

from acceptance.running_airflow import RunningAirflow
from refrain_operators.airflow_home import USER

PAGE = "/refrain/dags/some/runs/manual__1"


def asked(airflow: RunningAirflow, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return what the server answers: the status and the text."""
    request = urllib.request.Request(airflow.url + path, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def token(airflow: RunningAirflow) -> str:
    """Return a token of the user `admin`."""
    body = json.dumps({"username": USER, "password": airflow.password}).encode()
    request = urllib.request.Request(f"{airflow.url}/auth/token", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["access_token"])


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}?part=true"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer rubbish"}, 403),
        ({"Cookie": "_token=rubbish"}, 403),
        ({"Authorization": "Basic YWRtaW46YWRtaW4="}, 401),
    ],
    ids=["nobody", "a token of nobody's", "a cookie of nobody's", "another scheme"],
)
def test_who_is_not_known_is_refused(airflow: RunningAirflow, path: str, headers: dict[str, str], status: int) -> None:
    found, text = asked(airflow, path, headers)
    assert found == status, text
    assert "Nothing is known" not in text


@pytest.mark.parametrize("path", ["/refrain/", "/refrain/docs", "/refrain/redoc", "/refrain/openapi.json"])
def test_there_is_nothing_beside_the_page(airflow: RunningAirflow, path: str) -> None:
    status, text = asked(airflow, path)
    assert status in (401, 404), text
    assert "Refrain" not in text


def test_who_is_known_sees_the_page(airflow: RunningAirflow) -> None:
    status, text = asked(airflow, PAGE, {"Authorization": f"Bearer {token(airflow)}"})
    assert (status, "Nothing is known of the run manual__1 of some here." in text) == (404, True)
