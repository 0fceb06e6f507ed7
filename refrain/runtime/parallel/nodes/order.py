"""Order: which cluster the nodes of a parallel run are on; the compute target says it in an environment variable."""

from __future__ import annotations

import json
import os
from typing import NamedTuple, Optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, Dict, MutableMapping

VARIABLE = "REFRAIN_NODES"
"""The environment variable."""


class Certificates(NamedTuple):
    """Files that the scheduler, the nodes and this machine know each other by, at the same paths on all of them."""

    authority: str
    certificate: str
    key: str

    def context(self, *, is_server: bool) -> ssl.SSLContext:
        """Return what encrypts a connection; both ends must have a certificate of the authority.

        As with the engine's own connections, it counts who signed a certificate, and not for which host.

        :raises OSError: when a file is not there or is none.
        """
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Order(NamedTuple):
    """What the compute target says.

    :param target: its name.
    :param scheduler: the address of the engine's scheduler.
    :param launcher: the interpreter that has the engine's client.
    :param python: the interpreter of the nodes, where it is at another path than the step's.
    :param dispatcher_host: how nodes reach this machine; None means the address that the scheduler sees.
    :param resources: what the engine must find on a node.
    :param start_seconds: how long there may be no node at all.
    :param lost_seconds: how long nothing may be heard of a node.
    """

    target: str
    scheduler: str
    launcher: str
    python: Optional[str] = None  # evaluated on Python 3.8
    dispatcher_host: Optional[str] = None
    certificates: Optional[Certificates] = None
    resources: Optional[Dict[str, float]] = None
    start_seconds: float = 600.0
    lost_seconds: float = 30.0

    @property
    def place(self) -> str:
        """What people call it."""
        return f"compute target {self.target!r} (Dask at {self.scheduler})"


def take_order(environ: MutableMapping[str, str] = os.environ) -> Order:
    """Return what the compute target says, and keep it from processes that are started later."""
    told: Dict[str, Any] = json.loads(environ.pop(VARIABLE))
    files = told.pop("certificates", None)
    return Order(**told, certificates=Certificates(*files) if files else None)
