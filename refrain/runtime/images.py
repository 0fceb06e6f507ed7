"""Images: recognised by their first bytes, whatever their names say, and drawn from plots."""

from __future__ import annotations

import os

from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException

# Offset, bytes, format.
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"BM", "bmp"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (8, b"WEBP", "webp"),
    (0, b"\x76\x2f\x31\x01", "exr"),
)


def image_format(start: bytes) -> str | None:
    """Return the format of the image that begins with *start*, or None."""
    for offset, signature, name in _SIGNATURES:
        if start[offset : offset + len(signature)] == signature:
            return name
    is_netpbm = start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace()
    return "pnm" if is_netpbm else None


def check_image(path: str, metric: str) -> None:
    """Make sure that the file at *path* holds an image.

    :raises ArtifactNotFoundException: if there is no such file.
    :raises UserErrorException: if it holds something else.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(16)
    except (FileNotFoundError, IsADirectoryError):
        raise ArtifactNotFoundException(
            f"Image '{metric}' cannot be logged: there is no file at '{path}'. Save the plot before logging it."
        ) from None
    if image_format(start) is None:
        raise UserErrorException(
            f"Image '{metric}' cannot be logged: '{path}' does not hold an image that is known by its content "
            "(png, jpeg, gif, bmp, tiff, webp, exr, pnm). Store any other file with run.upload_file(name, path)."
        )


def artifact_of(path: str) -> str:
    """Name the artifact of the image at *path*: its path below the working directory, elsewhere its file name."""
    relative = os.path.relpath(path).replace(os.sep, "/")
    return os.path.basename(path) if relative.startswith("../") else relative


def drawn(plot: object, metric: str) -> bytes:
    """Return *plot* (a figure, or the module pyplot) as the bytes of a PNG file."""
    from io import BytesIO

    save = getattr(plot, "savefig", None)
    if save is None:
        raise UserErrorException(
            f"Image '{metric}' got a {type(plot).__name__} as its plot, which has no savefig. "
            "Give a matplotlib figure or pyplot, or save the picture and give its path."
        )
    buffer = BytesIO()
    save(buffer, format="png")
    return buffer.getvalue()
