"""Distribution: how many processes of one step run side by side, and how they find each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class MpiConfiguration:
    """Processes that talk by MPI: ``process_count_per_node`` of them."""

    process_count_per_node: int = 1
    node_count: int = 1


@dataclass
class PyTorchConfiguration:
    """Processes of ``torch.distributed``.

    :param communication_backend: for the script to choose by; Refrain does not look at it.
    :param process_count: how many; None means one for each node.
    """

    communication_backend: str = "Nccl"
    process_count: int | None = None
    node_count: int = 1


@dataclass
class TensorflowConfiguration:
    """Workers and parameter servers of TensorFlow."""

    worker_count: int = 1
    parameter_server_count: int = 1


DistributedJob = MpiConfiguration | PyTorchConfiguration | TensorflowConfiguration
