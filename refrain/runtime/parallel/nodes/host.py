"""Host: the process on a node that starts worker processes there, and passes on what they and the dispatcher say.

``python -m refrain.runtime.parallel.nodes.host FILE``, run by the distributed engine. The file is private to the
run's user, in a folder that the nodes share with the dispatcher's machine; it says where the dispatcher is, the secret,
and what the workers' environment is, so that none of it goes through the engine. When the dispatcher is silent, or the
engine's process ends, the host ends everything here.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from refrain.runtime.parallel.frames import Frames, frame
from refrain.runtime.parallel.lifeline import die_with, noted_sigterm, unwind_on_sigterm
from refrain.runtime.parallel.logs import Logs
from refrain.runtime.parallel.nodes.handshake import StrangerError, greet_dispatcher
from refrain.runtime.parallel.nodes.likeness import likeness
from refrain.runtime.parallel.nodes.node import BEAT_SECONDS
from refrain.runtime.parallel.nodes.order import Certificates
from refrain.runtime.parallel.places import start_worker
from refrain.runtime.parallel.settings import cores
from refrain.runtime.parallel.stream import Stream
from refrain.runtime.parallel.switchboard import Switchboard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from refrain.runtime.parallel.frames import Fields
    from refrain.runtime.parallel.peer import Peer

_OF_THE_MACHINE = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "TMPDIR")
_CONNECT_SECONDS = 10.0
_TICK_SECONDS = 0.2


class Host:
    """The worker processes of one node.

    :param environment: their variables.
    :param patience: after how many seconds of silence the dispatcher is gone.
    """

    def __init__(self, stream: Stream, environment: Dict[str, str], logs: Logs, patience: float) -> None:
        self._stream = stream
        self._frames = Frames()
        self._environment = environment
        self._logs = logs
        self._patience = patience
        self._switchboard = Switchboard()
        self._switchboard.add(stream, "")
        self._peers: Dict[str, Peer] = {}
        self._heard = self._beaten = time.monotonic()
        self._is_dismissed = False

    def work(self) -> int:
        """Work until the dispatcher says so; return 0 then, and 1 when it is gone."""
        with noted_sigterm() as ended:
            try:
                while not self._is_dismissed and not ended:
                    for name in self._switchboard.heard(_TICK_SECONDS):
                        if name:
                            self._pass_back(name)
                        else:
                            self._hear()
                    self._look_after()
                    if not self._stream.is_open or time.monotonic() - self._heard > self._patience:
                        return 1
                return 0
            finally:
                for peer in self._peers.values():
                    peer.rest()

    def _hear(self) -> None:
        """Do what the dispatcher says."""
        self._heard = time.monotonic()
        for fields, content in self._frames.feed(self._stream.read()):
            do, name = fields["do"], fields.get("of", "")
            if do == "hire":
                self._peers[name] = start_worker(name, fields["node"], self._logs, self._environment)
                self._switchboard.add(self._peers[name].stream, name)
            elif do == "leave":
                self._is_dismissed = True
            elif name in self._peers:
                self._order(do, name, content)

    def _order(self, do: str, name: str, content: bytes) -> None:
        if do == "end":
            self._end(name)
        elif do == "pass":
            self._peers[name].stream.pass_on(content)
            self._peers[name].flush()

    def _pass_back(self, name: str) -> None:
        """Pass on what a worker has said."""
        data = self._peers[name].stream.read()
        if data:
            self._stream.put({"is": "said", "of": name}, data)
        if not self._peers[name].is_open:
            self._end(name)
        self._stream.flush()

    def _end(self, name: str) -> None:
        """See that a worker is gone, and tell how."""
        peer = self._peers.pop(name)
        self._switchboard.remove(peer.stream)
        data = peer.rest()
        if data:
            self._stream.put({"is": "said", "of": name}, data)
        self._stream.put({"is": "ended", "of": name, "how": peer.ending})
        self._stream.flush()

    def _look_after(self) -> None:
        for name in [name for name, peer in self._peers.items() if peer.is_gone]:
            self._end(name)
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self._beaten = time.monotonic()
            self._stream.put({"is": "here"})
            self._stream.flush()


def main() -> int:
    """Work for the dispatcher that the file names; return 0 unless somebody else should try in our place."""
    die_with(os.getppid())
    unwind_on_sigterm()
    here = os.uname().nodename
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            told = json.load(file)
    except OSError as error:
        return _say(
            f"{here} does not find {sys.argv[1]!r} ({error.strerror}): nodes must share the folders of the "
            "step with the machine that runs it, at the same paths and for the same user"
        )
    try:
        connection = _connected(told)
    except (OSError, StrangerError) as error:
        place = "{}:{}".format(*told["address"])
        return _say(f"{here} cannot reach the dispatcher at {place} ({error}); see the setting dispatcher_host")
    trouble = _trouble(told)
    hello = {"is": "node", "host": here, "cores": cores(), "trouble": trouble, "likeness": likeness()}
    connection.sendall(frame(hello))
    if trouble:
        return 0
    os.chdir(told["folder"])
    return Host(Stream(connection), _environment(told), Logs(told["logs"]), told["patience"]).work()


def _connected(told: Fields) -> Any:
    connection = socket.create_connection(tuple(told["address"]), _CONNECT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if told["certificates"]:
        connection = Certificates(*told["certificates"]).context(is_server=False).wrap_socket(connection)
    greet_dispatcher(connection, bytes.fromhex(told["secret"]), _CONNECT_SECONDS)
    connection.settimeout(_CONNECT_SECONDS)
    return connection


def _trouble(told: Fields) -> str:
    """Say what the workers would miss here; an empty text when they miss nothing."""
    for path, token in told["marks"].items():
        try:
            with open(path, encoding="ascii") as file:
                is_shared = file.read() == token
        except OSError:
            is_shared = False
        if not is_shared or not os.access(os.path.dirname(path), os.W_OK):
            return f"{os.path.dirname(path)!r} is not the same folder there, or cannot be written to"
    missing = [path for path in told["paths"] if not os.path.exists(path)]
    return f"{missing[0]!r} is not there" if missing else ""


def _environment(told: Fields) -> dict[str, str]:
    """Return the workers' variables: those of the step, but for what is different on each machine."""
    of_the_step = {name: value for name, value in told["environment"].items() if name not in _OF_THE_MACHINE}
    return {**of_the_step, **{name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ}}


def _say(text: str) -> int:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # the engine brings it to the dispatcher
    return 1


if __name__ == "__main__":
    sys.exit(main())
