"""Stand-in for azureml_user.parallel_run inside a step."""

from refrain.runtime.parallel.entry_script import EntryScript

__all__ = ["EntryScript"]
