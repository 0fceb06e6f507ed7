"""Copying: a file or a folder from one place to another, whichever stores these are on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from refrain.errors import DataError, DataNotFoundError
from refrain.storage.digest import digest_file
from refrain.storage.filling import require_own
from refrain.storage.ledger import Ledger, Ledgers
from refrain.storage.listing import Listed, Listing, require_inside
from refrain.storage.manifest import Basis, Entry, Manifest, TreeKind
from refrain.storage.pattern import is_pattern
from refrain.storage.store import Place
from refrain.storage.transfer import Arrived, Item, transfer
from refrain.storage.watch import Watch


@dataclass(frozen=True)
class Terms:
    """What is expected of a copy.

    :param overwrite: replace files that are there.
    :param source_kind: what the source must be; None means what it is.
    :param target_kind: what the target is; None means what is there, else what the source is.
    """

    overwrite: bool = False
    source_kind: TreeKind | None = None
    target_kind: TreeKind | None = None


@dataclass(frozen=True)
class Copied:
    """What a copy has done. ``kept`` is how many of the files had arrived in an earlier, interrupted try."""

    place: Place
    kind: TreeKind
    files: int
    bytes: int
    kept: int


def copy(source: Place, target: Place, ledgers: Ledgers, terms: Terms = Terms(), watch: Watch | None = None) -> Copied:
    """Copy a file, or all that is in a folder, and verify what has arrived.

    A file that is copied to a folder keeps its name. A folder's files are added to those that are there. An interrupted
    copy is gone on with by the next one of the same source and target.

    :raises DataNotFoundError: when there is nothing at *source*.
    :raises DataError: when it cannot be copied, would replace a file, or does not fit to what is there.
    :raises TransferCanceledError: when *watch* stopped it.
    """
    listing = source.listing()
    source.require_filled()
    there = target.listing(is_filling=True)
    goal = _goal(source, target, listing, there.kind, terms)
    if goal != target:
        there = goal.listing(is_filling=True)
    _require_apart(source, goal)
    if listing.kind is TreeKind.DIRECTORY:
        require_own(goal.store.sign(goal.path), str(goal), source.uri)
    with ledgers.open(source.uri, goal.uri) as ledger:
        plan = _Plan(source, goal, listing, ledger)
        if not terms.overwrite and not ledger.is_free:
            plan.require_free(there)
            ledger.note_free()
        return plan.carry_out(watch or Watch())


@dataclass(frozen=True)
class _Plan:
    source: Place
    target: Place
    listing: Listing
    ledger: Ledger
    content: dict[str, str] = field(default_factory=dict)

    def require_free(self, there: Listing) -> None:
        """Refuse to replace a file."""
        taken = {o.path for o in there.objects}
        clash = next((o.path for o in self.listing.objects if o.path in taken), None)
        if clash is not None:
            place = self.target.below(clash)
            raise DataError(f"The copy would replace {place}. Pass overwrite, or copy to another place.")

    def carry_out(self, watch: Watch) -> Copied:
        """Copy what has not arrived yet, and let the target appear."""
        known = self._known()
        with self._written_to() as root:
            self._remove_stale(root)
            arrived = {o.path: Arrived(tag, None, digest) for o, tag, digest in self._kept(root)}
            waiting = [listed for listed in self.listing.objects if listed.path not in arrived]
            items = [self._item(listed, root) for listed in waiting]
            done = transfer(items, watch, self.ledger)
            arrived |= {listed.path: result for listed, result in zip(waiting, done, strict=True)}
            self._remove_unknown(root)
            self._make_folders(root)
            content = self._content(arrived, known, root)
            # A web server may not have told a size before the file came.
            sizes = {o.path: o.size for o in self.listing.objects} | {item.name: item.source.size for item in items}
            tags = {name: (size, arrived[name].tag) for name, size in sizes.items()}
            root.store.accept(root.path, tags, content)
        size = sum(sizes.values())
        files = len(self.listing.objects)
        return Copied(self.target, self.listing.kind, files, size, files - len(waiting))

    @contextmanager
    def _written_to(self) -> Iterator[Place]:
        """Give the place to write to: that of a file appears whole by itself."""
        if self.listing.kind is TreeKind.FILE:
            yield self.target
            return
        store, is_fresh = self.target.store, not self.ledger.names
        with store.filling(self.target.path, self.source.uri, is_fresh=is_fresh) as path:
            yield Place(store, path)

    def _kept(self, root: Place) -> Iterator[tuple[Listed, str, str | None]]:
        if not self.ledger.names:  # nothing has been begun before: a store need not be asked
            return
        there = {o.path: o.tag for o in root.listing(is_filling=True).objects}
        for listed in self.listing.objects:
            tag, digest = self.ledger.arrived(listed.path, listed.tag)
            if tag is not None and there.get(listed.path) == tag:
                yield listed, tag, digest

    def _item(self, listed: Listed, root: Place) -> Item:
        if root.in_place is not None and listed.path:
            require_inside(listed.path, listed.uri)
        target = root.below(listed.path)
        return Item(listed.path, self.source.store.reading(listed), root.store.writing(target.path))

    def _remove_stale(self, root: Place) -> None:
        """Remove what an interrupted try has brought and the source has no more."""
        for name in self.ledger.names - {o.path for o in self.listing.objects}:
            root.store.remove(root.below(name).path)

    def _remove_unknown(self, root: Place) -> None:
        """Remove from a folder of our own, where it is one, what a killed try had begun and not yet noted."""
        if root.path != self.target.path:
            planned = {o.path for o in self.listing.objects}
            for listed in root.listing(is_filling=True).objects:
                if listed.path not in planned:
                    root.store.remove(root.below(listed.path).path)

    def _make_folders(self, root: Place) -> None:
        folder = root.in_place
        for name in self.listing.folders if folder is not None else ():
            os.makedirs(os.path.join(folder or "", name), exist_ok=True)

    def _known(self) -> dict[str, str]:
        """Return the content's digests by path, where they are known without reading it."""
        if self.source.in_place is not None:
            return {}
        manifest = self.source.manifest()
        return {e.path: e.digest for e in manifest.entries} if manifest.basis is Basis.CONTENT else {}

    def _content(self, arrived: dict[str, Arrived], known: dict[str, str], root: Place) -> Manifest | None:
        """Compare what has arrived with what is known of the source; return all of it, if that is known."""
        entries = []
        for listed in self.listing.objects:
            wanted = known.get(listed.path)
            found = arrived[listed.path].digest or self._digest(listed, wanted, root)
            if wanted is not None and found not in (None, wanted):
                raise DataError(f"{self.target.below(listed.path)} is not what {listed.uri} was written as. Run again.")
            entries.append(Entry(listed.path, listed.size, found or wanted or ""))
        if not all(entry.digest for entry in entries):
            return None
        return Manifest(self.listing.kind, tuple(entries))

    def _digest(self, listed: Listed, wanted: str | None, root: Place) -> str | None:
        """Read a large file where that is on this machine and tells something new."""
        local = root.below(listed.path).in_place
        if local is not None:
            return digest_file(local) if wanted is not None else None
        return digest_file(listed.uri) if self.source.in_place is not None else None


def _goal(source: Place, target: Place, listing: Listing, there: TreeKind, terms: Terms) -> Place:
    """Return where the copy goes, by Azure ML's rules of what a target is."""
    kind = listing.kind
    if kind is TreeKind.MISSING:
        hint = "Name one file or folder; patterns are not expanded." if is_pattern(source.path) else "Correct the path."
        raise DataNotFoundError(f"There is nothing at {source}, so that nothing can be copied. {hint}")
    require_kind(source, kind, terms.source_kind)
    wanted = terms.target_kind or (kind if there is TreeKind.MISSING else there)
    if there not in (TreeKind.MISSING, wanted):
        raise DataError(f"{target} is a {there.value}; a {wanted.value} cannot be put there.")
    if kind is TreeKind.DIRECTORY and wanted is TreeKind.FILE:
        raise DataError(f"The folder {source} cannot be copied onto the file {target}; name a folder.")
    if kind is TreeKind.DIRECTORY and not listing.objects and target.in_place is None:
        raise DataError(f"The folder {source} holds no file, and {target} is on a store that has no empty folders.")
    return target.below(source.name) if kind is TreeKind.FILE and wanted is TreeKind.DIRECTORY else target


def require_kind(place: Place, kind: TreeKind, wanted: TreeKind | None) -> None:
    """Refuse what is of another kind than somebody said.

    :raises DataError: when it is.
    """
    if wanted not in (None, kind):
        raise DataError(f"{place} is a {kind.value}, not a {wanted.value}.")


def _require_apart(source: Place, target: Place) -> None:
    one, two = _address(source), _address(target)
    if f"{two}/".startswith(f"{one}/"):
        what = "itself" if one == two else f"{target}, which is inside it"
        raise DataError(f"{source} cannot be copied to {what}.")


def _address(place: Place) -> str:
    local = place.in_place
    return os.path.realpath(local) if local is not None else place.uri.rstrip("/")
