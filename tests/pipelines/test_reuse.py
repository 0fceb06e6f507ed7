"""The results that a workspace keeps, in the hands of its users."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from fakes.project import COPIES, WRITES, Project, Ran
from refrain import PipelineData
from refrain.errors import RunNotFoundError, UserError
from refrain.pipelines.reuse import Results, Reuse
from refrain.reuse.decision import Verdict


@pytest.fixture
def reuse(project: Project) -> Reuse:
    return project.workspace.reuse


def _run(project: Project, text: str = "text", name: str = "project", *, force: bool = False) -> Ran:
    out, copy = PipelineData("out"), PipelineData("copy")
    return project.run(
        project.step("write", WRITES, [out, text]),
        project.step("copy", COPIES, [out, copy], inputs=[out]),
        force=force,
        name=name,
    )


def test_a_pinned_run_keeps_its_results_through_forced_ones_until_it_is_unpinned(
    project: Project, reuse: Reuse
) -> None:
    first = _run(project)
    assert len(reuse.pin(first.id, "the baseline")) == 2
    _run(project, force=True)
    assert _run(project).result("write").reused_from == first.result("write").run_id
    assert len(reuse.unpin(first.id)) == 2
    assert reuse.unpin(first.id) == []
    forced = _run(project, force=True)
    assert _run(project).result("write").reused_from == forced.result("write").run_id


def test_a_reused_step_pins_the_result_that_stands_for_it(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    second = _run(project)
    (pinned,) = reuse.pin(second.step("write").run_id)
    assert pinned.run_id == first.step("write").run_id


def test_what_is_not_kept_cannot_be_pinned(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    second = _run(project, force=True)
    replaced = first.step("write").run_id
    with pytest.raises(
        UserError, match=re.escape(f"The result of {replaced} was replaced by that of {second.id}.write.1")
    ):
        reuse.pin(replaced)
    reuse.forget(Results(run=second.id))
    with pytest.raises(UserError, match=r"is not kept for reuse: somebody asked for that\. Run the step again"):
        reuse.pin(second.step("write").run_id)
    with pytest.raises(RunNotFoundError):
        reuse.pin("0" * 32)


def test_a_forgotten_result_is_not_used_again_and_says_so(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    found = reuse.forget(Results(run=first.step("write").run_id))
    assert [record.run_id for record in found.results] == [first.step("write").run_id]
    second = _run(project)
    assert second.verdict("write") is Verdict.FORGOTTEN
    assert second.verdict("copy") is Verdict.REUSED, "the same bytes were written again"
    assert first.path("write", "out").exists(), "its data is left to the cleaning"
    assert "somebody asked for that (noticed on " in str(second.step("write").decision["detail"])
    assert _run(project).verdict("write") is Verdict.REUSED


def test_forgetting_can_be_tried_first(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    assert len(reuse.forget(Results(run=first.id), is_dry=True).results) == 2
    assert _run(project).reused() == ["copy", "write"]


def test_a_pinned_result_is_spared(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    reuse.pin(first.step("write").run_id)
    found = reuse.forget(Results(pipeline="project"))
    assert [[r.step for r in records] for records in (found.results, found.spared)] == [["copy"], ["write"]]
    assert _run(project).verdict("write") is Verdict.REUSED


def test_results_are_meant_by_step_pipeline_fingerprint_run_and_age(project: Project, reuse: Reuse) -> None:
    one, other = _run(project, "one"), _run(project, "other", name="other")
    fingerprint = one.step("write").fingerprint

    def meant(which: Results) -> list[str]:
        return sorted(record.run_id for record in reuse.forget(which, is_dry=True).results)

    def of(ran: Ran, *keys: str) -> list[str]:
        return [f"{ran.id}.{key}.1" for key in keys]

    assert meant(Results(step="write")) == sorted(of(one, "write") + of(other, "write"))
    assert meant(Results(pipeline="other")) == of(other, "copy", "write")
    assert meant(Results(pipeline="other", step="copy")) == of(other, "copy")
    assert meant(Results(fingerprint=fingerprint[:8])) == of(one, "write")
    assert meant(Results(fingerprint=fingerprint, pipeline="other")) == []
    assert meant(Results(run=one.id)) == of(one, "copy", "write")
    assert meant(Results(run="0" * 32)) == []
    assert meant(Results(older_than=3600)) == []
    assert len(meant(Results(older_than=0))) == 4


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (Results(), "Say which results"),
        (Results(fingerprint="abc"), "The fingerprint 'abc' is too short; give 8 digits"),
    ],
)
def test_nobody_forgets_everything_by_mistake(reuse: Reuse, which: Results, message: str) -> None:
    with pytest.raises(UserError, match=message):
        reuse.forget(which)


def test_a_run_s_reused_steps_are_not_forgotten_with_it(project: Project, reuse: Reuse) -> None:
    _run(project)
    second = _run(project)
    assert reuse.forget(Results(run=second.id)).results == ()


def test_counts_say_what_was_reused_why_the_rest_ran_and_what_is_kept(project: Project, reuse: Reuse) -> None:
    first = _run(project)
    _run(project)
    _run(project, "changed")
    copy, write = reuse.stats()
    assert (write.key, write.hits, write.misses) == ("write", 1, Counter({"first run": 1, "changed": 1}))
    assert (write.results, write.bytes) == (2, len("text") + len("changed"))
    assert write.seconds_saved == pytest.approx(first.step("write").seconds, abs=0.05)
    assert (copy.hits, copy.misses.total(), copy.results) == (1, 2, 2)
    assert [stats.key for stats in reuse.stats("project", "copy")] == ["copy"]
    assert reuse.stats("another") == []
