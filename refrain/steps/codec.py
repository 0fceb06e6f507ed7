"""Codec: frozen dataclasses to JSON values and back, guided by their type hints alone."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_TAG = "is"


def encode(value: Any) -> Any:
    """Return *value* as JSON values. A dataclass becomes an object that names its class under ``is``."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        record = {field.name: encode(getattr(value, field.name)) for field in fields(value) if field.init}
        return {_TAG: type(value).__name__, **record}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def decode(hint: type[T], value: Any) -> T:
    """Read a value of type *hint* back from what :func:`encode` returned.

    :raises TypeError: when the value does not have that type.
    """
    return cast(T, _decode(hint, value))


def _decode(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _decode_union(get_args(hint), value)
    if origin is tuple:
        return _decode_tuple(get_args(hint), value)
    if is_dataclass(hint):
        return _decode_dataclass(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if type(value) is not hint:
        raise TypeError(f"{value!r} is no {getattr(hint, '__name__', hint)}")
    return value


def _decode_union(hints: tuple[Any, ...], value: Any) -> Any:
    if value is None and NoneType in hints:
        return None
    if isinstance(value, dict):
        return _decode({getattr(h, "__name__", ""): h for h in hints}[value[_TAG]], value)
    candidates = [h for h in hints if h is type(value)] or [h for h in hints if h is not NoneType]
    return _decode(candidates[0], value)


def _decode_tuple(hints: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    if hints[-1:] == (Ellipsis,):
        return tuple(_decode(hints[0], item) for item in value)
    return tuple(_decode(hint, item) for hint, item in zip(hints, value, strict=True))


def _decode_dataclass(hint: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no {hint.__name__}")
    hints = _hints(hint)
    return hint(**{name: _decode(hints[name], item) for name, item in value.items() if name != _TAG})


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
