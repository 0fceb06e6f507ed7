"""Which Python files of a source a script can reach: more than Python would find, never less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refrain.steps.imports import Closure, closure, read_imports


def _closure(files: dict[str, str], script: str = "train.py") -> Closure:
    return closure(script, files, lambda path: read_imports(files[path].encode()))


REACHED = {
    "a module": ({"train.py": "import a", "a.py": "", "b.py": ""}, {"a.py"}),
    "what a module imports": ({"train.py": "import a", "a.py": "import b", "b.py": ""}, {"a.py", "b.py"}),
    "modules that import each other": ({"train.py": "import a", "a.py": "import train"}, {"a.py"}),
    "every package on the way": (
        {"train.py": "import a.b.c", "a/__init__.py": "", "a/b/__init__.py": "", "a/b/c.py": "", "a/b/d.py": ""},
        {"a/__init__.py", "a/b/__init__.py", "a/b/c.py"},
    ),
    "a name that is a module": (
        {"train.py": "from a import b", "a/__init__.py": "", "a/b.py": "", "a/c.py": ""},
        {"a/__init__.py", "a/b.py"},
    ),
    "a name that is a package": (
        {"train.py": "from a import b", "a/__init__.py": "", "a/b/__init__.py": ""},
        {"a/__init__.py", "a/b/__init__.py"},
    ),
    "a name in a module": ({"train.py": "from a import b", "a.py": "", "b.py": ""}, {"a.py"}),
    "everything that a star may mean": (
        {"train.py": "from a import *", "a/__init__.py": "", "a/b.py": "", "a/c/__init__.py": "", "a/c/d.py": ""},
        {"a/__init__.py", "a/b.py", "a/c/__init__.py"},
    ),
    "a namespace package": (
        {"train.py": "import a.b\nfrom a import c", "a/b.py": "", "a/c.py": ""},
        {"a/b.py", "a/c.py"},
    ),
    "relative imports": (
        {
            "train.py": "import a.b.c",
            "a/__init__.py": "",
            "a/b/__init__.py": "",
            "a/b/c.py": "from . import d\nfrom .e import x\nfrom .. import f\nfrom ..g import y",
            "a/b/d.py": "", "a/b/e.py": "", "a/f.py": "", "a/g.py": "", "a/h.py": "",
        },
        {"a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/b/d.py", "a/b/e.py", "a/f.py", "a/g.py"},
    ),
    "a package's own imports": (
        {"train.py": "import a", "a/__init__.py": "from .b import x", "a/b.py": "from . import c", "a/c.py": ""},
        {"a/__init__.py", "a/b.py", "a/c.py"},
    ),
    "what depends on conditions, and stands anywhere": (
        {
            "train.py": "try:\n    import a\nexcept ImportError:\n    import b\n"
            "def f():\n    if False:\n        import c\n    class D:\n        from d import x\n",
            "a.py": "", "b.py": "", "c.py": "", "d.py": "",
        },
        {"a.py", "b.py", "c.py", "d.py"},
    ),
    "what takes the place of a standard module": ({"train.py": "import json", "json.py": ""}, {"json.py"}),
    "both a module and a package of a name": (
        {"train.py": "import a", "a.py": "", "a/__init__.py": ""},
        {"a.py", "a/__init__.py"},
    ),
    "nothing but the script": ({"train.py": "import os, numpy.linalg\nfrom x.y import z"}, set()),
}  # fmt: skip


@pytest.mark.parametrize(("files", "reached"), REACHED.values(), ids=REACHED.keys())
def test_imports_reach(files: dict[str, str], reached: set[str]) -> None:
    assert _closure(files) == Closure(frozenset({"train.py", *reached}))


def test_what_takes_the_place_of_a_module_of_pythons_own_counts_whoever_imports_that() -> None:
    files = {"train.py": "import tempfile", "random.py": "", "json/__init__.py": "", "json/decoder.py": "", "b.py": ""}
    assert _closure(files).paths == {"train.py", "random.py", "json/__init__.py", "json/decoder.py"}
    below = {"jobs/train.py": "import tempfile", "jobs/random.py": "", "random.py": "", "jobs/a/json.py": ""}
    assert _closure(below, "jobs/train.py").paths == {"jobs/train.py", "jobs/random.py"}


def test_a_script_in_a_folder_looks_there_and_not_at_the_top() -> None:
    files = {"jobs/train.py": "import a", "a.py": "", "jobs/a.py": ""}
    assert _closure(files, "jobs/train.py").paths == {"jobs/train.py", "jobs/a.py"}


DOUBTS = {
    "import importlib": "line 1: it imports importlib",
    "from importlib import import_module": "line 1: it imports importlib.import_module",
    "import importlib.util as u": "line 1: it imports importlib.util",
    "x = 1\n__import__('a')": "line 2: it uses __import__",
    "exec('import a')": "line 1: it uses exec",
    "f = eval": "line 1: it uses eval",
    "code = compile('1', 'x', 'eval')": "line 1: it uses compile",
    "import sys\nsys.path.insert(0, 'lib')": "line 2: it uses sys.path",
    "import sys as s\ns.path.append('lib')": "line 2: it uses sys.path",
    "from sys import path": "line 1: it imports sys.path",
    "from sys import *": "line 1: it imports sys.*",
    "from os import sys": "line 1: it imports os.sys",
    "import os\nos.sys.path": "line 2: it uses os.sys",
    "import sys\ngetattr(sys, 'pa' + 'th').append('lib')": "line 2: it uses sys",
    "import sys\nsys.modules['a'].f()": "line 2: it uses sys.modules",
    "import sys\nsys.meta_path.append(None)": "line 2: it uses sys.meta_path",
    "__path__ = []": "line 1: it uses __path__",
    "import runpy": "line 1: it imports runpy",
    "import subprocess": "line 1: it imports subprocess",
    "import os\nos.system('python other.py')": "line 2: it uses os.system",
    "from os import execv": "line 1: it imports os.execv",
    "import pickle\nm = pickle.load(open('m', 'rb'))": "line 2: it uses pickle.load",
    "from pickle import load": "line 1: it imports pickle.load",
    "import pickle\nload(pickle)": "line 2: it uses pickle",
    "from joblib import load": "line 1: it imports joblib.load",
    "import torch as t\nt.load('m')": "line 2: it uses torch.load",
    "import pandas as pd\npd.read_pickle('m')": "line 2: it uses read_pickle",
    "import logging.config": "line 1: it imports logging.config",
    "globals()['__builtins__']": "line 1: it uses __builtins__",
    "f.__globals__": "line 1: it uses __globals__",
    "def f(:": "it cannot be parsed (SyntaxError)",
    "\0": "it cannot be parsed",
}


@pytest.mark.parametrize(("code", "doubt"), DOUBTS.items(), ids=DOUBTS.keys())
def test_what_imports_without_saying_so_is_a_doubt(code: str, doubt: str) -> None:
    found = _closure({"train.py": "import a", "a.py": code})
    assert (found.paths, found.doubt.startswith(f"a.py, {doubt}")) == (frozenset(), True), found.doubt


HARMLESS = [
    "import re\nre.compile('x')",
    "import sys\nprint(sys.argv, sys.version_info)\nsys.exit(0)",
    "import pickle\npickle.dump(1, open('m', 'wb'))",
    "import torch\nmodel.eval()\ntorch.save(model, 'm')",
    "import os\nos.path.join('a', 'b')\nos.environ['X']",
    "import json\njson.load(open('x'))",
    "import joblib\njoblib.dump(1, 'm')",
    "import logging\nlogging.basicConfig()",
]


@pytest.mark.parametrize("code", HARMLESS)
def test_what_usual_scripts_do_is_no_doubt(code: str) -> None:
    assert read_imports(code.encode()).doubt == ""


@pytest.mark.parametrize("name", ["a.so", "a.cpython-311-x86_64-linux-gnu.so", "a.pyc", "a.abi3.so"])
def test_a_compiled_module_is_a_doubt(name: str) -> None:
    assert _closure({"train.py": "import a", name: ""}).doubt == f"{name} is compiled"


def test_a_file_in_another_encoding_is_read() -> None:
    assert read_imports("# -*- coding: latin-1 -*-\nimport ä_module\n".encode("latin-1")).doubt == ""


# ---- against Python itself

_MODULES = ["a", "b", "p", "p.c", "p.d", "p.q", "p.q.e", "n.f", "n.g"]
_FILES = {
    name: name.replace(".", "/") + ("/__init__.py" if name in ("p", "p.q") else ".py") for name in [*_MODULES, "train"]
}
_STATEMENTS = [
    "import {m}",
    "import {m} as x",
    "from {parent} import {last}",
    "try:\n    import {m}\nexcept ImportError:\n    pass",
    "def f():\n    import {m}\nf()",
    "if True:\n    from {parent} import {last} as y",
]


def _statement(template: str, module: str) -> str:
    parent, _, last = module.rpartition(".")
    text = template if parent or "{parent}" not in template else "import {m}"
    return text.format(m=module, parent=parent, last=last)


programs = st.dictionaries(
    st.sampled_from(["train", *_MODULES]),
    st.lists(st.builds(_statement, st.sampled_from(_STATEMENTS), st.sampled_from(_MODULES)), max_size=3),
)


@settings(max_examples=15, deadline=None)
@given(program=programs)
def test_all_that_python_loads_is_reached(
    tmp_path_factory: pytest.TempPathFactory, program: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("source")
    files = {path: "\n".join(program.get(name, [])) + "\n" for name, path in _FILES.items()}
    for path, code in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)
    trace = (
        "import json, runpy, sys\nsys.path[0] = sys.argv[1]\nold = set(sys.modules)\n"
        "try:\n    runpy.run_path(sys.argv[1] + '/train.py')\n"
        "except ImportError:\n    pass  # a circle: what had been loaded by then has to be reached all the same\n"
        "print(json.dumps([m.__file__ for k, m in sys.modules.items() if k not in old and getattr(m, '__file__', 0)]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-I", "-c", trace, str(folder)], capture_output=True, text=True, check=True
    )
    loaded = {Path(file).relative_to(folder).as_posix() for file in json.loads(done.stdout) if str(folder) in file}
    assert loaded <= _closure(files).paths
