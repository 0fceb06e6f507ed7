from refrain.runtime.logged import Logged


def event(kind: str, **fields: object) -> dict[str, object]:
    return {"v": 1, "t": 1.0, "run": "", "kind": kind, **fields}


def metrics(*events: dict[str, object]) -> dict[str, object]:
    return Logged("r").apply(events).get_metrics()


def test_one_value_is_a_scalar_and_several_are_a_list():
    one, two = event("metric", name="a", value=1), event("metric", name="a", value="x")

    assert metrics(one) == {"a": 1}
    assert metrics(one, two, one) == {"a": [1, "x", 1]}


def test_one_row_has_scalars_and_several_have_lists():
    one = event("row", name="t", values={"x": 1, "y": 2})
    two = event("row", name="t", values={"x": 3, "z": 4})

    assert metrics(one) == {"t": {"x": 1, "y": 2}}
    assert metrics(one, two) == {"t": {"x": [1, 3], "y": [2, None], "z": [None, 4]}}


def test_tables_and_rows_of_one_name_add_up():
    table = event("table", name="t", values={"x": [1, 2]})

    assert metrics(table, event("row", name="t", values={"x": 3})) == {"t": {"x": [1, 2, 3]}}


def test_a_malformed_table_is_padded():
    assert metrics(event("table", name="t", values={"x": [1, 2], "y": 3})) == {"t": {"x": [1, 2], "y": [3, None]}}


def test_an_image_is_a_uri():
    assert metrics(event("image", name="i", artifact="i_1.png")) == {
        "i": "aml://artifactId/ExperimentRun/dcid.r/i_1.png"
    }


def test_the_last_tag_and_the_first_property_count():
    logged = Logged("r", tags={"a": "0", "b": "0"}).apply(
        [
            event("tag", key="a", value="1"),
            event("untag", key="b"),
            event("untag", key="c"),
            event("property", key="p", value="1"),
            event("property", key="p", value="2"),
        ]
    )

    assert (logged.tags, logged.properties) == ({"a": "1"}, {"p": "1"})


def test_a_kind_of_a_later_version_is_ignored():
    assert metrics(event("hologram", name="x")) == {}
