"""Ports: inputs and outputs as plain values."""

from refrain.data.ports import OutputPort


def test_only_the_run_and_the_output_are_filled_in():
    port = OutputPort("model", "store", "a/{run-id}/{output-name}/{other}/{run-id}")
    assert port.path_for("run.step.1") == "a/run.step.1/model/{other}/run.step.1"


def test_a_place_without_the_run_is_shared():
    assert OutputPort("model", "store", "a/{output-name}").is_shared
    assert not OutputPort("model", "store", "a/{run-id}").is_shared
