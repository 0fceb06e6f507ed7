"""S3 as streams: ranges of objects, and multipart uploads that a later try goes on with."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refrain.errors import DataError
from refrain.storage.filesystem import FileSystem
from refrain.storage.listing import Listed
from refrain.storage.parts import Part, etag_of
from refrain.storage.retry import TransientError
from refrain.storage.s3_client import blocking_client, call


def read_object(files: FileSystem, fs: Any, listed: Listed, start: int, end: int) -> bytes | None:
    """Return a range of an object; None when the object is no longer the one that was listed."""
    bucket, key, _ = fs.split_path(listed.uri)
    what = {"Bucket": bucket, "Key": key}
    if not listed.tag.startswith(("changed-", "unknown-")):
        what["IfMatch"] = f'"{listed.tag}"'
    if end - start < listed.size:
        what["Range"] = f"bytes={start}-{end - 1}"
    try:
        with contextlib.closing(call(fs, files.beside(blocking_client), "get_object", **what)["Body"]) as body:
            data: bytes = body.read()
    except OSError as error:
        if "PreconditionFailed" in f"{error!r} {error.__cause__!r}":
            return None
        raise
    return data


@dataclass(frozen=True)
class S3Writing:
    """See :class:`refrain.storage.streams.Writing`."""

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
        return _tag(self._call("put_object", md5, Body=data))

    def begin(self, size: int, upload: str | None, parts: Mapping[int, str]) -> tuple[str, dict[int, str]]:  # noqa: ARG002
        """See :class:`Writing`. Under a key of KMS no tag is an MD5, so that parts are sent again there."""
        if upload is not None:
            with contextlib.suppress(DataError):  # the store, or somebody, has given it up meanwhile
                there = self._parts(upload)
                return upload, {index: md5 for index, md5 in parts.items() if there.get(index) == md5}
        return str(self._call("create_multipart_upload")["UploadId"]), {}

    def write(self, upload: str, part: Part, data: bytes, md5: str) -> None:
        """See :class:`Writing`."""
        self._call("upload_part", md5, UploadId=upload, PartNumber=part.index + 1, Body=data)

    def finish(self, upload: str, size: int, sums: Sequence[str]) -> str:  # noqa: ARG002  # the parts have theirs
        """See :class:`Writing`."""
        wanted = etag_of(sums)
        there = self._parts(upload)
        parts = [{"PartNumber": index + 1, "ETag": f'"{there.get(index, "")}"'} for index in range(len(sums))]
        try:
            answer = self._call("complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts})
        except DataError:
            answer = self._call("head_object")  # an answer that was lost: the next try found no upload any more
            if _tag(answer) != wanted:
                raise
        tag = _tag(answer)
        if _is_sum(answer) and "-" in tag and tag != wanted:
            raise DataError(f"{self.url} did not arrive as it was sent: its tag is {tag}, not {wanted}. Run again.")
        return tag

    def abandon(self, upload: str) -> None:
        """See :class:`Writing`."""
        with contextlib.suppress(DataError):
            self._call("abort_multipart_upload", UploadId=upload)

    def _parts(self, upload: str) -> dict[int, str]:
        """Return the tags of all parts that the store has, by index."""
        there: dict[int, str] = {}
        marker = 0
        while True:
            page = self._call("list_parts", UploadId=upload, PartNumberMarker=marker)
            there |= {int(p["PartNumber"]) - 1: _tag(p) for p in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return there
            marker = int(page["NextPartNumberMarker"])

    def _call(self, operation: str, md5: str | None = None, **what: Any) -> dict[str, Any]:
        """Call the store for this object.

        :param md5: of the body: the store refuses another one, and has it as its tag, where that is one.
        """
        if md5 is not None:
            what["ContentMD5"] = base64.b64encode(bytes.fromhex(md5)).decode()

        def act(fs: Any) -> dict[str, Any]:
            bucket, key, _ = fs.split_path(self.url)
            answer = call(fs, self.files.beside(blocking_client), operation, Bucket=bucket, Key=key, **what)
            if md5 is not None and _is_sum(answer) and _tag(answer) != md5:
                raise TransientError(f"{self.url} did not arrive as it was sent: its tag is {_tag(answer)}, not {md5}.")
            return answer

        return self.files.call(f"write {self.url}", act)


def _tag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _is_sum(answer: Mapping[str, Any]) -> bool:
    """Say whether a tag is made of MD5s: not under a key of KMS, nor under one that the customer gives."""
    return "kms" not in str(answer.get("ServerSideEncryption", "")) and "SSECustomerAlgorithm" not in answer
