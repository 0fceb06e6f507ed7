"""Looking at outputs elsewhere: at the same time as at the record, and never at anything else than what it names."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fakes.project import Project
from refrain import PipelineData
from refrain.reuse.decision import Decision, Verdict
from refrain.reuse.record import RecordStore


class MeetingFileSystem(MemoryFileSystem):
    """The memory of this process, in which requests wait for each other: those that come one by one fail."""

    protocol = "meeting"
    cachable = False
    requests: ClassVar[Counter[str]] = Counter()
    meeting: ClassVar[threading.Barrier | None] = None

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return MemoryFileSystem._strip_protocol(str(path).replace("meeting://", "memory://", 1))

    def _requested(self, kind: str) -> None:
        self.requests[kind] += 1
        if self.meeting is not None:
            self.meeting.wait(60)

    def cat_file(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        self._requested("read")
        return super().cat_file(path, *args, **kwargs)

    def find(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        self._requested("list")
        return super().find(path, *args, **kwargs)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    fsspec.register_implementation("meeting", MeetingFileSystem, clobber=True)
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(MeetingFileSystem, "meeting", None)
    return Project(tmp_path, f"meeting://{uuid.uuid4().hex}")


BOTH = "import sys; open(sys.argv[1], 'w').write('a'); open(sys.argv[2], 'w').write('b')"


@pytest.fixture
def made(project: Project) -> Project:
    ran = project.run(_step(project))
    assert ran.status == "Completed", ran.outcome.errors
    return project


def _step(project: Project) -> Any:
    return project.step("made", BOTH, [PipelineData("out"), PipelineData("more")])


def _decide(project: Project) -> Decision:
    runner, _ = project.runner(_step(project))
    engine = runner._engine
    assert engine._verification is not None  # a run's settings are asked for once
    engine.state.datastores.of_files()
    MeetingFileSystem.requests.clear()
    decision = runner.explain()["made"]
    assert isinstance(decision, Decision)
    return decision


def test_a_machine_that_has_seen_a_result_decides_on_it_in_one_round_trip(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _decide(made).is_reused
    monkeypatch.setattr(MeetingFileSystem, "meeting", threading.Barrier(3))  # the record, and two outputs
    assert _decide(made).is_reused
    assert MeetingFileSystem.requests == {"read": 1, "list": 2}


def test_a_machine_that_has_not_needs_one_more_for_each_kind_of_thing(made: Project) -> None:
    assert _decide(made).is_reused
    assert MeetingFileSystem.requests == {"read": 3, "list": 2}


def test_what_a_copy_says_counts_for_nothing(made: Project) -> None:
    """The record itself decides, however old, wrong or damaged the copy of this machine is."""
    assert _decide(made).is_reused
    copies = made.state.copies
    assert copies is not None
    (record,) = RecordStore(made.state.objects).all()
    key = f"reuse/{record.fingerprint[:2]}/{record.fingerprint}.json"
    copies.put(key, b"damaged")
    assert _decide(made).is_reused
    made.state.objects.put(key, b"damaged")
    assert _decide(made).verdict is Verdict.RECORD_CORRUPT
    made.state.objects.delete(key)
    assert _decide(made).verdict is Verdict.FIRST


def test_an_output_that_is_gone_is_noticed_whatever_was_seen_before(made: Project) -> None:
    assert _decide(made).is_reused
    (record,) = RecordStore(made.state.objects).all()
    place = made.state.stores.at(record.outputs["out"].uri)
    place.store.remove(place.path)
    assert _decide(made).verdict is Verdict.OUTPUT_MISSING
