"""The REST client against a server of ten lines: signing in, pages, refusals, logs."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from refrain.errors import AirflowRequestError, AirflowUnreachableError, DagImportError, UserError
from refrain_operators.rest import AirflowClient

Answer = Callable[[dict[str, list[str]], Any], tuple[int, Any]]


def _token(expires_in: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + expires_in}).encode()).rstrip(b"=")
    return f"head.{payload.decode()}.signature"


@dataclass
class FakeAirflow:
    """Answers by "METHOD /path"; a list of requests is its memory."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    lifetime: float = 3600

    def on(self, request: str, body: Any, status: int = 200) -> None:
        self.answers[request] = lambda _query, _body: (status, body)

    def client(self) -> AirflowClient:
        return AirflowClient(self.url, username="ada", password="secret-word")


@pytest.fixture
def server() -> Iterator[FakeAirflow]:
    fake = FakeAirflow("")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.seen.append((f"{self.command} {parts.path}", self.headers.get("Authorization") or ""))
            if parts.path == "/auth/token":
                status, body = 201, {"access_token": _token(fake.lifetime)}
            else:
                missing: Answer = lambda _query, _body: (404, {"detail": "no such thing"})  # noqa: E731
                answer = fake.answers.get(f"{self.command} {parts.path.removeprefix('/api/v2')}", missing)
                status, body = answer(parse_qs(parts.query), json.loads(text or b"null"))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", "http://elsewhere.invalid/")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        fake.url = f"http://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield fake
        http.shutdown()


def test_it_signs_in_once_for_many_requests(server: FakeAirflow) -> None:
    server.on("GET /dags/a", {"dag_id": "a"})
    client = server.client()
    assert [client.dag("a"), client.dag("a")] == [{"dag_id": "a"}] * 2
    assert [request for request, _ in server.seen].count("POST /auth/token") == 1


def test_a_token_is_renewed_before_it_expires(server: FakeAirflow) -> None:
    server.lifetime = 30
    server.on("GET /dags/a", {})
    client = server.client()
    client.dag("a")
    client.dag("a")
    assert [request for request, _ in server.seen].count("POST /auth/token") == 2


def test_a_token_that_the_server_forgot_is_renewed(server: FakeAirflow) -> None:
    answers = iter([(401, {"detail": "Invalid JWT token"}), (200, {"dag_id": "a"})])
    server.answers["GET /dags/a"] = lambda _query, _body: next(answers)
    assert server.client().dag("a") == {"dag_id": "a"}


def test_a_given_token_is_used_as_it_is(server: FakeAirflow) -> None:
    server.on("GET /dags/a", {})
    AirflowClient(server.url, token="abc").dag("a")
    assert server.seen == [("GET /api/v2/dags/a", "Bearer abc")]


def test_health_needs_no_sign_in(server: FakeAirflow) -> None:
    server.on("GET /monitor/health", {"scheduler": {"status": "healthy"}})
    assert server.client().health()["scheduler"]["status"] == "healthy"
    assert server.seen == [("GET /api/v2/monitor/health", "")]


def test_a_list_is_read_to_its_last_page(server: FakeAirflow) -> None:
    everything = [{"task_id": f"t{number}"} for number in range(250)]

    def page(query: dict[str, list[str]], _body: Any) -> tuple[int, Any]:
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        return 200, {"task_instances": everything[offset : offset + limit], "total_entries": len(everything)}

    server.answers["GET /dags/a/dagRuns/r/taskInstances"] = page
    assert server.client().task_instances("a", "r") == everything


def test_names_are_quoted_in_the_path(server: FakeAirflow) -> None:
    server.on("GET /dags/a/dagRuns/manual__2026-01-01T00%3A00%3A00%2B00%3A00", {"state": "success"})
    assert server.client().dag_run("a", "manual__2026-01-01T00:00:00+00:00") == {"state": "success"}


def test_a_refusal_names_the_request_the_status_and_the_reason(server: FakeAirflow) -> None:
    server.on("GET /dags/a", {"detail": "Dag with id: a was not found"}, status=404)
    with pytest.raises(
        AirflowRequestError, match=r"refused GET /api/v2/dags/a: 404 Not Found. It says: Dag with id: a was"
    ) as caught:
        server.client().dag("a")
    assert (caught.value.status, caught.value.detail) == (404, "Dag with id: a was not found")


LOCKED = {"detail": {"reason": "Database error", "statement": "hidden", "message": "Serious error"}}


def test_a_request_that_met_a_locked_database_is_sent_again(
    server: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    answers = [(500, LOCKED), (500, LOCKED), (200, {"dag_id": "a"})]
    server.answers["GET /dags/a"] = lambda _query, _body: answers.pop(0)
    assert server.client()._json("GET", "/dags/a") == {"dag_id": "a"}
    assert pauses == [0.2, 0.4]


def test_a_database_that_stays_locked_is_told(server: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    server.on("GET /dags/a", LOCKED, status=500)
    with pytest.raises(AirflowRequestError, match="Database error"):
        server.client()._json("GET", "/dags/a")
    assert [request for request, _ in server.seen].count("GET /api/v2/dags/a") == 6


def test_another_error_of_the_server_is_told_at_once(server: FakeAirflow) -> None:
    server.on("GET /dags/a", {"detail": "out of order"}, status=500)
    with pytest.raises(AirflowRequestError, match="out of order"):
        server.client()._json("GET", "/dags/a")
    assert [request for request, _ in server.seen].count("GET /api/v2/dags/a") == 1


def test_a_refusal_names_each_field_that_is_wrong(server: FakeAirflow) -> None:
    detail = [{"loc": ["body", "conf"], "msg": "Input should be a valid dictionary", "type": "dict_type"}]
    server.on("POST /dags/a/dagRuns", {"detail": detail}, status=422)
    with pytest.raises(AirflowRequestError, match=r"422 .*body\.conf: Input should be a valid dictionary"):
        server.client().trigger("a")


def test_a_wrong_password_is_told_without_showing_it(server: FakeAirflow) -> None:
    server.on("GET /dags/a", {"detail": "Invalid credentials"}, status=401)
    with pytest.raises(AirflowRequestError, match=r"401 .*check the user name and the password") as caught:
        server.client().dag("a")
    assert "secret-word" not in str(caught.value) + repr(server.client())


def test_a_redirect_is_not_followed_with_the_token(server: FakeAirflow) -> None:
    server.on("GET /dags/a", b"", status=302)
    with pytest.raises(AirflowRequestError, match="302"):
        server.client().dag("a")


def test_an_answer_that_is_not_json_makes_the_address_suspect(server: FakeAirflow) -> None:
    server.on("GET /dags/a", b"<html>hello</html>")
    with pytest.raises(AirflowRequestError, match=r"not JSON, so this is hardly an Airflow. Check the address.*<html>"):
        server.client().dag("a")


def test_nobody_at_the_address_is_told_with_the_way_out() -> None:
    client = AirflowClient("http://127.0.0.1:9", username="ada", password="secret-word")
    with pytest.raises(
        AirflowUnreachableError, match=r"No answer from Airflow at http://127\.0\.0\.1:9 .*refused.*make up"
    ):
        client.dag("a")


@pytest.mark.parametrize("url", ["ftp://host", "host:8080", "http://ada:secret-word@host"])
def test_an_address_that_is_none_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UserError, match=r"is no address of an Airflow\. Write it like http://127") as caught:
        AirflowClient(url)
    assert "secret-word" not in str(caught.value)


def test_half_a_sign_in_is_refused() -> None:
    with pytest.raises(UserError, match="both a username and a password"):
        AirflowClient("http://127.0.0.1:8080", username="ada")


def test_a_dag_whose_file_cannot_be_imported_fails_with_its_traceback(server: FakeAirflow) -> None:
    error = {"filename": "a.py", "stack_trace": "Traceback ...\nValueError: no\n"}
    server.on("GET /importErrors", {"import_errors": [error], "total_entries": 1})
    with pytest.raises(DagImportError, match=r"(?s)file of the DAG 'a'\. a\.py:\nTraceback.*ValueError: no$"):
        server.client().wait_for_dag("a")


def test_a_dag_that_never_appears_is_told_with_the_errors_of_other_files(server: FakeAirflow) -> None:
    error = {"filename": "other.py", "stack_trace": "ValueError: no"}
    server.on("GET /importErrors", {"import_errors": [error], "total_entries": 1})
    with pytest.raises(DagImportError, match=r"(?s)not read the DAG 'a' within 0\.1 s.*other\.py:\nValueError: no"):
        server.client().wait_for_dag("a", timeout=0.1)


def test_a_known_dag_is_read_again_before_it_counts(server: FakeAirflow) -> None:
    times = iter(["first", "first", "second"])
    server.answers["GET /dags/a"] = lambda _query, _body: (
        200,
        {"is_stale": False, "last_parsed_time": next(times), "file_token": "token", "relative_fileloc": "a.py"},
    )
    server.on("PUT /parseDagFile/token", None, status=201)
    server.on("GET /importErrors", {"import_errors": [], "total_entries": 0})
    assert server.client().wait_for_dag("a")["last_parsed_time"] == "second"


def test_a_run_that_does_not_end_names_its_tasks(server: FakeAirflow) -> None:
    server.on("GET /dags/a/dagRuns/r", {"state": "running"})
    tasks = [{"task_id": "train", "state": "queued"}]
    server.on("GET /dags/a/dagRuns/r/taskInstances", {"task_instances": tasks, "total_entries": 1})
    with pytest.raises(TimeoutError, match=r"Run 'r' of the DAG 'a' is still running after 0 s \(train queued\)"):
        server.client().wait_for_run("a", "r", timeout=0)


def test_a_log_is_text_with_the_tracebacks_in_it(server: FakeAirflow) -> None:
    frames = [{"filename": "dag.py", "lineno": 7, "name": "fail"}]
    entries = [
        {"event": "::group::Log message source details", "sources": ["/logs/a"]},
        {"event": "/logs/a"},
        {"event": "::endgroup::"},
        {"event": "two\nlines"},
        {"event": "Task failed", "error_detail": [{"exc_type": "ValueError", "exc_value": "no", "frames": frames}]},
        "plain",
    ]
    server.on("GET /dags/a/dagRuns/r/taskInstances/t", {"try_number": 2})
    server.on("GET /dags/a/dagRuns/r/taskInstances/t/logs/2", {"content": entries, "continuation_token": None})
    assert server.client().task_log("a", "r", "t") == [
        "two",
        "lines",
        "Task failed",
        '  File "dag.py", line 7, in fail',
        "ValueError: no",
        "plain",
    ]


def test_clearing_is_no_dry_run(server: FakeAirflow) -> None:
    bodies: list[Any] = []

    def clear(_query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        bodies.append(body)
        return 200, {"task_instances": [{"task_id": "t"}]}

    server.answers["POST /dags/a/clearTaskInstances"] = clear
    assert server.client().clear_task_instances("a", "r", ["t", ("mapped", 3)]) == [{"task_id": "t"}]
    assert (bodies[0]["dry_run"], bodies[0]["task_ids"]) == (False, ["t", ["mapped", 3]])
