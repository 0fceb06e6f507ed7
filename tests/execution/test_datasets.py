"""Datasets as inputs of steps: objects and paths in scripts, and what of them counts for reuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.project import Project, Ran
from fakes.remote_stores import S3Server, s3_server
from fakes.web_server import web_server
from refrain import Dataset, Datastore, OutputFileDatasetConfig, PipelineData
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.errors import DataNotFoundError, PipelineError

READS = """
    import json, sys
    from azureml.core import Run
    run = Run.get_context()
    dataset = run.input_datasets["t"]
    rows = dataset.to_arrow().to_pylist()
    json.dump({"rows": rows, "argument": sys.argv[1], "id": dataset.id}, open(sys.argv[2], "w"), default=str)
"""
LISTS = """
    import json, os, sys
    top = sys.argv[1]
    found = {os.path.relpath(os.path.join(p, n), top): open(os.path.join(p, n)).read()
             for p, _, names in os.walk(top) for n in names}
    links = sorted(os.path.islink(os.path.join(p, n)) for p, _, names in os.walk(top) for n in names)
    json.dump({"files": found, "links": links}, open(sys.argv[2], "w"))
"""
FILES = {"A/1.csv": "n,s\n1,x\n2,y\n", "B/1.csv": "n,s\n3,x\n", "C/1.csv": "n,s\n4,z\n", "_hidden.csv": "no"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Datastore:
    """A datastore with files by country."""
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("server")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
        store = Datastore.register(project.workspace, "lake", f"s3://{server.make_bucket()}/base", "lake")
    else:
        (project.folder / "lake").mkdir()
        store = Datastore.register_folder(project.workspace, "lake", project.folder / "lake")
    write(project, store, FILES)
    return store


def write(project: Project, store: Datastore, files: dict[str, str]) -> None:
    for name, text in files.items():
        (project.folder / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / "up" / name).write_text(text)
    store.upload_files(
        [str(project.folder / "up" / name) for name in files],
        str(project.folder / "up"), "in", overwrite=True, show_progress=False,
    )  # fmt: skip


def table(store: Datastore, **options: Any) -> Any:
    options = {"partition_format": "/{country}/*.csv", "include_path": True, **options}
    return Dataset.Tabular.from_delimited_files((store, "in"), **options)


def run(project: Project, code: str, data: DatasetConsumptionConfig) -> Ran:
    out = PipelineData("out")
    ran = project.run(project.step("read", code, [data, out], inputs=[data], outputs=[out]))
    assert ran.status == "Completed", (ran.outcome.errors, ran.heard.lines)
    return ran


def answer(ran: Ran) -> dict[str, Any]:
    place = ran.runs.get(ran.id) and ran.result("read").outputs["out"].path
    found: dict[str, Any] = json.loads(Path(place).read_text())
    return found


def test_a_script_gets_a_tabular_dataset_with_the_rows_of_the_workspace(project: Project, store: Datastore) -> None:
    dataset = table(store)
    dataset = dataset.filter(dataset["country"] != "B").take(3)
    found = answer(run(project, READS, dataset.as_named_input("t")))
    assert found["rows"] == dataset.to_arrow().to_pylist()
    assert found["rows"][2] == {"Path": "/in/C/1.csv", "n": 4, "s": "z", "country": "C"}
    assert found["argument"] == found["id"] == dataset.id


def test_only_files_that_the_condition_on_the_path_selects_count_and_come(project: Project, store: Datastore) -> None:
    dataset = table(store)
    data = dataset.filter(dataset["country"] == "A").as_named_input("t")
    run(project, READS, data)
    cached = [path.read_text() for path in (project.folder / "cache/data/objects").glob("*/*")]
    assert cached in ([], [FILES["A/1.csv"]])
    write(project, store, {"B/1.csv": "n,s\n33,x\n", "D/1.csv": "n,s\n5,x\n"})
    assert run(project, READS, data).reused() == ["read"]
    write(project, store, {"A/1.csv": "n,s\n11,x\n"})
    ran = run(project, READS, data)
    assert ran.reused() == []
    assert [row["n"] for row in answer(ran)["rows"]] == [11]


def test_the_same_bytes_with_another_recipe_are_another_input(project: Project, store: Datastore) -> None:
    dataset = table(store)
    run(project, READS, dataset.filter(dataset["n"] > 1).as_named_input("t"))
    assert run(project, READS, dataset.filter(dataset["n"] > 1).as_named_input("t")).reused() == ["read"]
    ran = run(project, READS, dataset.filter(dataset["n"] > 2).as_named_input("t"))
    (change,) = ran.heard.decisions["read"].changes
    assert str(change) == (
        'input t: its operations: [{"condition": [">", ["column", "n"], ["literal", 1]], "operation": "filter"}] → '
        '[{"condition": [">", ["column", "n"], ["literal", 2]], "operation": "filter"}]'
    )
    assert run(project, READS, dataset.take(2).as_named_input("t")).reused() == []


def test_files_that_were_moved_count_as_moved_only_where_rows_say_it(project: Project, store: Datastore) -> None:
    def read(folder: str, **options: Any) -> list[str]:
        dataset = Dataset.Tabular.from_delimited_files((store, folder), **options)
        return run(project, READS, dataset.as_named_input("t")).reused()

    if "://" in store.root:
        pytest.skip("objects elsewhere are known by their addresses")
    read("in/A")
    read("in/A", include_path=True)
    (Path(store.root) / "in/A").rename(Path(store.root) / "in/Z")
    assert read("in/Z") == ["read"]
    assert read("in/Z", include_path=True) == []


@pytest.mark.parametrize("mode", ["mount", "download"])
def test_chosen_files_are_a_folder(project: Project, store: Datastore, mode: str) -> None:
    files = Dataset.File.from_files((store, "in"), partition_format="/{country}/*.csv")
    chosen = files.filter(files.file_metadata("Path").starts_with("/_") == False).skip(1)  # noqa: E712  # a condition
    data = chosen.as_named_input("f")
    found = answer(run(project, LISTS, data.as_mount() if mode == "mount" else data.as_download("here")))
    assert found["files"] == {name: FILES[name] for name in ("B/1.csv", "C/1.csv")}
    assert found["links"] == [mode == "mount"] * 2


def test_files_of_a_table_are_written_for_the_step(project: Project, store: Datastore) -> None:
    dataset = table(store)
    data = dataset.filter(dataset["n"] > 1).to_csv_files().as_named_input("f").as_mount()
    files = answer(run(project, LISTS, data))["files"]
    assert sorted(files) == ["part-00000.csv", "part-00001.csv", "part-00002.csv"]
    assert files["part-00000.csv"] == '"Path","n","s","country"\n"/in/A/1.csv",2,"y","A"\n'


def test_a_file_dataset_is_an_object_too(project: Project, store: Datastore) -> None:
    code = """
        import json, sys
        from refrain import Run
        dataset = Run.get_context().input_datasets["f"]
        texts = [open(path).read() for path in dataset.download()]
        made = {"names": dataset.to_path(), "texts": texts, "keys": dataset.get_partition_key_values(["k"])}
        json.dump(made, open(sys.argv[2], "w"))
    """
    files = Dataset.File.from_files((store, "in/?/*.csv"), partition_format="/{k}/*.csv").skip(1).take(1)
    found = answer(run(project, code, files.as_named_input("f")))
    assert found == {"names": ["/B/1.csv"], "texts": [FILES["B/1.csv"]], "keys": [{"k": "B"}]}


def test_v1_scripts_find_their_input_by_its_id(project: Project, store: Datastore) -> None:
    code = """
        import json, sys
        from refrain import Dataset, Run
        workspace = Run.get_context().experiment.workspace
        rows = Dataset.get_by_id(workspace, id=sys.argv[1]).to_arrow().to_pylist()
        json.dump(rows, open(sys.argv[2], "w"))
    """
    found = answer(run(project, code, table(store).keep_columns("n").as_named_input("t")))
    assert found == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]


def test_an_output_in_direct_mode_is_an_object(project: Project) -> None:
    out = OutputFileDatasetConfig("made")
    first = project.step("first", "import sys; open(sys.argv[1] + '/a.txt', 'w').write('hello')", [out])
    data = DatasetConsumptionConfig("made", out)
    code = "import sys; from refrain import Run; f, = Run.get_context().input_datasets['made'].download(); print(f)"
    ran = project.run(first, project.step("second", code, [data], inputs=[data]))
    assert ran.status == "Completed", ran.outcome.errors
    assert ran.heard.lines[-1].endswith("/a.txt")


def test_without_refrain_in_the_interpreter_the_error_says_what_to_do(project: Project, store: Datastore) -> None:
    code = """
        import importlib.abc, sys
        class Missing(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name == "refrain.data":
                    raise ModuleNotFoundError("No module named 'refrain.data'")
        sys.meta_path.insert(0, Missing())
        from refrain import Run
        Run.get_context().input_datasets["t"]
    """
    data = table(store).as_named_input("t")
    ran = project.run(project.step("read", code, [data], inputs=[data]))
    assert "The input dataset 't' is given to the script as an object" in "\n".join(ran.heard.lines)
    assert "Add 'refrain[tabular]' to the packages of the step's environment" in "\n".join(ran.heard.lines)


def test_data_that_is_gone_names_step_input_and_place(project: Project, store: Datastore) -> None:
    dataset = Dataset.Tabular.from_delimited_files((store, "none/*.csv"), validate=False)
    data = dataset.as_named_input("t")
    ran = project.run(project.step("read", READS, [data], inputs=[data]))
    assert isinstance(ran.outcome.errors["read"], DataNotFoundError)
    assert "Step 'read', input 't': 'none/*.csv' on datastore 'lake' matches no file." in ran.error("read")


def test_the_definition_can_be_what_counts(project: Project, store: Datastore) -> None:
    project.workspace.set_data_identity("definition")
    data = table(store).as_named_input("t")
    run(project, READS, data)
    write(project, store, {"A/1.csv": "n,s\n11,x\n"})
    assert run(project, READS, data).reused() == ["read"]
    assert run(project, READS, table(store).take(1).as_named_input("t")).reused() == []


def test_an_address_for_spark_is_refused_by_a_python_step(project: Project, store: Datastore) -> None:
    data = Dataset.File.from_files((store, "in")).as_named_input("f").as_hdfs()
    with pytest.raises(PipelineError, match=r"Step 'read': input 'f' is taken with as_hdfs\(\), an address that only"):
        project.run(project.step("read", READS, [data], inputs=[data]))


def test_the_order_of_places_counts(project: Project, store: Datastore) -> None:
    def read(*paths: str) -> list[str]:
        dataset = Dataset.Tabular.from_delimited_files([(store, path) for path in paths])
        return run(project, READS, dataset.as_named_input("t")).reused()

    assert read("in/A/1.csv", "in/B/1.csv") == []
    assert read("in/B/1.csv", "in/A/1.csv") == []
    assert read("in/A/1.csv", "in/B/1.csv") == ["read"]


def test_one_file_of_a_web_server_is_mounted_as_a_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRAIN_CACHE", str(project.folder / "cache"))
    code = """
        import json, os, sys
        names = ["AZUREML_DATAREFERENCE_f", "f", "F"]
        assert {os.environ[name] for name in names} == {sys.argv[1]}
        json.dump([os.path.isfile(sys.argv[1]), open(sys.argv[1]).read()], open(sys.argv[2], "w"))
    """
    with web_server() as web:
        web.files["/a/b.csv?version=1"] = b"n\n1\n"
        data = Dataset.File.from_files(f"{web.url}/a/b.csv?version=1").as_named_input("f")
        for consumed in (data.as_mount(), data.as_download()):
            assert answer(run(project, code, consumed)) == [True, "n\n1\n"]
