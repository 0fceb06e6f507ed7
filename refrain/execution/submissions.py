"""Submissions: jobs that were given to another system, noted so that none is ever given twice.

::

    <root>/jobs/<ab>/<scope>.json    the job that is making a result elsewhere

The note is written *before* the job is submitted, with a token of its own by which the other system knows a
submission again. Whoever comes later, after a kill at whatever moment, finds the note and submits by the same token
or, once that is noted, looks at the job by its id. The note goes when the job's end has been dealt with.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace

from refrain.errors import CorruptObjectError, WorkspaceSchemaError
from refrain.storage.digest import digest_bytes
from refrain.storage.objects import ObjectStore

SUBMISSIONS = "jobs"
_SCHEMA = 1


@dataclass(frozen=True)
class Submission:
    """A job that was, or is about to be, submitted.

    :param token: by which the other system knows that it is the same submission.
    :param step_run_id: of the step run that submitted it, to whose places it writes.
    :param conn_id: the connection by which it was submitted.
    :param job_id: None as long as no answer has been noted.
    :param followers: the other step runs that have gone on with the job.
    """

    token: str
    step_run_id: str
    conn_id: str
    job_id: int | None = None
    followers: tuple[str, ...] = ()


class Submissions:
    """The ``jobs/`` part of a workspace. A scope is 64 hexadecimal digits: what the job is for."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep the notes in *objects*."""
        self._objects = objects

    def find(self, scope: str) -> Submission | None:
        """Return the job of a scope; None when there is none.

        :raises CorruptObjectError: when the note is damaged.
        :raises WorkspaceSchemaError: when a newer Refrain submitted it, so that nobody submits a second.
        """
        content = self._objects.get(_key(scope))
        if content is None:
            return None
        try:
            document = json.loads(content)
            if document.pop("schema") > _SCHEMA:
                raise WorkspaceSchemaError(
                    f"A newer Refrain has submitted the job of {_key(scope)!r}; upgrade Refrain."
                )
            return Submission(**{**document, "followers": tuple(document.get("followers", ()))})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptObjectError(
                f"{self._objects.location(_key(scope))!r} is damaged. A job may be going on: look in Databricks, "
                "cancel it or let it end, and delete the file."
            ) from error

    def begin(self, scope: str, step_run_id: str, conn_id: str) -> Submission:
        """Note a job that is about to be submitted, unless one is noted; return the one that is."""
        made = Submission(secrets.token_hex(24), step_run_id, conn_id)
        if self._objects.create(_key(scope), _encode(made), may_repeat=True):
            return made
        return self.find(scope) or made

    def submitted(self, scope: str, submission: Submission, job_id: int) -> Submission:
        """Note a job's id."""
        known = replace(submission, job_id=job_id)
        self._objects.put(_key(scope), _encode(known))
        return known

    def follow(self, scope: str, submission: Submission, step_run_id: str) -> Submission:
        """Note that another step run goes on with a job, so that nobody ends it under that one."""
        if step_run_id in (submission.step_run_id, *submission.followers):
            return submission
        known = replace(submission, followers=(*submission.followers, step_run_id))
        self._objects.put(_key(scope), _encode(known))
        return known

    def settle(self, scope: str) -> None:
        """Forget a job whose end has been dealt with."""
        self._objects.delete(_key(scope))


def scope_of_one_run(root_id: str, key: str, fingerprint: str) -> str:
    """Return the scope of a job whose result no other pipeline run may share."""
    return digest_bytes(f"{root_id}\0{key}\0{fingerprint}".encode())


def _key(scope: str) -> str:
    return f"{SUBMISSIONS}/{scope[:2]}/{scope}.json"


def _encode(submission: Submission) -> bytes:
    return json.dumps({"schema": _SCHEMA, **asdict(submission)}).encode()
