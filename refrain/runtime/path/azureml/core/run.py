"""Stand-in for azureml.core.run inside a step."""

from refrain.runtime.run import Run, _OfflineRun

__all__ = ["Run", "_OfflineRun"]
