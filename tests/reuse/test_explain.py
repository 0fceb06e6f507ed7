"""Why a step runs again, in words that name what changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fakes.project import COPIES, WRITES, Project
from refrain import Dataset, OutputFileDatasetConfig, PipelineData, PipelineParameter, RunConfiguration
from refrain.reuse.decision import Verdict
from refrain.reuse.verification import ON_STAT
from refrain.storage.blobs import blob_key
from refrain.storage.digest import digest_bytes


def _sentence(project: Project, *, arguments: Any = (), runconfig: Any = None, **options: Any) -> str:
    step = project.step("write", options.pop("code", WRITES), [PipelineData("out"), *arguments], runconfig=runconfig)
    ran = project.run(step, **options)
    return str(ran.step("write").decision["sentence"])


def _config(**variables: str) -> RunConfiguration:
    config = RunConfiguration()
    config.environment_variables = variables
    return config


def test_the_first_run_says_so(project: Project) -> None:
    assert _sentence(project) == "runs: first run"


def test_a_reused_result_says_from_where_and_what_it_saved(project: Project) -> None:
    _sentence(project)
    assert re.fullmatch(
        r"reused from \w{32}\.write\.1 \(took \d+\.\d s then\)", _sentence(project, verification=ON_STAT)
    )


def test_a_changed_an_added_and_a_removed_source_file_are_named(project: Project) -> None:
    _sentence(project)
    folder = project.folder / "steps" / "write"
    (folder / "more.py").write_text("")
    assert _sentence(project) == "runs: changed: source: added more.py"
    (folder / "more.py").unlink()
    project.run(project.step("write", WRITES, [PipelineData("out")]), force=True)
    assert _sentence(project, code=WRITES + "    # x\n") == "runs: changed: source: changed write.py"


def test_a_changed_parameter_is_told_once_with_both_values(project: Project) -> None:
    _sentence(project, arguments=[PipelineParameter("rate", 0.1)])
    sentence = _sentence(project, arguments=[PipelineParameter("rate", 0.1)], parameters={"rate": 0.2})
    assert sentence == "runs: changed: parameter rate: 0.1 → 0.2"


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0.0, -0.0)])
def test_values_that_python_calls_equal_are_told_apart_as_the_fingerprint_does(
    project: Project, before: Any, after: Any
) -> None:
    _sentence(project, arguments=[PipelineParameter("rate", before)])
    sentence = _sentence(project, arguments=[PipelineParameter("rate", after)])
    assert sentence == f"runs: changed: parameter rate: {before} → {after}"


def test_a_changed_argument_is_shown_with_its_place(project: Project) -> None:
    _sentence(project, arguments=["fast"])
    assert _sentence(project, arguments=["slow"]) == "runs: changed: argument 3: 'fast' → 'slow'"
    assert _sentence(project, arguments=["slow", "x"]) == "runs: changed: argument 4: absent → 'x'"


def test_of_an_output_that_is_declared_in_another_way_only_that_is_told(project: Project) -> None:
    def sentence(path: str, *globs: str) -> str:
        output = OutputFileDatasetConfig("out", destination=(project.workspace.get_default_datastore(), path))
        code = "import os, sys; os.makedirs(sys.argv[1], exist_ok=True); open(sys.argv[1] + '/a', 'w')"
        step = project.step("write", code, [output.as_upload(overwrite=True, source_globs=globs)])
        return str(project.run(step).step("write").decision["sentence"])

    sentence("here")
    assert sentence("there") == "runs: changed: output out: path 'here' → 'there'"
    assert sentence("there", "a") == "runs: changed: output out: globs [] → ['a']"


def test_a_changed_variable_is_shown_and_a_secret_one_is_not(project: Project) -> None:
    _sentence(project, runconfig=_config(THREADS="4", TOKEN="one"))
    assert _sentence(project, runconfig=_config(THREADS="8", TOKEN="one")) == (
        "runs: changed: environment variable THREADS: '4' → '8'"
    )
    assert _sentence(project, runconfig=_config(THREADS="4", TOKEN="two")) == (
        "runs: changed: environment variable TOKEN: (secret) → (secret)"
    )


def test_changed_files_of_an_input_are_named(project: Project) -> None:
    data = project.folder / "data"
    data.mkdir()
    for name in ("a", "b"):
        (data / name).write_text(name)

    def sentence() -> str:
        table = Dataset.File.from_files(str(data)).as_named_input("table").as_mount()
        code = "import os, sys; open(sys.argv[2], 'w').write(str(os.listdir(sys.argv[1])))"
        ran = project.run(project.step("read", code, [table, PipelineData("out")]))
        return str(ran.step("read").decision["sentence"])

    sentence()
    (data / "a").write_text("changed")
    (data / "c").write_text("")
    assert sentence() == "runs: changed: input table: changed a; added c"


def test_what_only_waits_for_another_step_says_for_which(project: Project) -> None:
    out = PipelineData("out")
    runner, _ = project.runner(
        project.step("write", WRITES, [out]), project.step("copy", COPIES, [out, PipelineData("copy")], inputs=[out])
    )
    decision = runner.explain()["copy"]
    assert not isinstance(decision, Exception)
    assert decision.verdict is Verdict.UNDECIDED
    assert decision.sentence() == "decided when write has run"


def test_explaining_runs_and_stores_nothing(project: Project) -> None:
    _sentence(project)
    before = sorted(path for path in project.state.root.rglob("*"))
    runner, _ = project.runner(project.step("write", WRITES + "    # x\n", [PipelineData("out")]))
    decision = runner.explain()["write"]
    assert not isinstance(decision, Exception)
    assert decision.sentence() == "runs: changed: source: changed write.py"
    assert sorted(path for path in project.state.root.rglob("*")) == before


def test_changed_packages_are_named(project: Project) -> None:
    from refrain.reuse.explain import Explainer

    objects = project.state.objects
    lists = [b"numpy==1.0\npandas==2.0\nsix==1", b"numpy==1.1\npandas==2.0\nattrs==3"]
    digests = [digest_bytes(text) for text in lists]
    for text, digest in zip(lists, digests, strict=True):
        objects.put(blob_key(digest), text)
    explainer = Explainer(objects, project.state.blobs)
    assert explainer._packages(*digests, b"") == "attrs absent → 3, numpy 1.0 → 1.1, six 1 → absent"
    objects.put(blob_key(digests[0]), b"\xff damaged")
    assert explainer._packages(*digests, b"") == "changed"


@pytest.mark.parametrize("folder", ["manifests", "blobs"])
def test_damaged_books_never_keep_a_step_from_running(project: Project, folder: str) -> None:
    """What explanations are made of is not what decisions are made of."""
    _sentence(project)
    for path in Path(project.state.root, folder).rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    sentence = _sentence(project, code=WRITES + "    # x\n")
    assert sentence.startswith("runs: changed: source: ")


def test_of_several_earlier_results_the_nearest_is_the_one_to_compare_with(project: Project) -> None:
    first = _config(A="1", B="1")
    _sentence(project, runconfig=first)
    _sentence(project, runconfig=_config(A="2", B="2"))
    assert _sentence(project, runconfig=_config(A="1", B="3")) == ("runs: changed: environment variable B: '1' → '3'")
