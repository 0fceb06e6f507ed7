from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from fakes.certificates import certificates
from refrain.runtime.parallel.nodes.order import Certificates, take_order


def test_an_order_is_taken_so_that_no_worker_sees_it() -> None:
    told = {"target": "t", "scheduler": "tcp://h:1", "launcher": "python", "certificates": ["a", "b", "c"]}
    environ = {"REFRAIN_NODES": json.dumps(told)}
    order = take_order(environ)
    assert (order.place, order.certificates) == ("compute target 't' (Dask at tcp://h:1)", Certificates("a", "b", "c"))
    assert environ == {}


@pytest.mark.parametrize("is_known", [True, False])
def test_only_who_has_a_certificate_of_the_authority_is_spoken_to(tmp_path: Path, is_known: bool) -> None:
    ours = Certificates(*map(str, certificates(tmp_path / "ours")))
    theirs = ours if is_known else Certificates(*map(str, certificates(tmp_path / "theirs")))
    said: list[bytes] = []
    ends = socket.socketpair()

    def serve() -> None:
        try:
            with ours.context(is_server=True).wrap_socket(ends[0], server_side=True) as end:
                said.append(end.recv(10))
        except OSError:
            ends[0].close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with theirs.context(is_server=False).wrap_socket(ends[1]) as end:
            end.sendall(b"hello")
    except OSError:
        ends[1].close()
    thread.join()
    assert said == ([b"hello"] if is_known else [])


def test_certificates_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Certificates(*[str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem")]).context(is_server=True)
