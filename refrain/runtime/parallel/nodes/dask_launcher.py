"""Dask launcher: the process beside the dispatcher that has Dask run a host on each node.

It is run by an interpreter that has ``distributed``, which the step's need not have. Dask runs a function of the
standard library, so that its workers need nothing of ours. Dispatcher to launcher: ``{"do": "launch", ...}`` once.
Launcher to dispatcher::

    {"is": "note", "text": "..."}       what is going on
    {"is": "ended", "text": "..."}      a host has ended for good; the text says why, if it should not have
    {"is": "trouble", "text": "..."}    there will be no host
"""

from __future__ import annotations

import subprocess
import sys

from refrain.runtime.parallel.line import Line, begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from refrain.runtime.parallel.frames import Fields

_CONNECT_SECONDS = 10
_RETRIES = 3  # of a host that could not start, or was given up; Dask itself counts workers that died under it
_TAIL = 500


def main() -> None:
    """Launch, and tell what becomes of the hosts, until the dispatcher ends this process."""
    line, messages, order = begin()
    try:
        client = _client(order)
    except Exception as error:  # noqa: BLE001  # whatever Dask raises, the dispatcher tells the user
        line.say({"is": "trouble", "text": _reason(error)})
        return
    try:
        _launch(client, order, line)
        next(messages, None)
    finally:
        client.close()


def _client(order: Fields) -> Any:
    from distributed import Client
    from distributed.security import Security

    files = order["certificates"]
    security = None
    if files:
        names = {"tls_ca_file": files[0], "tls_client_cert": files[1], "tls_client_key": files[2]}
        security = Security(**names, require_encryption=True)
    return Client(order["scheduler"], timeout=_CONNECT_SECONDS, security=security, set_as_default=False)


def _launch(client: Any, order: Fields, line: Line) -> None:
    from distributed import as_completed

    workers = client.scheduler_info(n_workers=-1)["workers"]
    line.say({"is": "note", "text": f"Dask has {len(workers)} workers now; {order['count']} hosts are asked for"})
    futures = [
        client.submit(
            subprocess.run,
            order["command"],
            check=True,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            key=f"{order['name']}-{number}",
            pure=False,
            retries=_RETRIES,
            resources=order["resources"],
        )
        for number in range(order["count"])
    ]
    for future in as_completed(futures, loop=client.loop):
        line.say({"is": "ended", "text": "" if future.status == "finished" else _reason(future.exception())})


def _reason(error: BaseException | None) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or b"").decode("utf-8", "replace").strip()
        return f"the host ended with exit code {error.returncode}: {said[-_TAIL:]}"
    if isinstance(error, ImportError):
        return f"the interpreter {sys.executable} has no Dask ({error}): pip install 'refrain[dask]'"
    return f"{type(error).__name__}: {str(error)[:_TAIL]}"


if __name__ == "__main__":
    main()
