"""StepSequence: a list whose order counts."""

from refrain.steps.sequence import StepSequence


def test_it_gives_its_items_in_order_and_forgets_the_list():
    items = ["a", ["b"]]
    sequence = StepSequence(items)
    items.clear()
    assert list(sequence) == ["a", ["b"]]
    assert list(sequence) == ["a", ["b"]]


def test_it_may_be_empty():
    assert list(StepSequence()) == []
