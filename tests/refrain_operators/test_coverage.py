"""Coverage: which steps a planning task may skip, so that nothing in the DAG can tell them from successes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator
from airflow.sdk import DAG, Asset, TaskGroup, task, task_group

from refrain import OutputFileDatasetConfig, PipelineData
from refrain.errors import UserError
from refrain_operators import Gathered, PythonScriptOperator, ReuseSensor
from refrain_operators.coverage import Coverage

Make = Callable[..., Any]


@pytest.fixture
def step(tmp_path: Path) -> Make:
    """Make a step operator that writes its own output, `out`, and reads those of the others that are named."""
    (tmp_path / "work.py").write_text("")

    def make(task_id: str, *read: Any, kind: type[PythonScriptOperator] = PythonScriptOperator, **settings: Any) -> Any:
        output = PipelineData(f"{task_id}_out")
        operator = kind(
            task_id=task_id,
            script_name="work.py",
            source_directory=str(tmp_path),
            inputs=[other.out for other in read],
            outputs=[output],
            **settings,
        )
        operator.out = output
        return operator

    return make


def _covered(sensor: Any) -> list[str]:
    return list(Coverage(sensor).steps)


def test_steps_that_follow_only_the_plan_and_each_other_are_covered(step: Make) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        with TaskGroup("group"):
            first = step("first")
        second = step("second", first)
        third = step("third", first, second)
        plan >> first
    assert _covered(plan) == ["group.first", "second", "third"]
    assert third.upstream_task_ids == {"group.first", "second"}


def test_a_step_behind_another_task_that_has_yet_to_end_is_left_to_itself(step: Make) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first, second = step("first"), step("second")
        other = EmptyOperator(task_id="other")
        plan >> [first, second, other]
        other >> second >> step("third", second)
    assert _covered(plan) == ["first"]


def test_what_is_right_before_the_plan_is_over_unless_it_is_a_branch(step: Make) -> None:
    with DAG("native"):
        check = EmptyOperator(task_id="check")
        branch = BranchPythonOperator(task_id="branch", python_callable=lambda: "plan")
        plan = ReuseSensor(task_id="plan")
        [check, branch] >> plan >> [behind_check := step("behind_check"), behind_branch := step("behind_branch")]
        check >> behind_check
        branch >> behind_branch
    assert _covered(plan) == ["behind_check"]


def test_a_plan_that_bears_skipped_tasks_before_it_knows_nothing_of_them(step: Make) -> None:
    with DAG("native"):
        check = EmptyOperator(task_id="check")
        plan = ReuseSensor(task_id="plan", trigger_rule="none_failed")
        [check, plan] >> step("first")
    assert _covered(plan) == []


def test_an_ordinary_task_that_asks_for_success_keeps_the_step_before_it(step: Make) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first = step("first")
        plan >> first >> EmptyOperator(task_id="patient", trigger_rule="none_failed")
        plan >> step("second") >> EmptyOperator(task_id="strict")
        plan >> step("third") >> EmptyOperator(task_id="choosy", trigger_rule="none_failed_min_one_success")
    assert _covered(plan) == ["first"]


@pytest.mark.parametrize(
    "settings",
    [
        {"on_success_callback": print},
        {"on_execute_callback": print},
        {"on_skipped_callback": print},
        {"pre_execute": print},
        {"outlets": [Asset("told")]},
        {"inlets": [Asset("read")]},
        {"depends_on_past": True},
        {"wait_for_downstream": True},
        {"trigger_rule": "all_done"},
    ],
)
def test_a_step_whose_success_would_be_noticed_is_left_to_itself(step: Make, settings: dict[str, Any]) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        plan >> step("noticed", **settings)
        plan >> step("alike", on_failure_callback=print)
    assert _covered(plan) == ["alike"]


@pytest.mark.parametrize(
    "settings", [{"queue": "gpu"}, {"executor_config": {"pod_override": "another image"}}, {"run_as_user": "trainer"}]
)
def test_a_step_that_airflow_runs_somewhere_else_is_left_to_itself(step: Make, settings: dict[str, Any]) -> None:
    with DAG("native"):
        plan, plan_there = ReuseSensor(task_id="plan"), ReuseSensor(task_id="plan_there", **settings)
        first = step("first", **settings)
        plan >> first
        plan_there >> step("second", **settings)
    assert _covered(plan) == []
    assert _covered(plan_there) == ["second"]


def test_a_step_that_registers_an_output_is_left_to_itself(step: Make, tmp_path: Path) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        plan >> PythonScriptOperator(
            task_id="register",
            script_name="work.py",
            source_directory=str(tmp_path),
            outputs=[OutputFileDatasetConfig("kept").register_on_complete(name="kept")],
        )
    assert _covered(plan) == []


def test_an_operator_that_does_more_than_a_step_is_left_to_itself(step: Make) -> None:
    class Telling(PythonScriptOperator):
        def post_execute(self, context: Any, result: Any = None) -> None:
            print("done")

    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        plan >> step("telling", kind=Telling)
    assert _covered(plan) == []


def test_a_mapped_step_is_left_to_itself_and_bears_a_skipped_one(step: Make, tmp_path: Path) -> None:
    script = {"script_name": "work.py", "source_directory": str(tmp_path)}
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first = step("first")
        output = PipelineData("model")
        mapped = PythonScriptOperator.partial(task_id="mapped", **script, inputs=[first.out], outputs=[output]).expand(
            arguments=[[1], [2]]
        )
        gather = PythonScriptOperator(task_id="gather", **script, inputs=[Gathered(mapped, "model")])
        plan >> first
    Coverage(plan).arrange()
    assert _covered(plan) == ["first"]
    assert (mapped.trigger_rule, mapped.partial_kwargs["planned_by"]) == ("none_failed", ("plan",))
    assert (gather.trigger_rule, gather.planned_by) == ("all_success", ())


def test_a_step_whose_reference_a_mapped_task_is_expanded_by_is_left_to_itself(step: Make) -> None:
    @task(trigger_rule="none_failed")
    def tell(name: str) -> None:
        print(name)

    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first = step("first")
        plan >> first
        tell.expand(name=first.output)
    assert _covered(plan) == []


def test_steps_in_a_mapped_group_are_left_to_themselves_and_so_is_what_is_before_them(step: Make) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first = step("first")

        @task_group
        def both(name: str) -> None:
            step("inside", first)

        plan >> first
        both.expand(name=["a", "b"])
    assert _covered(plan) == []


def test_a_plan_in_a_mapped_group_is_refused(step: Make) -> None:
    with DAG("native") as dag:

        @task_group
        def both(name: str) -> None:
            ReuseSensor(task_id="plan") >> step("inside")

        both.expand(name=["a", "b"])
    with pytest.raises(UserError, match=r"planning task 'both\.plan' is in a mapped task group\. Put it in front of"):
        dag.get_task("both.plan").prepare_template()


def test_steps_behind_covered_ones_may_start_and_keep_a_rule_of_their_own(step: Make) -> None:
    with DAG("native") as dag:
        plan = ReuseSensor(task_id="plan")
        first = step("first")
        second = step("second", first)
        other = EmptyOperator(task_id="other")
        mixed = step("mixed", first)
        own = step("own", first, trigger_rule="none_failed")
        behind = step("behind", mixed)
        plan >> first
        other >> mixed
    dag.resolve_template_files()  # as Airflow does, when it has read the file
    dag.resolve_template_files()
    found = {name.task_id: (name.trigger_rule.value, name.planned_by) for name in (first, second, mixed, own, behind)}
    assert found == {
        "first": ("all_success", ()),
        "second": ("none_failed", ("plan",)),
        "mixed": ("none_failed", ("plan",)),
        "own": ("none_failed", ()),
        "behind": ("all_success", ()),
    }


def test_two_plans_share_the_step_behind_both(step: Make) -> None:
    with DAG("native") as dag:
        plans = [ReuseSensor(task_id=f"plan_{number}") for number in (1, 2)]
        firsts = [step(f"first_{number}") for number in (1, 2)]
        last = step("last", *firsts)
        for plan, first in zip(plans, firsts, strict=True):
            plan >> first
    dag.resolve_template_files()
    assert [_covered(plan) for plan in plans] == [["first_1"], ["first_2"]]
    assert (last.trigger_rule, last.planned_by) == ("none_failed", ("plan_1", "plan_2"))


def test_covered_steps_with_an_ordinary_task_somewhere_behind_them_are_read_by_others(step: Make) -> None:
    with DAG("native"):
        plan = ReuseSensor(task_id="plan")
        first = step("first")
        second = step("second", first)
        step("third", first)
        plan >> [first, alone := step("alone")]
        own = step("own", second)
        own >> EmptyOperator(task_id="strict")
    assert Coverage(plan).read_by_others == {"first", "second"}
    assert alone.task_id in Coverage(plan).steps
