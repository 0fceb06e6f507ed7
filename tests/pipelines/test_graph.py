"""Graph: from a tree of steps to a definition."""

import pytest

from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import PipelineData
from refrain.data.ports import FromStep
from refrain.errors import PipelineError
from refrain.pipelines.graph import key_stem
from refrain.steps.sequence import StepSequence


def after(pipeline):
    return {step.key: set(step.after) for step in pipeline.definition.steps}


def keys(pipeline):
    return [step.key for step in pipeline.definition.steps]


def refused(pipeline, message, steps, **options):
    with pytest.raises(PipelineError, match=message) as caught:
        pipeline(steps, **options)
    assert isinstance(caught.value, ValueError)  # what Azure ML raises


# ---- the tree of steps


def test_lists_nest_and_a_step_alone_is_a_list(pipeline, step):
    a, b, c = step("a"), step("b"), step("c")
    assert keys(pipeline([a, [b, [c]]])) == ["a", "b", "c"]
    assert keys(pipeline(a)) == ["a"]
    assert keys(pipeline((a, b))) == ["a", "b"]


def test_a_step_listed_twice_is_one_step(pipeline, step):
    a = step("a")
    assert keys(pipeline([a, [a]])) == ["a"]


def test_steps_without_a_reason_to_wait_do_not(pipeline, step):
    assert after(pipeline([step("a"), step("b")])) == {"a": set(), "b": set()}


def test_a_sequence_is_a_barrier(pipeline, step):
    a, b, c, d = (step(name) for name in "abcd")
    assert after(pipeline(StepSequence([[a, b], [c, d]]))) == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"a", "b"}}


def test_sequences_nest(pipeline, step):
    a, b, c, d = (step(name) for name in "abcd")
    found = after(pipeline(StepSequence([StepSequence([a, b]), [], [c, StepSequence([d])]])))
    assert found == {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "b"}}


def test_a_sequence_within_a_list_binds_only_its_own_steps(pipeline, step):
    a, b, c = (step(name) for name in "abc")
    assert after(pipeline([StepSequence([a, b]), c])) == {"a": set(), "b": {"a"}, "c": set()}


def test_a_step_in_two_parts_of_a_sequence_waits_for_itself_in_vain(pipeline, step):
    a, b = step("a"), step("b")
    refused(pipeline, "Cycle detected, each of these steps waits for the next: a → b → a", StepSequence([a, b, a]))


def test_data_among_the_steps_stands_for_its_producer(pipeline, step):
    data = PipelineData("d")
    step("a", outputs=[data])
    assert keys(pipeline([data])) == ["a"]
    assert after(pipeline(StepSequence([data, step("b")]))) == {"a": set(), "b": {"a"}}


def test_data_among_the_steps_without_a_producer_is_refused(pipeline):
    refused(pipeline, "PipelineData 'd' stands among the steps, but no step has it as an output", [PipelineData("d")])


@pytest.mark.parametrize("wrong", ["text", 5, None, {"a": 1}, OutputFileDatasetConfig("o")])
def test_anything_else_is_refused(pipeline, step, wrong):
    refused(pipeline, "cannot be part of a pipeline. Give steps, lists of steps, StepSequence or PipelineData", [wrong])


# ---- the closure


def test_a_step_alone_pulls_in_all_that_it_depends_on(pipeline, step):
    raw, model = PipelineData("raw"), OutputFileDatasetConfig("model")
    first = step("first")
    extract = step("extract", outputs=[raw])
    extract.run_after(first)
    step("train", inputs=[raw], arguments=[model])
    compare = step("compare", inputs=[model.as_input("m")])
    found = pipeline(compare)
    assert keys(found) == ["first", "extract", "train", "compare"]
    assert after(found)["extract"] == {"first"}


def test_without_the_closure_a_missing_producer_is_refused(pipeline, step):
    raw = PipelineData("raw")
    step("extract", outputs=[raw])
    message = "Step 'train' reads 'raw', but no step of the pipeline has it among its outputs"
    refused(pipeline, message, step("train", inputs=[raw]), resolve_closure=False)


def test_without_the_closure_a_missing_predecessor_is_refused(pipeline, step):
    train = step("train")
    train.run_after(step("first"))
    refused(
        pipeline, "Step 'first' is waited for by run_after, but is not in the pipeline", train, resolve_closure=False
    )


def test_without_the_closure_a_complete_pipeline_is_built(pipeline, step):
    raw = PipelineData("raw")
    a, b = step("a", outputs=[raw]), step("b", inputs=[raw])
    assert keys(pipeline([b, a], resolve_closure=False)) == ["a", "b"]


def test_a_cell_that_is_run_again_makes_a_new_producer(pipeline, step):
    """In a notebook the data object stays while its step is made anew."""
    raw = PipelineData("raw")
    step("old", outputs=[raw])
    new = step("new", outputs=[raw])
    read = step("read", inputs=[raw])
    assert keys(pipeline(read)) == ["new", "read"]
    assert keys(pipeline([read, new])) == ["new", "read"]
    assert keys(pipeline([raw])) == ["new"]


def test_a_producer_that_is_listed_is_taken_even_if_a_newer_one_was_made(pipeline, step):
    raw = PipelineData("raw")
    old = step("old", outputs=[raw])
    step("new", outputs=[raw])
    assert keys(pipeline([old, step("read", inputs=[raw]), raw])) == ["old", "read"]


def test_two_producers_of_one_output_are_refused(pipeline, step):
    raw, out = PipelineData("raw"), OutputFileDatasetConfig("o")
    message = "The output '.*' has two producers, 'a' and 'b'. Give each step an output object of its own"
    refused(pipeline, message, [step("a", outputs=[raw]), step("b", outputs=[raw])])
    refused(pipeline, message, [step("a", outputs=[out]), step("b", arguments=[out.as_upload()])])


def test_two_names_for_one_output_read_the_same(pipeline, step):
    out = OutputFileDatasetConfig("o")
    make = step("make", outputs=[out.register_on_complete("d")])
    found = pipeline([make, step("read", inputs=[out.as_input("x")])]).definition.step("read")
    assert found.inputs[0].source == FromStep("make", "o")


# ---- circles


def test_steps_that_wait_for_each_other_are_refused(pipeline, step):
    a, b = step("a"), step("b")
    a.run_after(b)
    b.run_after(a)
    refused(pipeline, "Cycle detected, each of these steps waits for the next: a → b → a", a)


def test_a_circle_of_data_and_waiting_is_refused(pipeline, step):
    raw = PipelineData("raw")
    a = step("a", outputs=[raw])
    b = step("b", inputs=[raw])
    a.run_after(b)
    refused(pipeline, "Cycle detected", [b])


def test_a_step_that_reads_its_own_output_is_refused(pipeline, step):
    raw = PipelineData("raw")
    refused(
        pipeline,
        "Cycle detected, each of these steps waits for the next: a → a",
        step("a", inputs=[raw], outputs=[raw]),
    )


# ---- keys


def test_keys_are_unique_and_names_need_not_be(pipeline, step):
    found = pipeline([step(), step(), step("train_2"), step()])
    assert keys(found) == ["train", "train_2", "train_2_2", "train_3"]
    assert [s.name for s in found.definition.steps] == ["train.py", "train.py", "train_2", "train.py"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("train.py", "train"),
        ("prepare data.py", "prepare_data"),
        ("a/b.c", "a_b_c"),
        ("über", "ber"),
        ("..", "step"),
        ("日本", "step"),
        ("../../etc", "etc"),
        ("x" * 1000, "x" * 150),
        ("a-b_C9", "a-b_C9"),
    ],
)
def test_a_key_is_fit_for_files_and_tasks(name, key):
    assert key_stem(name) == key


# ---- parameters and outputs


def test_parameters_are_gathered_from_all_steps(pipeline, step):
    n, m = PipelineParameter("n", 1), PipelineParameter("m", "x")
    found = pipeline(
        [step("a", arguments=[n]), step("b", arguments=[n, m], params={"x": PipelineParameter("k", True)})]
    )
    assert [p.name for p in found.definition.parameters] == ["n", "m", "k"]


@pytest.mark.parametrize("other", [2, 1.0, True, "1"])
def test_two_parameters_of_one_name_with_different_defaults_are_refused(pipeline, step, other):
    steps = [step("a", arguments=[PipelineParameter("n", 1)]), step("b", arguments=[PipelineParameter("n", other)])]
    message = (
        rf"Two pipeline parameters are called 'n', with the default 1 .* and with the default {other!r} .*\. Use one"
    )
    refused(pipeline, message, steps)


def test_two_parameters_of_one_name_that_differ_in_reuse_are_refused(pipeline, step):
    one, other = PipelineParameter("n", 1), PipelineParameter("n", 1, affects_reuse=False)
    refused(
        pipeline, "affects_reuse=True.*affects_reuse=False", [step("a", arguments=[one]), step("b", arguments=[other])]
    )


def test_equal_parameters_are_one(pipeline, step):
    found = pipeline([step(name, arguments=[PipelineParameter("n", 1)]) for name in "ab"])
    assert len(found.definition.parameters) == 1


def test_named_outputs_belong_to_the_pipeline(pipeline, step):
    data = PipelineData("d", output_name="out", pipeline_output_name="result")
    assert pipeline(step("a", outputs=[data])).definition.outputs == (("result", FromStep("a", "out")),)


def test_two_pipeline_outputs_of_one_name_are_refused(pipeline, step):
    data = [PipelineData(name, pipeline_output_name="result") for name in "ab"]
    refused(pipeline, "Two outputs have the pipeline_output_name 'result'; it must be unique", step("a", outputs=data))
