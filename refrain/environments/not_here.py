"""NotHere: a name of Azure ML's that has no counterpart, which says so when it is used."""

from __future__ import annotations

from typing import Any, NoReturn

from refrain.errors import NotHereError


class NotHere:
    """Stands in a class for a method or an attribute; whoever reads, calls or sets it learns what to do instead.

    ``hasattr`` says False.

    :param way: what to do instead, as a sentence.
    """

    def __init__(self, way: str) -> None:
        self._way = way
        self._what = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._what = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        self._refuse()

    def __set__(self, instance: object, value: object) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotHereError(f"{self._what} is Azure ML's and has no counterpart in Refrain. {self._way}")
