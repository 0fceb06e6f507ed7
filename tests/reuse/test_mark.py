"""Records that only writers with a key can make."""

import pytest

from fakes.project import Project
from refrain import PipelineData
from refrain.errors import CorruptObjectError, UnknownNameError, UserError
from refrain.reuse.decision import Verdict
from refrain.reuse.mark import RecordKey, record_mark_key

KEY = "correct horse battery"


def test_a_marked_record_is_what_was_marked():
    key = RecordKey(b"secret")
    assert key.unmarked(key.marked(b"content"), "ab") == b"content"


@pytest.mark.parametrize("position", range(len(RecordKey(b"secret").marked(b"content"))))
def test_any_changed_byte_of_a_marked_record_is_found(position):
    key = RecordKey(b"secret")
    stored = bytearray(key.marked(b"content"))
    stored[position] ^= 1
    with pytest.raises(CorruptObjectError, match="The reuse record ab does not carry the mark of this reader's"):
        key.unmarked(bytes(stored), "ab")


def test_without_a_key_marks_are_neither_made_nor_asked_for():
    assert RecordKey().marked(b"content") == b"content"
    assert RecordKey().unmarked(RecordKey(b"secret").marked(b"content"), "ab") == b"content"


def test_the_key_comes_from_the_variable_or_a_connection_and_is_never_shown(monkeypatch):
    assert record_mark_key() == RecordKey()
    monkeypatch.setenv("REFRAIN_RECORD_KEY_CONN_ID", "marks")
    with pytest.raises(UnknownNameError, match="There is no connection 'marks'"):
        record_mark_key()
    monkeypatch.setenv("AIRFLOW_CONN_MARKS", '{"password": "a password of a connection"}')
    assert record_mark_key().secret == b"a password of a connection"
    monkeypatch.setenv("REFRAIN_RECORD_KEY", KEY)
    assert record_mark_key().secret == KEY.encode()
    assert KEY not in repr(record_mark_key())


def test_a_key_that_anybody_could_guess_is_refused(monkeypatch):
    monkeypatch.setenv("REFRAIN_RECORD_KEY", "short")
    with pytest.raises(UserError, match="REFRAIN_RECORD_KEY has 5 characters; a key needs 16 at least, at random") as e:
        record_mark_key()
    assert "short" not in str(e.value)


@pytest.mark.parametrize("other", ["", "another key of somebody"])
def test_results_of_writers_without_the_key_are_not_reused_and_the_reason_is_said(tmp_path, monkeypatch, other):
    if other:
        monkeypatch.setenv("REFRAIN_RECORD_KEY", other)
    Project(tmp_path).run(Project(tmp_path).step("made", arguments=[PipelineData("out")]))
    monkeypatch.setenv("REFRAIN_RECORD_KEY", KEY)
    ran = Project(tmp_path).run(Project(tmp_path).step("made", arguments=[PipelineData("out")]))
    assert ran.verdict("made") is Verdict.RECORD_CORRUPT
    assert "does not carry the mark of this reader's REFRAIN_RECORD_KEY" in ran.heard.decisions["made"].sentence()
    again = Project(tmp_path).run(Project(tmp_path).step("made", arguments=[PipelineData("out")]))
    assert again.reused() == ["made"]
    monkeypatch.delenv("REFRAIN_RECORD_KEY")
    assert Project(tmp_path).run(Project(tmp_path).step("made", arguments=[PipelineData("out")])).reused() == ["made"]


def test_no_step_sees_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("REFRAIN_RECORD_KEY", KEY)
    code = "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)))"
    project = Project(tmp_path)
    ran = project.run(project.step("made", code, [PipelineData("out")]))
    assert KEY not in ran.text("made", "out")
