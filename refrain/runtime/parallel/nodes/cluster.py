"""Cluster: the nodes of a parallel run: has their hosts launched, lets them in, and notes who is gone."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time

from refrain.runtime.parallel.frames import Frames
from refrain.runtime.parallel.nodes.door import Door
from refrain.runtime.parallel.nodes.likeness import difference, likeness
from refrain.runtime.parallel.nodes.node import Node
from refrain.runtime.parallel.peer import MARK, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from refrain.runtime.parallel.crew import Crew
    from refrain.runtime.parallel.frames import Fields
    from refrain.runtime.parallel.logs import Logs
    from refrain.runtime.parallel.nodes.order import Order
    from refrain.runtime.parallel.places import Place
    from refrain.runtime.parallel.stream import Stream

_LAUNCHER = "refrain.runtime.parallel.nodes.dask_launcher"
_HOST = "refrain.runtime.parallel.nodes.host"
_EVERY_SECONDS = 0.1
_MOST_SECONDS = 1.0  # of silence from one look to the next; if more have passed, we were busy, and have not listened
_INTRODUCTION_SECONDS = 30.0
_HOST_WAITS = 2  # times as long as we do, so that we judge first
_ADDRESS = re.compile(r"(?:\w+://)?\[?(.+?)\]?:(\d+)/?")


class Caller:
    """A host that has proved to be one, and has not said yet who it is."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.since = time.monotonic()
        self.frames = Frames()  # with what it has said beyond its introduction

    def introduction(self) -> Fields | None:
        """Return what it says of itself; None as long as that has not come."""
        return next((fields for fields, _ in self.frames.feed(self.stream.read())), None)


class Cluster:
    """Other machines, as :class:`refrain.runtime.parallel.places.Places`.

    :param count: how many nodes are asked for.
    :param processes: how many workers each may have; None means one for each of its cores.
    :param folders: where nodes must be able to write.
    :param paths: what they must find besides.
    """

    def __init__(
        self,
        order: Order,
        count: int,
        processes: int | None,
        logs: Logs,
        folders: Sequence[str],
        paths: Sequence[str],
    ) -> None:
        self.now: List[Place] = []
        self._nodes: List[Node] = []
        self._order = order
        self._count = count
        self._processes = processes
        self._logs = logs
        self._folders = list(folders)
        self._paths = list(paths)
        self._callers: List[Caller] = []
        self._likeness = likeness()
        self._number = 0
        self._ended = 0
        self._reason = "none has come"
        self._looked = self._peopled = time.monotonic()
        self._closing = contextlib.ExitStack()

    def open(self, crew: Crew) -> None:
        """Have the hosts launched.

        :raises OSError: when this machine cannot be called.
        """
        self._crew = crew
        order, secret = self._order, os.urandom(32)
        address = order.dispatcher_host or _our_address(order)
        self._door = self._listen(address, secret)
        self._closing.callback(self._door.close)
        folder = tempfile.mkdtemp(prefix=".nodes-", dir=os.getcwd())
        self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "host.json")
        told = {
            "address": [address, self._door.port],
            "secret": secret.hex(),
            "certificates": order.certificates,
            "environment": {name: value for name, value in os.environ.items() if name != MARK},
            "folder": os.getcwd(),
            "logs": self._logs.folder,
            "marks": {self._mark(place, folder): folder for place in self._folders},
            "paths": self._paths,
            "patience": order.lost_seconds * _HOST_WAITS,
        }
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(told, file)
        self._launch(path, os.path.basename(folder))
        self._peopled = time.monotonic()

    @property
    def awaits(self) -> bool:
        """Whether another node may come: one that was lost may only have been silent."""
        return len(self._nodes) + self._ended < self._count

    def look(self) -> str:
        """Take in which nodes have come and gone; return why there is none and will be none."""
        now = time.monotonic()
        if now - self._looked < _EVERY_SECONDS and not any(node.lost for node in self._nodes):
            return ""
        listened = min(now - self._looked, _MOST_SECONDS)
        self._looked = now
        trouble = self._hear_launcher()
        self._let_in()
        for node in list(self._nodes):
            node.look_after(listened, self._order.lost_seconds)
            if node.lost:
                self._lose(node)
        if self._is_manned:
            self._peopled = now
        return trouble or self._hopeless()

    def close(self) -> None:
        """Let all hosts end, and take back what was launched."""
        for node in list(self._nodes):
            self._remove(node)
            node.leave()
        for caller in self._callers:
            caller.stream.close()
        self._closing.close()

    def _listen(self, address: str, secret: bytes) -> Door:
        certificates = self._order.certificates
        try:
            context = certificates.context(is_server=True) if certificates else None
        except OSError as error:
            raise OSError(f"{self._order.place}: its certificates cannot be used: {error}") from error
        try:
            return Door(address, secret, context)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise OSError(f"{self._order.place}: nodes cannot call {address!r}: {error.strerror}") from error
        any_address = "::" if ":" in address else "0.0.0.0"  # noqa: S104  # ours is translated on its way to the nodes
        return Door(any_address, secret, context)

    def _mark(self, place: str, token: str) -> str:
        """Put a file into a folder by which a node knows that it has the same one."""
        descriptor, path = tempfile.mkstemp(prefix=".nodes-", dir=place)
        self._closing.callback(_unlink, path)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(token)
        return path

    def _launch(self, path: str, name: str) -> None:
        order = self._order
        stdout, stderr = self._logs.streams("launcher", "launcher")
        with stdout, stderr:
            self._launcher = Peer([order.launcher, "-m", _LAUNCHER], "launcher", stdout, stderr)
        self._crew.watch(self._launcher.stream)
        self._closing.callback(self._end_launcher)
        variables = f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}"  # the engine's process keeps its own
        self._launcher.send({
            "do": "launch", "scheduler": order.scheduler, "certificates": order.certificates, "count": self._count,
            "name": f"refrain{name}", "resources": order.resources,
            "command": ["env", variables, order.python or sys.executable, "-m", _HOST, path],
        })  # fmt: skip

    def _end_launcher(self) -> None:
        if self._launcher.is_open:
            self._crew.forget(self._launcher.stream)
        self._launcher.end()

    def _hear_launcher(self) -> str:
        if not self._launcher.is_open:
            return ""
        trouble = "".join([self._take(fields["is"], fields["text"]) for fields, _ in self._launcher.receive()])
        if not self._launcher.is_open:
            self._crew.forget(self._launcher.stream)
            self._launcher.end()
            tail = " ".join(self._logs.tail("launcher", "launcher"))
            trouble = (
                trouble or f"the process that launches nodes is gone: {self._launcher.ending or 'unknown'}. {tail}"
            )
        return trouble

    def _take(self, kind: str, text: str) -> str:
        if kind == "trouble":
            return (
                f"{self._order.place} cannot be used: {text}. Start its scheduler, or correct the address with: "
                f"refrain compute set {self._order.target} dask scheduler=tcp://HOST:PORT"
            )
        if kind == "ended":
            self._ended += 1
        else:
            self._logs.note(text)
            self._peopled = time.monotonic()  # from now on somebody could come
        if kind == "ended" and text:
            self._complain(f"A host was given up: {text}")
        return ""

    def _complain(self, text: str) -> None:
        self._reason = text
        self._logs.say(text)

    def _let_in(self) -> None:
        while self._door.arrived:
            self._callers.append(Caller(self._door.arrived.popleft()))
        for caller in list(self._callers):
            hello = caller.introduction()
            if hello is not None:
                self._callers.remove(caller)
                self._meet(caller, hello)
            elif not caller.stream.is_open or time.monotonic() - caller.since > _INTRODUCTION_SECONDS:
                self._callers.remove(caller)
                caller.stream.close()

    def _meet(self, caller: Caller, hello: Fields) -> None:
        """Take a node into the crew, unless the results would not be those of this machine."""
        name = f"{self._number:03}"
        self._number += 1
        node = Node(name, hello["host"], self._processes or hello["cores"], caller.stream, caller.frames)
        other = difference(self._likeness, hello["likeness"])
        trouble = hello["trouble"] or (other and f"its interpreter differs: {other}")
        if trouble:
            self._complain(f"Node {name} ({node.title}) cannot be used: {trouble}")
            node.leave()
            return
        self._nodes.append(node)
        self.now.append(node)
        self._crew.join(node)
        self._logs.say(f"Node {name} is {node.title}: {node.size} worker processes")

    def _lose(self, node: Node) -> None:
        """Give a node up. If it lives, its host is not done, but sees the connection end, and is started again."""
        self._remove(node)
        node.stream.close()
        self._complain(f"Node {node.name} ({node.title}) is lost: {node.lost}; what it had is given to others")

    def _remove(self, node: Node) -> None:
        self._crew.forget(node.stream)
        self._nodes.remove(node)
        self.now.remove(node)

    @property
    def _is_manned(self) -> bool:
        """Whether there is a node that has workers, or may have some."""
        return any(node.size or node.taken for node in self._nodes)

    def _hopeless(self) -> str:
        waited = time.monotonic() - self._peopled
        if self._is_manned or self._callers or self._door.arrived:
            return ""
        if self._ended >= self._count:
            return f"{self._order.place} has no node left. {self._reason}"
        if waited > self._order.start_seconds:
            return f"{self._order.place} has had no node for {self._order.start_seconds:g} seconds. {self._reason}"
        return ""


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _our_address(order: Order) -> str:
    """Return the address of this machine on the way to the scheduler.

    :raises OSError: when there is no such way.
    """
    match = _ADDRESS.fullmatch(order.scheduler)
    try:
        host, port = match.groups() if match else ("", "0")
        family, kind, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise OSError(f"{order.place}: there is no way to it from here: {error}") from error
