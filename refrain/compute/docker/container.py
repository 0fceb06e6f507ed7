"""Container: a job in the language of a Docker engine, and what comes back from there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from refrain.compute.containers import environment
from refrain.compute.docker.client import LABEL
from refrain.compute.docker.settings import DockerSettings
from refrain.compute.job import Job

_NANO = 1_000_000_000


class Output:
    """What a container writes, in the order in which it arrives; taken in from before its start."""

    def __init__(self, client: Any, container_id: str) -> None:
        """Listen to a container by *client*."""
        self._socket = client.attach_socket(container_id, params={"stdout": 1, "stderr": 1, "stream": 1})

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the output in pieces, to its end, each with the number of its stream: 1 or 2.

        A piece ends where the process's write ended, not where its line did.
        """
        from docker.utils.socket import frames_iter

        yield from frames_iter(self._socket, tty=False)

    def close(self) -> None:
        """Stop listening."""
        # docker-py keeps the whole answer there, where it can.
        getattr(self._socket, "_response", self._socket).close()


def options(client: Any, job: Job, image: str, settings: DockerSettings) -> dict[str, Any]:
    """Return the arguments of ``create_container`` for a job.

    :param image: its id.
    """
    return {
        "image": image,
        # As the entry point, so that what the image starts by itself takes no part in it.
        "entrypoint": list(job.argv),
        "environment": environment(job),
        "working_dir": job.working_directory,
        "user": settings.user or f"{os.geteuid()}:{os.getegid()}",
        "labels": {LABEL: job.run_id},
        "stop_signal": "SIGTERM",
        "host_config": client.create_host_config(
            mounts=_mounts(job, settings),
            # The output goes to the run's log, and the engine need not keep it as well.
            log_config={"Type": "none"},
            init=settings.init or None,
            mem_limit=settings.memory or None,
            nano_cpus=round(settings.cpus * _NANO) or None,
            shm_size=settings.shm_size or None,
            network_mode=settings.network or None,
            device_requests=_gpus(settings.gpus),
            group_add=None if settings.user else [str(group) for group in os.getgroups()],
        ),
    }


def _mounts(job: Job, settings: DockerSettings) -> list[Any]:
    from docker.types import Mount

    paths = [(path.source, path.path, path.is_writable) for path in job.paths()]
    return [
        Mount(target, source, type="bind", read_only=not is_writable)
        for source, target, is_writable in (*paths, *settings.mounts)
    ]


def _gpus(wanted: str) -> list[Any] | None:
    from docker.types import DeviceRequest

    if not wanted:
        return None
    which: dict[str, Any] = {"device_ids": wanted.split(",")}
    if wanted == "all" or wanted.isdecimal():
        which = {"count": -1 if wanted == "all" else int(wanted)}
    return [DeviceRequest(driver="nvidia", capabilities=[["gpu"]], **which)]
