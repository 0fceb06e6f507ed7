"""Azure Blob as a stream: blocks that wait uncommitted until the list of them is committed."""

from __future__ import annotations

import base64
import contextlib
import io
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from refrain.storage.filesystem import FileSystem
from refrain.storage.parts import Part
from refrain.storage.retry import TransientError

T = TypeVar("T")

_METADATA = {"is_directory": "false"}  # as adlfs writes it, which reads it back


@dataclass(frozen=True)
class BlobWriting:
    """See :class:`refrain.storage.streams.Writing`. A block's id holds its MD5; Azure keeps it for a week."""

    files: FileSystem
    url: str
    is_ordered = False
    wants_sums = True

    @property
    def name(self) -> str:
        """See :class:`Writing`."""
        return self.url

    def put(self, data: bytes, md5: str) -> str:
        """See :class:`Writing`."""

        async def put(blob: Any) -> str:
            answer = await blob.upload_blob(io.BytesIO(data), length=len(data), overwrite=True, metadata=_METADATA)
            said = answer.get("content_md5")
            if said is not None and bytes(said).hex() != md5:
                raise TransientError(f"{self.url} did not arrive as it was sent: its MD5 is {bytes(said).hex()}.")
            return _tag(answer)

        return self._call(put)

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:  # noqa: ARG002
        """See :class:`Writing`."""
        if upload is not None:
            there = self._call(_uncommitted)
            return upload, {i: md5 for i, md5 in parts.items() if _block_id(upload, i, md5) in there}
        return secrets.token_hex(4), {}

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:
        """See :class:`Writing`; Azure compares what came with its MD5."""

        async def write(blob: Any) -> None:
            block, body = _block_id(upload, part.index, md5), io.BytesIO(data)  # aiohttp warns of large bytes
            await blob.stage_block(block, body, length=len(data), validate_content=True)

        self._call(write)

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:  # noqa: ARG002  # the blocks have theirs
        """See :class:`Writing`."""
        from azure.storage.blob import BlobBlock

        blocks = [BlobBlock(block_id=_block_id(upload, index, md5)) for index, md5 in enumerate(sums)]

        async def finish(blob: Any) -> str:
            return _tag(await blob.commit_block_list(blocks, metadata=_METADATA))

        return self._call(finish)

    def abandon(self, upload: str) -> None:
        """See :class:`Writing`; blocks that are never committed go by themselves."""

    def _call(self, act: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        from fsspec.asyn import sync

        def call(fs: Any) -> T:
            container, name, _ = fs.split_path(self.url)

            async def within() -> T:
                async with fs.service_client.get_blob_client(container=container, blob=name) as blob:
                    return await act(blob)

            answer: T = sync(fs.loop, within)
            return answer

        return self.files.call(f"write {self.url}", call)


async def _uncommitted(blob: Any) -> set[str]:
    from azure.core.exceptions import ResourceNotFoundError

    with contextlib.suppress(ResourceNotFoundError):
        _, waiting = await blob.get_block_list("all")
        return {block.id for block in waiting}
    return set()


def _block_id(upload: str, index: int, md5: str) -> str:
    """Return the id of a block; all ids of a blob must be of one length."""
    return base64.b64encode(f"{upload}{index:05}{md5}".encode()).decode()


def _tag(answer: Mapping[str, Any]) -> str:
    return str(answer["etag"]).strip('"')
