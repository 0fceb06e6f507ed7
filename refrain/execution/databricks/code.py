"""Code: the notebook, script or JARs of a step that are kept on Databricks, and what they are now."""

from __future__ import annotations

import json

from refrain.compute.computes import Computes
from refrain.compute.databricks.channel import open_channel
from refrain.compute.databricks.service import DBFS, Databricks
from refrain.compute.databricks.settings import DatabricksSettings
from refrain.errors import DatabricksRefusedError, DataNotFoundError
from refrain.steps.command import Literal
from refrain.steps.databricks import NOTEBOOK, SCRIPT_ON_DATABRICKS
from refrain.steps.definition import StepDefinition


def identities(step: StepDefinition, computes: Computes) -> dict[str, str]:
    """Return the digest of each piece of code that Databricks keeps, by its path.

    What such code imports or runs in its turn is not seen. A library on another storage counts by its address alone.

    :raises DataNotFoundError: when one is not there.
    :raises DatabricksError: when Databricks cannot be asked.
    """
    paths = _paths(step)
    if not paths:
        return {}
    settings = DatabricksSettings.of(computes.target(step.compute), step)
    service = Databricks(open_channel(settings.conn_id))
    return {path: _digest(path, step, service) for path in sorted(paths)}


def _paths(step: StepDefinition) -> set[str]:
    texts = {name: token.text for name, token in step.parameters if isinstance(token, Literal)}
    paths = [texts[name] for name in (NOTEBOOK, SCRIPT_ON_DATABRICKS) if name in texts]
    libraries = [library.get(kind) for library in json.loads(texts.get("libraries", "[]")) for kind in ("jar", "egg")]
    paths += [f"dbfs:{path.removeprefix('/dbfs')}" if path.startswith("/dbfs/") else path for path in libraries if path]
    return {path for path in paths if path.startswith((DBFS, "/"))}


def _digest(path: str, step: StepDefinition, service: Databricks) -> str:
    try:
        return service.code_digest(path)
    except DatabricksRefusedError as error:
        if error.status == 404 or "NOT_EXIST" in error.code:
            raise DataNotFoundError(
                f"Step {step.name!r}: there is no {path!r} on Databricks at {service.host}. Put it there, or correct "
                "the path in the step."
            ) from error
        raise
