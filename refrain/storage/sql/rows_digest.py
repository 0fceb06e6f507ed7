"""RowsDigest: what rows are, however they came: in an order that a query promises, or in any.

Without ``ORDER BY`` a database may give the same rows in another order each time. Such rows count as a multiset: the
sum of the digests of the rows, modulo 2**256 (MSet-Add-Hash of Clarke et al., ASIACRYPT 2003, without a key: it is
to see changes, not to withstand somebody who makes up rows). Where a query may promise an order, the order counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from blake3 import blake3

from refrain.storage.digest import digest_bytes

SCHEMA = 1
_MODULUS = 1 << 256


class RowsDigest:
    """Takes Arrow record batches, however they are cut, and says what they are."""

    def __init__(self, schema: Any, is_ordered: bool) -> None:
        self._head = {
            "schema": SCHEMA,
            "columns": [[field.name, str(field.type)] for field in schema],
            "ordered": is_ordered,
        }
        self._add: Callable[[Iterable[bytes]], None] = self._append if is_ordered else self._sum
        self._sequence = blake3()
        self._total = 0
        self.rows = 0
        self.bytes = 0  # of the rows as they are digested, whatever their order

    def add(self, batch: Any) -> None:
        """Take rows in."""
        if batch.num_rows and batch.num_columns:
            rows = _encoded(batch).to_pylist()
            self._add(rows)
            self.bytes += sum(map(len, rows))
        self.rows += batch.num_rows

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        body = self._sequence.digest() if self._head["ordered"] else self._total.to_bytes(32, "little")
        head = json.dumps({**self._head, "rows": self.rows}, sort_keys=True, separators=(",", ":"))
        return digest_bytes(b"rows\n" + head.encode() + b"\n" + body)

    def _append(self, rows: Iterable[bytes]) -> None:
        self._sequence.update(b"".join(rows))

    def _sum(self, rows: Iterable[bytes]) -> None:
        added = sum(int.from_bytes(blake3(row).digest(), "little") for row in rows)
        self._total = (self._total + added) % _MODULUS


def _encoded(batch: Any) -> Any:
    """Return each row as bytes that no other row has: every value with its length before it, an empty one as ``-``."""
    import pyarrow.compute as pc

    return reduce(lambda left, right: pc.binary_join_element_wise(left, right, b""), map(_framed, batch.columns))


def _framed(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_bytes = pa.types.is_binary(column.type)
    values = column if is_bytes else pc.cast(pc.cast(column, pa.string()), pa.binary())
    lengths = pc.cast(pc.cast(pc.binary_length(values), pa.string()), pa.binary())
    return pc.fill_null(pc.binary_join_element_wise(lengths, values, b":"), b"-")
