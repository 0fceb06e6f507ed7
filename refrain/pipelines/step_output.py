"""What a step run left, by name."""

from __future__ import annotations

from dataclasses import dataclass

from refrain.data.port_data import PortDataReference


@dataclass(frozen=True)
class StepRunOutput:
    """One output of a step run."""

    name: str
    reference: PortDataReference

    def get_port_data_reference(self) -> PortDataReference:
        """Return the output's data."""
        return self.reference
