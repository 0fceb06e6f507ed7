"""What the system says of a file is told with the way out."""

from __future__ import annotations

import errno
import os

import pytest

from refrain.errors import why


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "No space left on device. Make room there."),
        (errno.EDQUOT, "Disk quota exceeded. Make room there, or have the quota raised."),
        (errno.EROFS, "Read-only file system. Mount it for writing."),
        (errno.EACCES, "Permission denied. Let the user who runs this write there."),
        (errno.ENOTDIR, "Not a directory."),
    ],
)
def test_an_error_of_a_file_names_the_way_out(number: int, told: str) -> None:
    assert why(OSError(number, os.strerror(number))) == told


def test_there_may_be_another_way_out() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert why(full, "copy to another place") == "No space left on device. Make room there, or copy to another place."
    assert why(OSError(errno.EIO, "Input/output error"), "copy to another place") == "Input/output error."
