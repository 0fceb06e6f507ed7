"""Wiring: what becomes an input, an output, a word of the command line or an environment variable."""

import datetime
import decimal
from pathlib import Path

import pytest

from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.dataset import Dataset
from refrain.data.models.reference import ModelInput
from refrain.data.output_config import OutputFileDatasetConfig
from refrain.data.parameters import PipelineParameter
from refrain.data.pipeline_data import PipelineData
from refrain.data.ports import (
    FromDatastore,
    FromFiles,
    FromModel,
    FromStep,
    InputMode,
    InputPort,
    OutputKind,
    OutputMode,
    OutputPort,
    Registration,
)
from refrain.errors import PipelineError, UserError
from refrain.steps.command import InputPath, Interpreter, Literal, OutputPath, ParameterValue


def arguments(definition):
    assert definition.command[:2] == (Interpreter(), Literal("train.py"))
    return definition.command[2:]


def refused(define, message, *steps):
    with pytest.raises(PipelineError, match=message) as caught:
        define(*steps)
    assert isinstance(caught.value, ValueError)  # what Azure ML raises


# ---- arguments


def test_texts_and_numbers_become_text(step, define):
    values = ["--rate", 0.1, 3, True, None, Path("/x"), decimal.Decimal("1.50"), datetime.date(2026, 1, 2), [1, "a"]]
    words = ["--rate", "0.1", "3", "True", "None", "/x", "1.50", "2026-01-02", "[1, 'a']"]
    assert arguments(define(step(*values))) == tuple(Literal(word) for word in words)


def test_data_is_a_place_and_never_a_path(step, define, store):
    data, reference = PipelineData("d"), store.path("raw", "r")
    maker = step(data, outputs=[data], name="maker")
    reader = step("--in", data, reference, inputs=[data, reference])
    assert arguments(define(maker)) == (OutputPath("d"),)
    assert arguments(define(maker, reader)) == (Literal("--in"), InputPath("d"), InputPath("r"))


def test_an_argument_means_the_input_where_the_step_reads_the_data(step, define):
    data = PipelineData("d")
    bound = data.as_input("other")
    found = define(step(outputs=[data], name="maker"), step(bound, data, inputs=[bound]))
    assert arguments(found) == (InputPath("other"), InputPath("other"))


@pytest.mark.parametrize("form", [lambda d: d, lambda d: d.as_mount(), lambda d: d.as_download("x")])
def test_data_that_is_neither_input_nor_output_is_refused(step, define, form):
    data = PipelineData("d")
    message = (
        "Step 'train.py': the argument '.' is data, but neither among the step's inputs nor its outputs. Add it to"
    )
    refused(define, message, step(outputs=[data], name="maker"), step(form(data)))


def test_a_reference_that_is_no_input_is_refused(step, define, store):
    refused(define, "the argument 'r' is data, but neither among", step(store.path("a", "r")))
    refused(define, r"the argument DataReference\(.* is data, but neither among", step(store.path("a")))


@pytest.mark.parametrize("wrap", [list, tuple, set, lambda items: dict.fromkeys("a", items[0])])
def test_data_inside_of_a_list_is_refused(step, define, wrap):
    data = PipelineData("d")
    refused(define, "the argument 'd' is data.*pass it by itself", step(wrap([data]), outputs=[data]))


def test_an_object_without_a_text_is_refused(step, define):
    """Its address would be another one in each process, so that the step would never be reused."""
    refused(define, "the argument <object object at 0x.*> has no text form, only an address", step(object()))
    refused(define, "has no text form", step(lambda: 1))


def test_a_text_that_looks_like_an_address_is_a_text(step, define):
    assert arguments(define(step("<object at 0x7f>"))) == (Literal("<object at 0x7f>"),)


# ---- parameters


def test_a_parameter_in_the_arguments_is_a_variable_too(step, define):
    found = define(step("--n", PipelineParameter("n", 3)))
    assert arguments(found) == (Literal("--n"), ParameterValue("n"))
    assert found.parameters == (("n", ParameterValue("n")),)


def test_params_become_variables(step, define):
    found = define(step(params={"b": PipelineParameter("n", 3), "a": 1.5, "c": "x"}))
    assert found.parameters == (("a", Literal("1.5")), ("b", ParameterValue("n")), ("c", Literal("x")))


@pytest.mark.parametrize("swap", [False, True])
def test_a_text_can_name_a_parameter_wherever_it_stands(step, define, swap):
    words = ["parameter:a", "parameter:n", "parameter:other", "x parameter:a", PipelineParameter("n", 1)]
    found = define(step(*(reversed(words) if swap else words), params={"a": 5}))
    tokens = (
        Literal("5"),
        ParameterValue("n"),
        Literal("parameter:other"),
        Literal("x parameter:a"),
        ParameterValue("n"),
    )
    assert arguments(found) == (tuple(reversed(tokens)) if swap else tokens)


def test_params_may_repeat_a_parameter_but_not_contradict_it(step, define):
    n = PipelineParameter("n", 3)
    assert define(step(n, params={"n": n})).parameters == (("n", ParameterValue("n")),)
    refused(
        define, "params already has a 'n', and so is a pipeline parameter in its arguments", step(n, params={"n": 4})
    )


def test_a_variable_has_only_letters_digits_and_underscores(step, define):
    assert define(step(params={"learning rate-1=é": 1})).parameters == (("learning_rate_1__", Literal("1")),)
    refused(define, "two of its parameters become the variable 'AML_PARAMETER_a_b'", step(params={"a-b": 1, "a b": 2}))


def test_params_take_no_data(step, define):
    refused(define, "the argument 'd' is data", step(params={"x": PipelineData("d")}))


# ---- outputs


def test_pipeline_data_becomes_an_output(step, define, store):
    data = PipelineData("d", store, "out", "upload", "here", True, is_directory=True)
    assert define(step(outputs=[data])).outputs == (
        OutputPort(
            "out",
            "workspaceblobstore",
            "azureml/{run-id}/{output-name}",
            OutputKind.DIRECTORY,
            OutputMode.UPLOAD,
            "here",
            True,
        ),
    )
    assert define(step(outputs=[PipelineData("d")])).outputs == (
        OutputPort("d", "workspaceblobstore", "azureml/{run-id}/{output-name}"),
    )


def test_an_output_configuration_becomes_an_output(step, define):
    mounted = OutputFileDatasetConfig("o").register_on_complete("data", "text", {"k": "v"})
    assert define(step(outputs=[mounted])).outputs == (
        OutputPort(
            "o",
            "workspaceblobstore",
            "dataset/{run-id}/{output-name}",
            OutputKind.DIRECTORY,
            overwrite=True,
            registration=Registration("data", "text", (("k", "v"),)),
            is_dataset=True,
        ),
    )


@pytest.mark.parametrize(("written", "place"), [(None, "o"), ("made/here", "made/here")])
def test_an_uploaded_output_is_written_at_its_source(step, define, written, place):
    port = define(step(outputs=[OutputFileDatasetConfig("o", source=written).as_upload(True, ["*.csv"])])).outputs[0]
    assert (port.mode, port.path_on_compute, port.overwrite, port.globs) == (OutputMode.UPLOAD, place, True, ("*.csv",))


def test_an_upload_does_not_replace_files_unless_told_so(step, define):
    assert define(step(outputs=[OutputFileDatasetConfig("o").as_upload()])).outputs[0].overwrite is False


def test_a_reference_in_upload_mode_becomes_an_output(step, define, store):
    reference = store.path("a/b", "r").as_upload("here", overwrite=True)
    port = OutputPort("r", "workspaceblobstore", "a/b", mode=OutputMode.UPLOAD, path_on_compute="here", overwrite=True)
    assert define(step(reference, outputs=[reference])).outputs == (port,)


def test_a_reference_to_upload_needs_a_place(step, define, store):
    message = r"the output 'r' is uploaded and needs path_on_compute: reference.as_upload\(path_on_compute"
    refused(define, message, step(outputs=[store.path("a", "r").as_upload()]))


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_what_cannot_be_an_output_is_refused(step, define, store, wrong):
    refused(
        define, f"{wrong!r} cannot be an output. Use PipelineData, OutputFileDatasetConfig or", step(outputs=[wrong])
    )


def test_a_reference_that_is_read_cannot_be_an_output(step, define, store):
    refused(define, "cannot be an output", step(outputs=[store.path("a", "r")]))


def test_an_output_configuration_in_the_arguments_alone_is_an_output(step, define):
    output = OutputFileDatasetConfig("o")
    found = define(step("--out", output))
    assert [port.name for port in found.outputs] == ["o"]
    assert arguments(found) == (Literal("--out"), OutputPath("o"))


def test_a_copy_in_the_outputs_and_its_original_in_the_arguments_are_one_output(step, define):
    output = OutputFileDatasetConfig("o")
    found = define(step(output, output.as_mount(), outputs=[output.register_on_complete("data")]))
    assert [(port.name, port.registration) for port in found.outputs] == [("o", Registration("data"))]
    assert arguments(found) == (OutputPath("o"), OutputPath("o"))


@pytest.mark.parametrize("consume", [lambda o: o, lambda o: o.as_input("x"), lambda o: o.as_upload()])
def test_an_output_that_the_step_reads_is_not_its_own(step, define, consume):
    output = OutputFileDatasetConfig("o")
    maker = step(output, name="maker")
    found = define(maker, step(output, inputs=[consume(output)]))
    assert found.outputs == ()
    assert isinstance(arguments(found)[0], InputPath)
    assert found.inputs[0].source == FromStep("maker", "o")


# ---- inputs


def test_inputs_of_every_kind(step, define, store, tmp_path):
    data, output = PipelineData("d", output_name="out"), OutputFileDatasetConfig("o")
    maker = step(output, outputs=[data], name="maker")
    files = Dataset.File.from_files(tmp_path)
    reader = step(
        inputs=[
            data.as_download("copy", "here"),
            output,
            output.as_input("again"),
            store.path("a", "place"),
            store.path("b", "fetched").as_download("there"),
            files.as_named_input("files"),
            files.as_named_input("mounted").as_mount(),
            files.take(1).as_named_input("chosen").as_mount(),
        ]
    )
    made, source = FromStep("maker", "out"), FromStep("maker", "o")
    here = FromFiles(((None, str(tmp_path)),))
    assert define(maker, reader).inputs == (
        InputPort("copy", made, InputMode.DOWNLOAD, "here"),
        InputPort("o", source, is_dataset=True),
        InputPort("again", source, is_dataset=True),
        InputPort("place", FromDatastore("workspaceblobstore", "a")),
        InputPort("fetched", FromDatastore("workspaceblobstore", "b"), InputMode.DOWNLOAD, "there"),
        InputPort("files", here, InputMode.DIRECT, is_dataset=True, recipe=files.recipe),
        InputPort("mounted", here, is_dataset=True),
        InputPort("chosen", here, is_dataset=True, recipe=files.take(1).recipe),
    )


def test_a_named_dataset_in_the_arguments_alone_is_an_input(step, define, tmp_path):
    named = Dataset.File.from_files(tmp_path).as_named_input("raw").as_mount()
    found = define(step("--in", named))
    assert [(port.name, port.mode) for port in found.inputs] == [("raw", InputMode.MOUNT)]
    assert arguments(found) == (Literal("--in"), InputPath("raw"))


def test_a_dataset_both_in_inputs_and_arguments_is_one_input(step, define, tmp_path):
    named = Dataset.File.from_files(tmp_path).as_named_input("raw")
    assert len(define(step(named, named, inputs=[named, named])).inputs) == 1


def test_a_dataset_by_itself_is_refused_with_the_way_out(step, define, tmp_path):
    files = Dataset.File.from_files(tmp_path)
    way_out = r"by itself; pass dataset.as_named_input\('name'\).as_mount\(\)"
    refused(define, f"a dataset cannot be an argument {way_out}", step(files))
    refused(define, f"a dataset cannot be an input {way_out}", step(inputs=[files]))


def test_a_reference_in_upload_mode_is_no_input(step, define, store):
    refused(
        define,
        r"DataReference 'r' is in upload mode, so it belongs in outputs=\[…\], not in inputs=",
        step(inputs=[store.path("a", "r").as_upload("x")]),
    )


@pytest.mark.parametrize("wrong", ["text", 5, None])
def test_what_cannot_be_an_input_is_refused(step, define, wrong):
    refused(define, f"{wrong!r} cannot be an input. Use PipelineData, a named dataset input,", step(inputs=[wrong]))


def test_a_dataset_input_of_something_else_is_refused(step, define):
    refused(define, "input 'x' has 'text', which is no dataset", step(inputs=[DatasetConsumptionConfig("x", "text")]))


def test_data_without_a_producer_is_refused(step, define):
    message = "Step 'train.py' reads 'd', but no step of the pipeline has it among its outputs. Add it to the producing"
    refused(define, message, step(inputs=[PipelineData("d")]))
    refused(define, message, step(inputs=[OutputFileDatasetConfig("o").as_input("d")]))


# ---- names


def test_two_inputs_of_one_name_are_refused(step, define):
    data = PipelineData("d")
    message = r"has two inputs called 'd'; give one another name, for instance with as_input\(…\)"
    refused(define, message, step(outputs=[data], name="maker"), step(inputs=[data, data.as_mount()]))


def test_two_outputs_of_one_name_are_refused(step, define):
    message = "has two outputs called 'd'; give one another name, for instance with output_name=…"
    refused(define, message, step(outputs=[PipelineData("d"), PipelineData("x", output_name="d")]))


def test_one_output_twice_is_refused(step, define):
    data = PipelineData("d")
    refused(define, "has two outputs called 'd'", step(outputs=[data, data]))


def test_an_input_called_like_an_output_is_renamed_in_the_arguments_too(step, define):
    read, written = PipelineData("model"), PipelineData("model")
    maker = step(outputs=[read], name="maker")
    found = define(maker, step(read, written, inputs=[read], outputs=[written]))
    assert [port.name for port in found.inputs] == ["INPUT_model"]
    assert [port.name for port in found.outputs] == ["model"]
    assert arguments(found) == (InputPath("INPUT_model"), OutputPath("model"))


def test_a_name_taken_by_renaming_is_refused(step, define):
    one, other, written = PipelineData("a"), PipelineData("INPUT_a"), PipelineData("a")
    maker = step(outputs=[one, other], name="maker")
    refused(define, "has two inputs called 'INPUT_a'", maker, step(inputs=[other, one], outputs=[written]))
    refused(define, "has two inputs called 'INPUT_a'", maker, step(inputs=[one, other], outputs=[written]))


def test_names_that_are_left_out_are_given_by_position(step, define, store, tmp_path):
    """They are the same in every process that makes the definition, so that steps are reused."""
    first, second = OutputFileDatasetConfig(), OutputFileDatasetConfig()
    maker = step(first, second, name="maker")
    files = Dataset.File.from_files(tmp_path).as_mount()
    reader = step(files, inputs=[first.as_input(), store.path("x"), second.as_upload().as_input()])
    assert [port.name for port in define(maker).outputs] == ["output_1", "output_2"]
    assert [(port.name, port.source) for port in define(maker, reader).inputs] == [
        ("input_1", FromStep("maker", "output_1")),
        ("input_2", FromDatastore("workspaceblobstore", "x")),
        ("input_3", FromStep("maker", "output_2")),
        ("input_4", FromFiles(((None, str(tmp_path)),))),
    ]


def test_two_builds_of_one_file_are_equal(step, define, store):
    def build():
        output = OutputFileDatasetConfig()
        return define(step(output, name="maker"), step(inputs=[output.as_input(), store.path("raw")]))

    assert build() == build()


# ---- models


def test_a_model_among_the_arguments_is_an_input_by_its_path(step, define):
    model = ModelInput("digits-model", 3).as_download("here")
    definition = define(step("--model", model))
    assert arguments(definition) == (Literal("--model"), InputPath("digits_model"))
    assert definition.inputs == (InputPort("digits_model", FromModel("digits-model", 3), InputMode.DOWNLOAD, "here"),)


def test_a_model_is_no_text(define, step):
    refused(define, "the argument 'net' is data, but neither", step([ModelInput("net")]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b",), "'a b' is no valid name for a model"),
        (("net", 0), r"Model 'net': the version 0 is no number from 1 on, nor None\."),
        (("net", "1"), r"Model 'net': the version '1' is no number"),
        (("net", None, "direct"), r"Model 'net': mode 'direct' is not one of mount, download\."),
    ],
)
def test_an_input_that_cannot_be_a_model_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        ModelInput(*arguments)
