"""Preimage: everything that can change a step's result, as JSON values, and the fingerprint made of it.

The encoding is JSON with sorted keys and no white space: it keeps types apart (``1``, ``"1"``, ``1.0``, ``true``,
``null``) and is framed by its own syntax, so that no two preimages share their bytes. What goes in, and what never
does, is listed in docs/reference/fingerprint.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from refrain.data.handle import DataHandle
from refrain.data.parameters import PipelineParameter, Value
from refrain.data.ports import FromDatabase, FromDatastore, FromFiles, FromModel, InputPort, OutputPort
from refrain.environments.interpreter import InterpreterIdentity
from refrain.steps.command import (
    InputPath,
    Interpreter,
    Literal,
    OutputPath,
    ParameterValue,
    Setting,
    SparkSubmit,
    Token,
    UnfinishedPath,
)
from refrain.steps.definition import StepDefinition
from refrain.storage.digest import digest_bytes
from refrain.storage.manifest import TreeKind
from refrain.values import dataclass

SCHEMA = 1
_PREFIX = b"refrain fingerprint\n"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_SECRET = re.compile(
    r"password|passwd|passphrase|secret|token(?!iz)|api[_.]?key|access[_.]?key|private[_.]?key|account[_.]?key|credential"
    r"|(?<!primary)(?<!foreign)(?<!sort)(?<!partition)(?<!group)(?<!join)[_.]key$|authorization|(^|_)auth$|_sas$|^sas_"
    r"|connection_string|^airflow_conn_|_pw$|_pwd$|_pass$|^pgpass$|^sshpass$|webhook",
    re.IGNORECASE,
)
"""Names. Of those that end with a key, the ones of tables are none."""
_SECRET_IN_VALUE = re.compile(
    r"://[^/\s]*?:(?!\d+[/?])([^\s]+)@|(?:password|pwd|accountkey|sharedaccesskey|[?&]sig)\s*=\s*([^;&\s]+)"
    r'|"[^"]*(?:password|secret|token|credential|_key)[^"]*"\s*:\s*"([^"]+)"',
    re.IGNORECASE,
)
"""The password of a URL, whatever it is made of, and what a connection string, a signed URL or JSON holds."""
_ONLY_SIZES = frozenset(
    {
        "spark.driver.memory",
        "spark.driver.memoryOverhead",
        "spark.executor.memory",
        "spark.executor.memoryOverhead",
    }
)
"""Of a Spark application: whether it fits, not what it makes. How many cores it has decides how data is cut."""

_SHORTEST_PART = 4
"""A shorter one would mask half of a log."""

Preimage = dict[str, Any]


@dataclass(frozen=True)
class Ingredients:
    """What a step's preimage is made of.

    :param snapshot: the digest of those files of its source that count.
    :param is_part: whether these are not all files.
    :param inputs: the resolved data by input name.
    :param parameters: the pipeline parameters' values by name.
    :param foreign: the digests of what the step runs and no snapshot holds, by its place.
    :param predecessors: the runs that made the results of the steps which come first by ``run_after``.
    """

    step: StepDefinition
    snapshot: str
    inputs: Mapping[str, DataHandle]
    parameters: Mapping[str, Value]
    declared: Mapping[str, PipelineParameter]
    interpreter: InterpreterIdentity
    secret_key: bytes
    predecessors: tuple[str, ...] = ()
    is_part: bool = False
    foreign: Mapping[str, str] = field(default_factory=dict)


def preimage(of: Ingredients) -> Preimage:
    """Return the preimage of one step with its data and parameters resolved."""
    # A mark rather than a field of every preimage: results whose whole source counts keep their fingerprints. With it,
    # no step whose whole source counts takes a result of one that left files out.
    part = {"is_part": True} if of.is_part else {}
    foreign = {"foreign": dict(of.foreign)} if of.foreign else {}
    return {
        **part,
        **foreign,
        "schema": SCHEMA,
        "kind": of.step.kind,
        "version": of.step.version,
        "snapshot": of.snapshot,
        "command": [_token(token, of) for token in of.step.command],
        "parameters": {name: _token(token, of) for name, token in of.step.parameters},
        "inputs": {port.name: _input(port, of.inputs[port.name]) for port in of.step.inputs},
        "outputs": {port.name: _output(port) for port in of.step.outputs},
        "after": sorted(of.predecessors),
        "environment": {
            **of.interpreter.counted,
            "variables": {name: _variable(name, value, of.secret_key) for name, value in of.step.environment.variables},
        },
    }


def fingerprint(value: Preimage) -> str:
    """Return the fingerprint of a preimage: 64 hexadecimal digits."""
    return digest_bytes(_PREFIX + canonical(value).encode("ascii"))


def canonical(value: Any) -> str:
    """Return the one text that a preimage, or a part of one, is written as."""
    return _CANONICAL.encode(value)


def is_secret(name: str, value: str = "") -> bool:
    """Say whether an environment variable holds something that must not be written down.

    :param value: when given, a URL or a connection string with a password in it counts as well, whatever the name.
    """
    return _SECRET.search(name) is not None or _SECRET_IN_VALUE.search(value) is not None


def secret_texts(name: str, value: str) -> set[str]:
    """Return what of an environment variable no log may show: its value, and a password in that by itself."""
    if not is_secret(name, value):
        return set()
    parts = {part for found in _SECRET_IN_VALUE.findall(value) for part in found if len(part) >= _SHORTEST_PART}
    return {value, *parts, *map(unquote, parts)}


_ALIKE = {Interpreter: "interpreter", Setting: "setting", UnfinishedPath: "unfinished"}
"""Tokens of which it counts that they stand there, and no more."""


def _token(token: Token, of: Ingredients) -> list[Any]:
    if type(token) in _ALIKE:
        return [_ALIKE[type(token)]]
    if isinstance(token, Literal):
        return ["literal", token.text]
    if isinstance(token, InputPath):
        return ["input", token.name]
    if isinstance(token, OutputPath):
        return ["output", token.name]
    if isinstance(token, ParameterValue):
        return _parameter(token, of)
    if isinstance(token, SparkSubmit):
        return ["spark", {key: value for key, value in token.conf if key not in _ONLY_SIZES}]
    raise TypeError(f"{token!r} has no place in a preimage.")


def _parameter(token: ParameterValue, of: Ingredients) -> list[Any]:
    if not token.is_counted:
        return [_ALIKE[Setting]]
    is_counted = of.declared[token.name].affects_reuse
    return ["parameter", of.parameters[token.name]] if is_counted else ["uncounted parameter", token.name]


def _input(port: InputPort, handle: DataHandle) -> dict[str, Any]:
    return {
        "digest": handle.digest,
        "kind": handle.kind.value,
        "name": _file_name(port, handle),
        "mode": port.mode.value,
        "path_on_compute": port.path_on_compute,
        "is_dataset": port.is_dataset,
        **({"recipe": port.recipe} if port.recipe else {}),
        # A script finds a model by its name. Its version does not count: what it is, is counted.
        **({"model": port.source.name} if isinstance(port.source, FromModel) else {}),
    }


def _file_name(port: InputPort, handle: DataHandle) -> str | None:
    """Keep the name of a single file, by whose ending a script may choose how to read it; folders are never counted."""
    is_users = isinstance(port.source, FromFiles | FromDatastore | FromDatabase | FromModel)
    return handle.name if is_users and handle.kind is TreeKind.FILE else None


def _output(port: OutputPort) -> dict[str, Any]:
    return {
        "datastore": port.datastore,
        "path": port.path,
        "kind": port.kind.value,
        "mode": port.mode.value,
        "path_on_compute": port.path_on_compute,
        "globs": list(port.globs),
        "is_dataset": port.is_dataset,
    }


def _variable(name: str, value: str, key: bytes) -> str | dict[str, str]:
    """Keep a plain value, and of a secret only a hash that nobody without the workspace's key can try out."""
    if not is_secret(name, value):
        return value
    import hmac

    return {"secret": hmac.new(key, f"{name}={value}".encode(), "sha256").hexdigest()}
