from __future__ import annotations

import sys
from pathlib import Path

import pytest

from refrain.runtime.parallel.entry_script import MiniBatchContext
from refrain.runtime.parallel.script import Script

CONTEXT = MiniBatchContext(3, {"country": "de"}, None, None)


@pytest.fixture(autouse=True)
def _import_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "scoring", raising=False)


def script(code: str, path: str = "scoring.py") -> Script:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(code)
    return Script(path)


@pytest.mark.parametrize(
    "parameters",
    ["mini_batch", "mini_batch, limit=3", "*batches", "mini_batch, **options", "mini_batch, *, flag=True"],
)
def test_run_gets_the_mini_batch_alone(parameters: str) -> None:
    found = script(f"def run({parameters}):\n    return locals()")
    assert CONTEXT not in found.run(["a"], CONTEXT).values()


@pytest.mark.parametrize("parameters", ["mini_batch, context", "mini_batch, mini_batch_context=None", "a, b, c=1"])
def test_run_gets_the_context_if_it_takes_a_second_argument(parameters: str) -> None:
    found = script(f"def run({parameters}):\n    return list(locals().values())")
    assert found.run(["a"], CONTEXT)[:2] == [["a"], CONTEXT]


def test_run_may_be_wrapped_by_a_decorator() -> None:
    found = script(
        "import functools\ndef plain(function):\n    @functools.wraps(function)\n    def inner(*args):\n"
        "        return function(*args)\n    return inner\n"
        "@plain\ndef run(mini_batch, context):\n    return [mini_batch, context]"
    )
    assert found.run(["a"], CONTEXT) == [["a"], CONTEXT]


@pytest.mark.parametrize("decorated", ["", "@plain"])
@pytest.mark.parametrize(("parameters", "given"), [("mini_batch", ["a"]), ("mini_batch, context", ["a", CONTEXT])])
def test_run_may_be_a_method_of_an_object(parameters: str, given: list[object], decorated: str) -> None:
    found = script(
        "import functools\ndef plain(function):\n    @functools.wraps(function)\n    def inner(*args):\n"
        "        return function(*args)\n    return inner\n"
        f"class Scorer:\n    {decorated}\n    def run(self, {parameters}):\n        return [{parameters}]\n"
        "run = Scorer().run"
    )
    assert found.run("a", CONTEXT) == given


def test_it_is_a_module_with_a_file_and_not_main() -> None:
    found = script("def run(batch):\n    return [__name__, __file__]")
    assert found.run([], CONTEXT) == ["scoring", str(Path("scoring.py").absolute())]


def test_files_beside_it_and_in_the_source_directory_can_be_imported() -> None:
    Path("inside").mkdir()
    Path("inside", "beside.py").write_text("a = 1")
    Path("above.py").write_text("b = 2")
    found = script("import beside, above\ndef run(batch):\n    return [beside.a, above.b]", "inside/scoring.py")
    assert found.run([], CONTEXT) == [1, 2]


def test_init_and_shutdown_may_be_missing() -> None:
    found = script("def run(batch):\n    return []")
    assert (found.init(), found.shutdown()) == (None, None)


def test_a_script_without_run_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"The entry script 'scoring.py' has no function run\(mini_batch\)"):
        script("def score(batch):\n    return []")
