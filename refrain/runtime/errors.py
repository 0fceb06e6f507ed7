"""Errors that a script can meet when it uses its run, under the names that Azure ML gave them."""

from __future__ import annotations


class RunException(Exception):
    """Base of every error that a run raises inside a script."""

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self)


class UserErrorException(RunException, ValueError):
    """The script gave a run something that it cannot take."""


class RunEnvironmentException(RunException, RuntimeError):
    """The process is not a step of a pipeline run, or its context cannot be read."""


class ModelNotFoundException(UserErrorException, LookupError):
    """No registered model has the name, the version or the labels that were asked for."""


class ModelPathNotFoundException(UserErrorException, FileNotFoundError):
    """Nothing is at the path that a model is to be registered from."""


class ArtifactNotFoundException(UserErrorException, FileNotFoundError):
    """A file to upload or an artifact to download does not exist."""
