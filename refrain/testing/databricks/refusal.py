"""Refusal: an error as Databricks' REST API answers with."""

from __future__ import annotations


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def missing(what: str) -> Refusal:
    """Return the refusal of what is not there."""
    return Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


def invalid(message: str) -> Refusal:
    """Return the refusal of a request that makes no sense."""
    return Refusal(400, "INVALID_PARAMETER_VALUE", message)
