"""ModelUse: what a step was told of registered models, or did with one, and whether that still holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from refrain.data.models.record import ModelVersions
from refrain.data.models.selection import Selection
from refrain.data.versions import LATEST
from refrain.errors import ModelNotFoundException, WorkspaceError
from refrain.storage.digest import digest_bytes


class How(str, Enum):
    """How a step came to use models."""

    INPUT = "input"  # one is among its inputs, so that the fingerprint counts it
    READ = "read"  # its script asked for the bytes of one
    SEEN = "seen"  # its script asked what is known of one, such as its tags
    LISTED = "listed"  # its script asked which there are
    REGISTERED = "registered"  # its script registered one


@dataclass(frozen=True)
class ModelUse:
    """One thing that a step's run had to do with models.

    :param name: of a model; empty for a list of all.
    :param asked: the version that was asked for, a number or ``latest``.
    :param version: the one that it was; 0 when there was none, and of a list.
    :param digest: of what was told: a model's content, or all that is known; empty when there was none.
    :param selection: what else was asked for, see :class:`refrain.data.models.selection.Selection`.
    """

    how: How
    name: str
    asked: int | str = LATEST
    version: int = 0
    digest: str = ""
    selection: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        versions: ModelVersions,
        how: How,
        name: str,
        asked: int | str = LATEST,
        selection: Mapping[str, Any] | None = None,
    ) -> ModelUse:
        """Return what somebody is told now who asks."""
        wanted = dict(selection or {})
        try:
            version, digest = _told(versions, how, name, asked, Selection(**wanted))
        except ModelNotFoundException:
            version, digest = 0, ""
        return cls(how, name, asked, version, digest, wanted)

    @property
    def is_newest(self) -> bool:
        """Say whether the newest version was asked for, so that another one may be told next time."""
        return self.how in (How.READ, How.SEEN) and self.asked == LATEST

    @property
    def decides_newest(self) -> bool:
        """Say whether it tells which version of its name the newest one is, as far as its step is concerned."""
        return self.how is How.REGISTERED or (self.is_newest and self.version > 0 and not self.selection)

    @property
    def pinned(self) -> ModelUse:
        """The same for whoever goes on with the work, for whom the newest version stays what it was."""
        return replace(self, asked=self.version) if self.is_newest and self.decides_newest else self

    def why_void(self, versions: ModelVersions) -> str:
        """Say why it does not hold any more; empty when it does."""
        try:
            now = ModelUse.of(versions, self.how, self.name, self.asked, self.selection)
        except WorkspaceError as error:
            return f"what its script was told of models cannot be looked up again: {error}"
        if now.digest == self.digest:
            return ""
        if self.how is How.LISTED:
            return "its script asked which models there are, and now there are others"
        if not self.digest:
            return f"its script found no model {self.name!r}, and now there is version {now.version}"
        did = "registered" if self.how is How.REGISTERED else "used"
        used = f"its script {did} version {self.version} of model {self.name!r}"
        if not now.digest:
            return f"{used}, which is gone"
        if now.version != self.version:
            return f"{used} as the newest, and now that is version {now.version}"
        return f"{used}, of which something else is known now"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**vars(self), "how": self.how.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelUse:
        """Read it back."""
        return cls(**{**document, "how": How(document["how"])})


def _told(versions: ModelVersions, how: How, name: str, asked: int | str, wanted: Selection) -> tuple[int, str]:
    if how is How.LISTED:
        names = [name] if name else versions.names()
        return 0, _digest([_known(versions, of, number) for of in names for number, _ in wanted.fitting(versions, of)])
    if how is How.SEEN:
        version, _ = wanted.newest(versions, name, None if asked == LATEST else int(asked))
        return version, _digest(_known(versions, name, version))
    version = versions.chosen(name, asked)
    return version, versions.get(name, version).content.digest


def _known(versions: ModelVersions, name: str, version: int) -> list[Any]:
    return [name, version, versions.get(name, version).to_json(), versions.labels(name, version).to_json()]


def _digest(known: list[Any]) -> str:
    return digest_bytes(json.dumps(known, sort_keys=True).encode())
