"""The settings of a Spark application by Spark's keys: what may be among them, and what they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refrain.errors import UserError, known

PY_FILES = "spark.submit.pyFiles"
JARS = "spark.jars"
FILES = "spark.files"
YARN_JARS = "spark.yarn.dist.jars"
LISTS = (PY_FILES, JARS, FILES, YARN_JARS)

_WHERE = {
    "spark.master": "master",
    "spark.remote": "connect",
    "spark.submit.deployMode": "deploy_mode",
}
"""Where an application runs, with the compute target's setting that says so."""

_SECRET = re.compile(
    r"secret|passw(or)?d|passphrase|token|credential|(access|account|encryption|api)[._-]?key|\bsas\b",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(file|path|dir|provider|class|enabled|type|endpoint|client\.id)s?$", re.IGNORECASE)
_MEMORY = re.compile(r"[1-9]\d*[kmgt]", re.IGNORECASE)


def checked(conf: Any, what: str) -> dict[str, str]:
    """Return settings as texts.

    :raises UserError: for what is no mapping of Spark's keys, for a key that says where to run, and for a secret.
    """
    if not isinstance(conf, Mapping):
        raise UserError(f"{what}: conf must map Spark's keys to values, not {conf!r}.")
    for key, value in conf.items():
        if not isinstance(key, str) or not re.fullmatch(r"spark\.[^\s=]+", key):
            raise UserError(f"{what}: {key!r} is no key of Spark's, which begins with 'spark.'.")
        if key in _WHERE:
            raise UserError(
                f"{what}: {key} says where the step runs, which is the compute target's to say: refrain compute set "
                f"NAME spark {_WHERE[key]}={value}"
            )
        if not isinstance(value, str | int | float | bool):
            raise UserError(f"{what}: {key} must be a text, a number or a truth value, not {value!r}.")
        if is_secret_key(key):
            raise UserError(
                f"{what}: {key} is secret and would be stored with the step. Let Spark find it where the step runs: in "
                "conf/spark-defaults.conf of its SPARK_HOME, or by the role of the machines."
            )
    return {key: _text(value) for key, value in conf.items()}


def is_secret_key(key: str) -> bool:
    """Say whether Spark's setting of this name holds something that must not be written down."""
    return _SECRET.search(key) is not None and _NO_SECRET.search(key) is None


def memory(value: Any, name: str, what: str) -> str:
    """Return an amount of memory as Java takes it.

    :raises UserError: for anything but a whole number with a unit.
    """
    if not isinstance(value, str) or not _MEMORY.fullmatch(value):
        raise UserError(f"{what}: {name} must be a whole number with a unit, such as '28g' or '512m', not {value!r}.")
    return value


def count(value: Any, name: str, what: str) -> str:
    """Return a number of cores or executors.

    :raises UserError: for anything but a whole number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{what}: {name} must be a whole number above 0, not {value!r}.")
    return str(value)


def with_given(conf: Mapping[str, str], given: Mapping[str, tuple[str, str]], what: str) -> dict[str, str]:
    """Add what parameters of a step say to its settings.

    :param given: the name of the parameter and its value, by key.
    :raises UserError: when both say something of one key.
    """
    twice = [f"{key} ({name})" for key, (name, _) in given.items() if key in conf]
    if twice:
        raise UserError(f"{what}: conf says again what a parameter says: {known(twice)}. Leave it out of conf.")
    return {**conf, **{key: value for key, (_, value) in given.items()}}


def with_lists(conf: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Append files that parameters of a step name to the lists that its settings have."""
    joined = {key: _joined((*conf.get(key, "").split(","), *files)) for key, files in lists.items()}
    return {**conf, **{key: text for key, text in joined.items() if text}}


def _joined(parts: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
