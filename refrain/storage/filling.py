"""Filling: the sign by which a folder says that it is not complete, for as long as a copy into it is under way.

An object store has no renaming of folders, so that half a folder is there for all to see. The sign is an object of its
own: readers of ours refuse such a folder, others see a name with a leading dot, which most of them pass over.
"""

from __future__ import annotations

import json
import os
import time

from refrain.errors import DataError

SIGN = ".refrain-incomplete"


def sign_for(source: str) -> bytes:
    """Return what the sign says, to people and to programs."""
    document = {
        "schema": 1,
        "what": "This folder is being filled by a copy, or a copy into it was interrupted. Do not read it yet.",
        "source": source,
        "host": os.uname().nodename,
        "process": os.getpid(),
        "begun": time.time(),
    }
    return json.dumps(document, indent=1).encode()


def filled_from(sign: bytes) -> str:
    """Return where the copy that left a sign comes from; empty when the sign does not say it."""
    try:
        return str(json.loads(sign)["source"])
    except (ValueError, KeyError, TypeError):
        return ""


def require_own(sign: bytes | None, folder: str, source: str) -> None:
    """Refuse to fill a folder that a copy from elsewhere fills: the first to end would declare both complete.

    :param sign: what the folder's sign says; None when it has none.
    :raises DataError: when another copy than that from *source* has left it.
    """
    if sign is not None and (found := filled_from(sign)) != source:
        raise DataError(
            f"{folder} is not complete: a copy into it from {found or 'elsewhere'} is under way or was interrupted. "
            f"Wait for it, or run it again; to give it up, delete {folder.rstrip('/')}/{SIGN}."
        )


def refusal(folder: str) -> str:
    """Return the message of whoever finds the sign."""
    return (
        f"{folder} is not complete: a copy into it is under way or was interrupted (it holds {SIGN}). Wait for the "
        "copy, or run it again: what has arrived is not copied again. To take it as it is, delete that object."
    )
