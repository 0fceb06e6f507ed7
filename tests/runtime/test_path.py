"""The folder that ends a step's PYTHONPATH, in real interpreters with and without refrain installed."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from pwd import getpwuid

import pytest

import refrain.runtime.run

RUNTIME = Path(refrain.runtime.run.__file__).parent
HOME = Path(getpwuid(os.getuid()).pw_dir)  # the user's: tests have a home of their own
OLDEST = next(HOME.glob(".pyenv/versions/3.8.*/bin/python3"), None)
NEEDS_OLDEST = pytest.mark.skipif(OLDEST is None, reason="no Python 3.8 below ~/.pyenv/versions")
INTERPRETERS = [pytest.param(sys.executable, id="this"), pytest.param(str(OLDEST), id="3.8", marks=NEEDS_OLDEST)]
REAL = """
def __getattr__(name):
    if name == "Run":
        from refrain.runtime.run import Run
        return Run
    if name == "Pipeline":
        return "real pipeline"
    raise AttributeError(name)
"""
HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "shutil", "socket", "subprocess", "tempfile", "typing", "uuid"}


def run_python(command: list[str], code: str, run_folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run *code* as the engine runs a script: a cleaned environment, the stand-ins last on PYTHONPATH."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, [*path, RUNTIME / "path"])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REFRAIN_RUN_DIR": str(run_folder),
    }
    script = run_folder.parent / "script.py"
    script.write_text(code)
    return subprocess.run(
        [*command, str(script)], env=environment, cwd=run_folder.parent, capture_output=True, text=True, check=False
    )


def out(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def real_package(folder: Path) -> None:
    """A refrain package in *folder*, with the runtime of this one."""
    (folder / "refrain").mkdir(parents=True)
    (folder / "refrain" / "__init__.py").write_text(REAL)
    (folder / "refrain" / "runtime").symlink_to(RUNTIME)


@pytest.fixture
def environment(tmp_path: Path) -> tuple[list[str], Path]:
    """A virtual environment without packages: the command of its Python, and where its packages go."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (packages,) = home.glob("lib/python*/site-packages")
    return [str(home / "bin" / "python")], packages


@pytest.mark.parametrize("python", INTERPRETERS)
@pytest.mark.parametrize(
    "line", ["from refrain import Run", "from azureml.core import Run", "from azureml.core.run import Run, _OfflineRun"]
)
def test_a_script_finds_its_run_where_nothing_is_installed(python, line, run_folder):
    code = f"{line}\nrun = Run.get_context()\nrun.log('m', float('nan'))\nprint(run.id, run.get_metrics())"

    assert out(run_python([python, "-S"], code, run_folder)) == "r1.train.0 {'m': nan}"
    assert json.loads((run_folder / "events.jsonl").read_text())["value"] == {"$float": "nan"}


@pytest.mark.parametrize("python", INTERPRETERS)
def test_every_module_of_the_runtime_imports(python, run_folder):
    names = [f"refrain.runtime.{file.stem}" for file in RUNTIME.glob("*.py") if file.stem != "__init__"]
    code = f"import importlib\nprint(len([importlib.import_module(name) for name in {names}]))"

    assert out(run_python([python, "-W", "error", "-S"], code, run_folder)) == str(len(names))


@pytest.mark.parametrize("python", INTERPRETERS)
def test_one_run_whatever_it_is_imported_from(python, run_folder):
    code = (
        "import refrain, azureml.core\nfrom refrain.runtime.run import Run\n"
        "print(refrain.Run is Run is azureml.core.Run, refrain.runtime.run.Run is Run)"
    )

    assert out(run_python([python, "-S"], code, run_folder)) == "True True"


def test_importing_the_run_loads_nothing_heavy(run_folder):
    code = f"import sys\nfrom refrain import Run\nRun.get_context().log('m', 1)\nprint({HEAVY} & set(sys.modules))"

    assert out(run_python([sys.executable, "-S"], code, run_folder)) == "set()"


def test_what_is_not_there_is_refused_with_the_way_out(run_folder):
    for line, module in (("from refrain import Pipeline", "refrain"), ("from azureml.core import Pipeline", "azureml")):
        error = run_python([sys.executable, "-S"], line, run_folder).stderr

        assert "ImportError" in error
        assert f"{module}.core is refrain's stand-in" in error or module == "refrain"
        assert (
            "refrain is not installed in this step's environment, where only refrain.Run and Model are there" in error
        )
        assert "Add refrain to the packages" in error


CODE = (
    "import refrain\nfrom refrain import Pipeline, Run\nfrom azureml.core import Pipeline as same\n"
    "print(Pipeline, same, Run.get_context().id, refrain.__file__, refrain.__spec__.origin)"
)


def test_an_installed_refrain_is_the_one(environment, run_folder):
    python, packages = environment
    real_package(packages)
    file = packages / "refrain" / "__init__.py"

    assert out(run_python(python, CODE, run_folder)) == f"real pipeline real pipeline r1.train.0 {file} {file}"


def test_an_editable_refrain_is_the_one(environment, run_folder, tmp_path):
    python, packages = environment
    real_package(tmp_path / "checkout")
    (packages / "_refrain.pth").write_text(f"{tmp_path / 'checkout'}\n")

    assert out(run_python(python, CODE, run_folder)).startswith("real pipeline real pipeline r1.train.0")


def test_an_editable_refrain_behind_an_import_hook_is_the_one(environment, run_folder, tmp_path):
    python, packages = environment
    real_package(tmp_path / "checkout")
    file = tmp_path / "checkout" / "refrain" / "__init__.py"
    (packages / "hook.pth").write_text("import hook\n")
    (packages / "hook.py").write_text(
        "import sys\nfrom importlib.util import spec_from_file_location\n"
        "class Finder:\n    @staticmethod\n    def find_spec(name, path=None, target=None):\n"
        f"        return spec_from_file_location(name, {str(file)!r}) if name == 'refrain' else None\n"
        "sys.meta_path.append(Finder)\n"
    )

    assert out(run_python(python, CODE, run_folder)).startswith("real pipeline real pipeline r1.train.0")


def test_a_refrain_earlier_on_the_path_is_the_one(run_folder, tmp_path):
    real_package(tmp_path / "mine")

    done = run_python([sys.executable, "-S"], CODE, run_folder, tmp_path / "mine")

    assert out(done).startswith("real pipeline real pipeline r1.train.0")


def test_a_folder_called_refrain_beside_the_script_is_not_the_package(run_folder):
    (run_folder.parent / "refrain").mkdir()

    code = "from refrain import Run\nprint(Run.get_context().id)"

    assert out(run_python([sys.executable, "-S"], code, run_folder)) == "r1.train.0"


def test_other_azureml_packages_are_still_found(environment, run_folder):
    python, packages = environment
    (packages / "azureml" / "opendatasets").mkdir(parents=True)
    (packages / "azureml" / "opendatasets" / "__init__.py").write_text("NAME = 'open'")

    code = "from azureml.opendatasets import NAME\nfrom azureml.core import Run\nprint(NAME, Run.get_context().id)"

    assert out(run_python(python, code, run_folder)) == "open r1.train.0"


def test_a_real_process_outside_of_a_pipeline_is_offline(tmp_path):
    (tmp_path / "nothing").mkdir()
    code = "from azureml.core.run import Run, _OfflineRun\nprint(isinstance(Run.get_context(), _OfflineRun))"

    assert out(run_python([sys.executable, "-S"], code, tmp_path / "nothing")) == "True"


@pytest.mark.parametrize("python", INTERPRETERS)
def test_one_model_whatever_it_is_imported_from(python, run_folder):
    code = (
        "import refrain, azureml.core, azureml.core.model\nfrom azureml.exceptions import ModelNotFoundException\n"
        "from refrain.runtime.models import Model\n"
        "print(refrain.Model is Model is azureml.core.Model is azureml.core.model.Model)\n"
        "try:\n    Model.get_model_path('net')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )

    is_one, error = out(run_python([python, "-S"], code, run_folder)).splitlines()
    assert is_one == "True"
    assert error.startswith("RunEnvironmentException This process is not a step of a pipeline run that can ask for mo")


def test_an_installed_refrain_asks_the_engine_for_models_within_a_step(run_folder):
    code = "import refrain\nprint(refrain.__version__ and refrain.Model.__module__)"

    assert out(run_python([sys.executable], code, run_folder)) == "refrain.runtime.models"
