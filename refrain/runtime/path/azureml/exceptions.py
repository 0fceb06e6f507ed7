"""Stand-in for azureml.exceptions inside a step: what a run or a model can raise."""

from refrain.runtime.errors import (
    ModelNotFoundException,
    ModelPathNotFoundException,
    RunEnvironmentException,
    UserErrorException,
)

__all__ = ["ModelNotFoundException", "ModelPathNotFoundException", "RunEnvironmentException", "UserErrorException"]
