"""Variables: what a process gets of the environment variables of its machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

PASSED_ON = (
    "HOME", "USER", "LOGNAME", "TMPDIR",
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""What a process needs of its machine: its user, its devices and its network; nothing that a result is made of."""

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def of_this_machine(
    interpreter: str, more: Iterable[str] = (), environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables of a process of this machine; its interpreter's folder comes first on its ``PATH``.

    :param more: names of variables that a process of its kind gets besides.
    """
    folder = Path(interpreter).parent
    path = os.pathsep.join((str(folder), environ.get("PATH", _DEFAULT_PATH)))
    # Libraries of conda's look for their own files there.
    conda = {"CONDA_PREFIX": str(folder.parent)} if (folder.parent / "conda-meta").is_dir() else {}
    return {**{name: environ[name] for name in (*PASSED_ON, *more) if name in environ}, **conda, "PATH": path}
