"""Values: frozen dataclasses that are cheap to declare and to make.

For each frozen dataclass the standard library compiles six functions, one by one, and an instance of it sets each of
its fields by a call. Declaring a hundred of them was two fifths of a command's imports, and making them a seventh of a
run in which nothing has changed. Here one function is compiled, which fills its dictionary; the rest is shared.

What a run of reused steps loads declares its values by this module; a test finds those that do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

Method = Callable[..., Any]


class _Factory:
    """Stands for a default that is made anew for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
_ALL = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


def _dataclass(
    cls: Any = None, /, *, frozen: bool = False, init: bool = True, repr: bool = True, eq: bool = True, **others: Any
) -> Any:
    """Declare a dataclass as :func:`dataclasses.dataclass` does; a frozen one without ancestors is cheaper.

    Known limitation: that one has neither keyword-only fields nor an ``InitVar``.
    """

    def declared(cls: Any) -> Any:
        if not frozen or others or dataclasses.is_dataclass(cls):
            return dataclasses.dataclass(cls, frozen=frozen, init=init, repr=repr, eq=eq, **others)
        return _frozen(cls, init, repr, eq)

    return declared if cls is None else declared(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass


def _frozen(cls: Any, init: bool, repr: bool, eq: bool) -> Any:
    is_hashed = cls.__dict__.get("__hash__") is not None  # Python puts None there beside an own __eq__
    own = {name for name in _ALL if name in cls.__dict__ and (is_hashed or name != "__hash__")}
    dataclasses.dataclass(cls, init=False, repr=False, eq=False)  # finds the fields, and compiles nothing
    told = cls.__dataclass_params__
    told.init, told.repr, told.eq, told.frozen = init, repr, eq, True
    fields = dataclasses.fields(cls)
    methods = _refusals(cls, {field.name for field in fields})
    if init:
        methods["__init__"] = _init(cls, fields)
    if repr:
        methods["__repr__"] = _repr([field.name for field in fields if field.repr])
    if eq:
        methods["__eq__"] = _eq(_key([field.name for field in fields if field.compare]))
        hashed = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
        methods["__hash__"] = _hash(_key(hashed))
    for name in methods.keys() - own:
        setattr(cls, name, methods[name])
    return cls


def _init(cls: Any, fields: Sequence[dataclasses.Field[Any]]) -> Method:
    """Compile ``__init__``. It fills the instance's dictionary, because setting attributes is refused.

    One by one: so its keys stay shared with those of other instances, which halves the memory, and the time with it.
    """
    given = [field for field in fields if field.init]
    known = {f"default_{field.name}": _default(field) for field in fields}
    known |= {f"make_{field.name}": field.default_factory for field in fields if _is_made(field)}
    words = [f.name if _default(f) is dataclasses.MISSING else f"{f.name}=default_{f.name}" for f in given]
    lines = [f"def __init__({', '.join(['self', *words])}):", " of_self = self.__dict__"]
    lines += [f" of_self[{field.name!r}] = {_value(field)}" for field in fields if field.init or _is_made(field)]
    lines += [" self.__post_init__()"] * hasattr(cls, "__post_init__")
    exec("\n".join(lines), known)  # noqa: S102  # nothing but the names of fields, which stand in our own code
    made: Any = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {field.name: field.type for field in given} | {"return": None}
    return made  # type: ignore[no-any-return]  # it is a function


def _is_made(field: dataclasses.Field[Any]) -> bool:
    return field.default_factory is not dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return _FACTORY if _is_made(field) else field.default


def _value(field: dataclasses.Field[Any]) -> str:
    """Return the expression for what a field holds."""
    name = field.name
    if not _is_made(field):
        return name
    return f"make_{name}() if {name} is default_{name} else {name}" if field.init else f"make_{name}()"


def _refusals(cls: Any, names: set[str]) -> dict[str, Method]:
    def assign(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": assign, "__delattr__": delete}


def _repr(names: Sequence[str]) -> Method:
    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({values})"

    return shown


def _key(names: Sequence[str]) -> Method:
    return attrgetter(*names) if names else lambda _: ()


def _eq(key: Method) -> Method:
    def equals(self: Any, other: Any) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return equals


def _hash(key: Method) -> Method:
    def hashed(self: Any) -> int:
        return hash(key(self))

    return hashed
