"""Stand-in for azureml.core.model inside a step."""

from refrain.runtime.models import Model

__all__ = ["Model"]
