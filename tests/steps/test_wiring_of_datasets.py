"""Wiring of outputs that become datasets, and of those who read them."""

import pytest

from refrain.data.output_config import (
    HDFSOutputDatasetConfig,
    LinkFileOutputDatasetConfig,
    OutputFileDatasetConfig,
)
from refrain.data.pipeline_data import PipelineData
from refrain.data.ports import FromStep, InputMode, OutputKind, OutputMode, Registration
from refrain.errors import PipelineError
from refrain.steps.command import InputPath, OutputPath


def refused(define, message, *steps):
    with pytest.raises(PipelineError, match=message):
        define(*steps)


# ---- pipeline data


def test_a_dataset_among_the_outputs_is_a_dataset_output(step, define):
    files = PipelineData("d", is_directory=True).as_dataset().register("name")
    definition = define(step("--out", files, outputs=[files]))
    (port,) = definition.outputs
    assert (port.name, port.kind, port.is_dataset, port.registration) == (
        "d",
        OutputKind.DIRECTORY,
        True,
        Registration("name"),
    )
    assert (definition.command[-1], definition.inputs) == (OutputPath("d"), ())


def test_a_consumer_reads_it_under_the_name_of_the_output(step, define):
    files = PipelineData("d", output_name="o").as_dataset()
    reader = define(step(outputs=[files]), step(files, inputs=[files]))
    (port,) = reader.inputs
    assert (port.name, port.source, port.mode, port.is_dataset) == ("o", FromStep("train", "o"), InputMode.MOUNT, True)
    assert reader.command[-1] == InputPath("o")


def test_a_dataset_in_the_arguments_alone_is_an_input(step, define):
    files = PipelineData("d").as_dataset()
    reader = define(step(outputs=[files]), step(files.as_download("here").as_named_input("n")))
    (port,) = reader.inputs
    assert (port.name, port.mode, port.path_on_compute) == ("n", InputMode.DOWNLOAD, "here")


def test_every_copy_stands_for_the_same_output(step, define):
    data = PipelineData("d")
    first, second = data.as_dataset().parse_parquet_files().random_split(0.5)
    reader = define(
        step(outputs=[data.as_dataset()]), step(inputs=[first.as_named_input("a"), second.as_named_input("b")])
    )
    assert [(port.name, port.source, port.mode) for port in reader.inputs] == [
        ("a", FromStep("train", "d"), InputMode.DIRECT),
        ("b", FromStep("train", "d"), InputMode.DIRECT),
    ]


def test_data_that_was_not_promoted_is_no_dataset(step, define):
    data = PipelineData("d")
    refused(
        define,
        r"reads 'd' as a dataset, but 'writer' has the plain PipelineData 'd' among its outputs. Give that step the "
        r"dataset: outputs=\[data.as_dataset\(\)\]",
        step(name="writer", outputs=[data]),
        step(inputs=[data.as_dataset()]),
    )


def test_promoted_data_may_be_read_as_plain_data_too(step, define):
    data = PipelineData("d")
    (port,) = define(step(outputs=[data.as_dataset()]), step(data, inputs=[data])).inputs
    assert (port.name, port.is_dataset) == ("d", False)


def test_a_dataset_that_nobody_writes_is_refused(step, define):
    refused(
        define,
        "reads 'd', but no step of the pipeline has it among its outputs",
        step(inputs=[PipelineData("d").as_dataset()]),
    )


def test_one_output_has_one_producer_whatever_its_copies_are_called(step, define):
    data, config = PipelineData("d"), OutputFileDatasetConfig("o")
    first, second = step(name="a", outputs=[data.as_dataset()]), step(name="b", outputs=[data])
    refused(define, "The output 'd' has two producers, 'a' and 'b'. Give each step an output object", first, second)
    first, second = step(name="a", outputs=[config]), step(name="b", outputs=[config.read_parquet_files()])
    refused(define, "The output 'o' has two producers, 'a' and 'b'", first, second)


def test_the_parts_of_a_split_need_names_of_their_own_in_one_step(step, define):
    data = PipelineData("d").as_dataset()
    parts = data.parse_parquet_files().random_split(0.5)
    refused(define, "has two inputs called 'd'; give one another name", step(outputs=[data]), step(inputs=list(parts)))


# ---- output configurations


def test_a_table_is_written_as_files_and_read_as_a_table(step, define):
    table = OutputFileDatasetConfig("o").read_delimited_files()
    reader = define(step(table), step(inputs=[table.as_input("t")]))
    (port,) = reader.inputs
    assert (port.name, port.source, port.mode, port.is_dataset) == ("t", FromStep("train", "o"), InputMode.DIRECT, True)


def test_a_table_as_an_input_by_itself_is_read_as_a_table(step, define):
    table = OutputFileDatasetConfig("o").read_delimited_files()
    (port,) = define(step(outputs=[table]), step(inputs=[table])).inputs
    assert (port.name, port.mode) == ("o", InputMode.DIRECT)


def test_a_link_is_an_output_without_data(step, define):
    (port,) = define(step(outputs=[LinkFileOutputDatasetConfig("l")])).outputs
    assert (port.name, port.kind, port.is_dataset) == ("l", OutputKind.FILE_LINK, True)


@pytest.mark.parametrize("place", ["arguments", "outputs"])
def test_a_python_step_refuses_an_output_of_spark(step, define, place):
    output = HDFSOutputDatasetConfig("s")
    made = step(output) if place == "arguments" else step(outputs=[output])
    refused(define, "the output 's' is an HDFSOutputDatasetConfig, which a Spark step writes by its address", made)


def test_an_output_of_spark_has_its_own_mode():
    assert HDFSOutputDatasetConfig("s").mode is OutputMode.HDFS
