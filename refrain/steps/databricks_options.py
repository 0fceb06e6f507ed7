"""Databricks options: what is passed through to the Jobs API as it is, checked and put into a request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from refrain.errors import UserError
from refrain.storage.connections import is_secret_name

TASK = "task"
NEW_CLUSTER = "new_cluster"
_OURS = ("idempotency_token", "tasks")
_IN_A_SCOPE = "{{secrets/"
_HARMLESS = ("task_key", "job_cluster_key", "environment_key", "ssh_public_keys")


def checked_options(options: Any) -> dict[str, Any]:
    """Return options as JSON values.

    :raises UserError: for what is no JSON, is set by Refrain itself, or holds a secret.
    """
    if not isinstance(options, Mapping):
        raise UserError(f"job_options must map names to values, not {options!r}.")
    taken = [name for name in _OURS if name in options]
    if taken:
        raise UserError(
            f"job_options cannot set {taken[0]!r}, which is set for each run; the task's fields go to 'task'."
        )
    for name, value in _leaves(options):
        if is_secret_name(name) and name not in _HARMLESS and not str(value).startswith(_IN_A_SCOPE):
            raise UserError(
                f"job_options would store {name!r} with the pipeline. Keep it in a secret scope of Databricks and "
                "write {{secrets/scope/name}}."
            )
    try:
        made: dict[str, Any] = json.loads(json.dumps(options))
    except (TypeError, ValueError) as error:
        raise UserError(f"job_options must be JSON values: {error}.") from error
    return made


def merged(request: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with *options* put in; where both are objects, their fields are put together."""
    made = dict(request)
    for name, value in options.items():
        there = made.get(name)
        made[name] = merged(there, value) if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return made


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item, name)
    else:
        yield name, value
