"""Fields: everything that a step's result depends on, under the names by which a change of it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refrain.tracking.run_id import short_id

_DIGEST_SHOWN = 12


def with_fields(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step with its ``fields``, where it is known what its result depends on."""
    return {**step, "fields": _fields(step)} if step.get("preimage") else dict(step)


def _fields(step: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return every field under the name by which a change is told, with its change; fields that are gone come last."""
    changes = {change["what"]: change["detail"] for change in step["changes"]}
    now = dict(_flat(step["preimage"]))
    names = [*now, *(name for name in changes if name not in now)]
    return [{"field": name, "now": now.get(name, "absent"), "change": changes.get(name, "")} for name in names]


def _flat(preimage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "kind", str(preimage["kind"])
    yield "version", str(preimage["version"])
    yield "source", preimage["snapshot"][:_DIGEST_SHOWN] + (" (a part)" if preimage.get("is_part") else "")
    for index, token in enumerate(preimage["command"]):
        yield f"argument {index}", _token(token)
    for group, title in (("parameters", "parameter"), ("inputs", "input"), ("outputs", "output")):
        for name, value in preimage[group].items():
            yield f"{title} {name}", _token(value) if group == "parameters" else _settings(value)
    if preimage["after"]:
        yield "order", f"after {', '.join(map(short_id, preimage['after']))}"
    environment = preimage["environment"]
    yield "Python", environment["python"]
    yield "platform", environment["platform"]
    yield "packages", environment["packages"][:_DIGEST_SHOWN]
    for name, value in environment["variables"].items():
        yield f"environment variable {name}", value if isinstance(value, str) else "(secret)"


def _token(token: Sequence[Any]) -> str:
    kind, *values = token
    shown = [repr(value) for value in values]
    return " ".join(shown if kind in ("literal", "parameter") else [kind, *shown])


def _settings(value: Mapping[str, Any]) -> str:
    parts = [value["digest"][:_DIGEST_SHOWN]] if "digest" in value else []
    told = (f"{k} {v}" for k, v in sorted(value.items()) if k != "digest" and v not in (None, False, []))
    return ", ".join([*parts, *told])
