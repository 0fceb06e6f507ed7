"""The connection to a Docker engine, and what is said when there is none."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from refrain.compute.docker.settings import Engine
from refrain.errors import ComputeError, UserError
from refrain.storage.connections import connection

LABEL = "refrain.run_id"
"""The label of a container that names its step run."""

_SECONDS = 60
_CONFLICT = 409
_PAUSE = 0.05


def connect(engine: Engine) -> Any:
    """Return a client of an engine that answers: docker-py's ``APIClient``.

    :raises ComputeError: when it does not answer, or a registry does not let us in.
    :raises UserError: when the package ``docker`` is not installed.
    :raises UnknownNameError: when there is no such connection.
    """
    try:
        import docker  # noqa: F401  # so that its lack has one message
    except ImportError as error:
        raise UserError(
            "Containers need the package 'docker': pip install docker (on Airflow: pip install 'refrain[docker]')."
        ) from error
    with answering(engine):
        _knock(str(engine))
        return _connect[0](engine)


def by_docker_py(engine: Engine) -> Any:
    """Connect with nothing but docker-py."""
    from docker import APIClient

    client = APIClient(base_url=str(engine), tls=tls(engine), version="auto", timeout=_SECONDS)
    if engine.conn_id:
        _log_in(client, engine.conn_id)
    return client


def _log_in(client: Any, conn_id: str) -> None:
    from docker.errors import APIError

    registry = connection(conn_id)
    address = f"{registry.host}:{registry.port}" if registry.port else registry.host
    try:
        client.login(username=registry.login, password=registry.password, registry=address)
    except APIError as error:
        client.close()
        raise ComputeError(
            f"The registry {address!r} does not let the connection {conn_id!r} in: {refusal(error)}. Correct its host, "
            "login and password."
        ) from error


def _knock(address: str) -> None:
    """Fail as the system does where nobody listens; docker-py would wrap that many times, and leave sockets open."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address.removeprefix("unix://"))


def tls(engine: Engine) -> Any:
    """Return docker-py's settings for an engine's certificates; False for one without.

    Those of an engine that ``DOCKER_HOST`` names are where ``DOCKER_CERT_PATH`` says.
    """
    if not engine.address:
        from docker.utils import kwargs_from_env

        return kwargs_from_env().get("tls") or False
    if not engine.certificates:
        return False
    from docker.tls import TLSConfig

    authority, certificate, key = (os.path.join(engine.certificates, f"{name}.pem") for name in ("ca", "cert", "key"))
    return TLSConfig(client_cert=(certificate, key), ca_cert=authority, verify=True)


_connect: list[Callable[[Engine], Any]] = [by_docker_py]


def set_connect(function: Callable[[Engine], Any]) -> None:
    """Let *function* make the clients from now on, in this process."""
    _connect[0] = function


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Turn what docker-py raises into our errors.

    :raises ComputeError: when the engine does not answer, or refuses.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise ComputeError(f"The Docker engine at {engine} refuses: {refusal(error)}.") from error
    except (DockerException, RequestException, OSError) as error:
        raise ComputeError(_silence(engine, error)) from error


def refusal(error: Any) -> str:
    """Return the reason that an engine gives, without a full stop."""
    return str(error.explanation or error).strip().rstrip(".")


def remove_run(client: Any, run_id: str) -> int:
    """Remove the containers of a step run, running or not; return how many there were."""
    found = client.containers(all=True, filters={"label": f"{LABEL}={run_id}"})
    for container in found:
        _remove(client, container["Id"])
    return len(found)


def _remove(client: Any, container_id: str) -> None:
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            client.remove_container(container_id, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.response.status_code != _CONFLICT:
                raise
            time.sleep(_PAUSE)  # somebody else is removing it


def _silence(engine: Engine, error: BaseException) -> str:
    cause = _os_error(error)
    if isinstance(cause, PermissionError):
        return (
            f"The Docker engine at {engine} does not let this user in: {cause.strerror}. Add the user to the group "
            "that owns the socket (usually docker), or name another engine with the target's setting engine."
        )
    reason = cause.strerror if cause is not None and cause.strerror else error
    return (
        f"The Docker engine at {engine} does not answer: {reason}. Start it, or name another with the target's "
        "setting engine (refrain compute set)."
    )


def _os_error(error: BaseException) -> OSError | None:
    """Find what the system said below what libraries made of it."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        at = waiting.pop()
        if not isinstance(at, BaseException) or at in seen:
            continue
        if isinstance(at, OSError) and at.errno is not None:
            return at
        seen.append(at)
        waiting += [at.__cause__, at.__context__, *at.args]
    return None
