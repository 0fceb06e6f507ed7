"""Environments with packages: resolved once, built once, reused, and never half-made."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from fakes.processes import programs_that_name
from fakes.waiting import eventually
from fakes.wheels import make_wheel
from refrain.compute.local import LocalCompute
from refrain.environments.environments import Environments
from refrain.environments.interpreter import InterpreterIdentity, identify
from refrain.environments.specification import EnvironmentSpec, ImageSpec, PackageSpec
from refrain.errors import CorruptObjectError, EnvironmentFailedError, StepCanceledError, UserError
from refrain.pipelines.workspace import Workspace


def ask(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def plain(identity: InterpreterIdentity) -> tuple[str, ...]:
    """The packages without what stands for their files."""
    return tuple(line.partition("#")[0] for line in identity.packages)


def built(environments: Environments) -> list[str]:
    return [one.digest for one in environments.cache.built()]


def test_a_process_imports_what_was_asked_for_and_nothing_else(environments, wanted):
    python = environments().prepare(wanted("model"), print)
    assert ask(python, "import model, numbers_x; print(model.VERSION, numbers_x.VERSION)") == "1.0 2.0"
    assert ask(python, "import importlib.util; print(importlib.util.find_spec('pytest'))") == "None"


def test_the_identity_is_known_without_building_and_is_that_of_what_is_built(environments, wanted):
    here = environments()
    identity = here.identify(wanted("model"))
    assert plain(identity) == ("model==1.0", "numbers-x==2.0")
    assert identity.version == identify(None).version
    assert built(here) == []
    assert here.prepare(wanted("model"), print) == identity.path
    assert [line.replace("_", "-") for line in identify(identity.path).packages] == list(plain(identity))


def test_programs_of_packages_run_from_where_the_environment_is(environments, wanted):
    """They are built in another folder than they stay in."""
    python = environments().prepare(wanted("model"), print)
    program = Path(python).parent / "model-say"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "said\n"


def test_a_version_that_appears_later_changes_nothing_until_it_is_asked_for(environments, wanted, wheels):
    first = environments().identify(wanted("model"))
    make_wheel(wheels, "numbers-x", "3.0")
    assert environments().identify(wanted("model")) == first
    assert environments(cache="another machine").identify(wanted("model")).packages == first.packages
    environments().renew(wanted("model").packages)
    assert plain(environments().identify(wanted("model"))) == ("model==1.0", "numbers-x==3.0")


def test_a_package_that_is_built_anew_under_its_version_is_another_one(environments, wanted, wheels):
    spec = wanted("numbers-x==1.0")
    first = environments().identify(spec)
    make_wheel(wheels, "numbers-x", "1.0", code="NEW = True\n")
    other = environments(cache="another machine")
    other.renew(spec.packages)
    assert plain(other.identify(spec)) == plain(first)
    assert other.identify(spec).packages_digest != first.packages_digest


def test_a_package_from_an_address_is_known_by_it_and_by_its_bytes(environments, wanted, wheels):
    address = f"file://{wheels}/numbers_x-1.0-py3-none-any.whl"
    (line,) = environments().identify(wanted(f"numbers-x @ {address}")).packages
    assert re.fullmatch(rf"numbers-x @ {re.escape(address)}#[0-9a-f]{{12}}", line)


def test_a_package_that_changed_under_its_version_is_not_installed(environments, wanted, wheels):
    environments().identify(wanted("numbers-x==1.0"))
    make_wheel(wheels, "numbers-x", "1.0", code="EVIL = True\n")
    here = environments(cache="another machine")
    with pytest.raises(UserError, match=r"(?s)cannot be built.*Hash mismatch.*refrain env build --renew"):
        here.prepare(wanted("numbers-x==1.0"), print)
    assert built(here) == []


def test_requirements_that_contradict_each_other_are_named_with_the_way_out(environments, wanted):
    with pytest.raises(UserError, match=r"(?s)cannot be met: model, numbers-x<1.*numbers-x>=1.*pins_override = True"):
        environments().identify(wanted("model", "numbers-x<1"))


def test_pins_may_override_what_packages_ask_for(environments, wanted, wheels):
    make_wheel(wheels, "strict", "1.0", ["numbers-x==1.0"])
    with pytest.raises(UserError, match="pins_override"):
        environments().identify(wanted("strict", "numbers-x==2.0"))
    identity = environments().identify(wanted("strict", "numbers-x==2.0", pins_override=True))
    assert plain(identity) == ("numbers-x==2.0", "strict==1.0")


def test_a_package_that_is_nowhere_is_named(environments, wanted):
    with pytest.raises(UserError, match=r"(?s)cannot be met: no-such-thing.*no-such-thing was not found.*--find-links"):
        environments().identify(wanted("no-such-thing"))


def test_a_python_that_is_not_here_is_named_with_those_that_are(environments, wanted):
    with pytest.raises(UserError, match=r"asks for Python 3\.99, which is not on this machine\. There are: CPython 3"):
        environments().identify(wanted("model", python="3.99"))


@pytest.fixture
def no_conda(monkeypatch):
    monkeypatch.setitem(sys.modules, "rattler", None)


def test_where_there_is_no_conda_its_packages_come_from_pypi_and_are_named(environments, wanted, no_conda):
    said: list[str] = []
    spec = wanted("model", conda=("numbers-x=1", "pip"), channels=("conda-forge",))
    assert plain(environments().identify(spec)) == ("model==1.0", "numbers-x==1.0")
    environments().prepare(spec, said.append)
    assert "these conda packages come from PyPI, where a package of the same name can be another one: numbers-x=1" in (
        "\n".join(said)
    )


def test_without_conda_its_packages_are_refused_where_they_must_not_come_from_pypi(environments, wanted, no_conda):
    with pytest.raises(EnvironmentFailedError, match=r"numbers-x=1: py-rattler.* pip install 'refrain\[conda\]'"):
        environments().identify(wanted(conda=("numbers-x=1",), conda_from_pypi=False))


def test_what_conda_has_beside_python_packages_is_named_as_a_whole(environments, wanted, no_conda):
    with pytest.raises(UserError, match=r"no Python packages, .*: cudatoolkit=10\.1, r-base\. Leave them out"):
        environments().identify(wanted(conda=("cudatoolkit=10.1", "numbers-x", "r-base")))


def test_a_damaged_resolution_is_named_with_the_way_out(environments, wanted, tmp_path):
    environments().identify(wanted("model"))
    (record,) = (tmp_path / "workspace" / "registry" / "resolutions").glob("*/1")
    record.write_text(record.read_text().replace('"lock": "', '"lock": "AAAA'))
    with pytest.raises(CorruptObjectError, match=r"is damaged .*; renew it with 'refrain env build --renew'"):
        environments().identify(wanted("model"))


def test_an_environment_of_a_python_alone_has_no_packages(environments):
    here = environments()
    spec = EnvironmentSpec(packages=_version_of_this_python())
    assert here.identify(spec).packages == ()
    assert ask(here.prepare(spec, print), "print(1)") == "1"


def _version_of_this_python() -> PackageSpec:
    return PackageSpec(python=f"{sys.version_info.major}.{sys.version_info.minor}")


def test_an_image_alone_needs_a_target_that_runs_containers(environments):
    with pytest.raises(UserError, match=r"is the container image 'python:3', which a process on this machine cannot"):
        environments().identify(EnvironmentSpec(image=ImageSpec("python:3")))


def test_without_uv_the_way_to_install_it_is_named(environments, wanted, monkeypatch):
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentFailedError, match=r"needs uv, .* pip install 'refrain\[environments\]'"):
        environments().identify(wanted("model"))


def test_it_is_built_once_however_many_processes_want_it(tmp_path, wheels):
    script = _script(tmp_path, wheels)
    started = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert len({text.splitlines()[-1] for text in said}) == 1
    assert sum("building" in text for text in said) == 1


def test_a_builder_that_is_killed_leaves_nothing_that_is_used(tmp_path, wheels, environments, wanted):
    """The wheel is a pipe in which uv waits, so that the moment of the kill is no accident."""
    here = environments()
    environments(cache="another machine").identify(wanted("model"))  # so that uv has no wheel in its cache here
    _stall(wheels)
    process = subprocess.Popen([sys.executable, _script(tmp_path, wheels)], stdout=subprocess.PIPE, text=True)
    folder = tmp_path / "cache" / "environments"
    while not list(folder.glob(".building-*/requirements.txt")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert built(here) == []
    _unstall(wheels)
    assert ask(here.prepare(wanted("model"), print), "import model; print(model.VERSION)") == "1.0"
    assert list(folder.glob(".building-*")) == []
    while programs_that_name(str(tmp_path)):  # the guard ends what the builder had started
        time.sleep(0.01)


def test_a_canceled_step_does_not_wait_for_a_download(tmp_path, wheels):
    """The wheel is a pipe, so that uv would wait for ever."""
    _stall(wheels)
    registry = Workspace(tmp_path / "workspace").state.registry
    cache = tmp_path / "cache"
    compute = LocalCompute(1.0, lambda run: Environments(registry, cache, run))
    options = ("--no-index", f"--find-links={wheels}")
    spec = EnvironmentSpec(packages=PackageSpec(requirements=("model",), options=options))
    failed: list[BaseException] = []

    def prepare() -> None:
        try:
            compute.prepare(spec, print)
        except StepCanceledError as error:
            failed.append(error)

    thread = threading.Thread(target=prepare)
    thread.start()
    assert eventually(lambda: programs_that_name(str(tmp_path)))

    compute.interrupt()
    thread.join(60)

    assert "canceled before its environment was ready" in str(failed[0])
    assert programs_that_name(str(tmp_path)) == []
    assert list(cache.glob("environments/*")) == []
    with pytest.raises(StepCanceledError):
        compute.prepare(spec, print)


def test_a_canceled_step_does_not_wait_for_what_another_process_builds(tmp_path, wheels, environments, wanted):
    environments(cache="another machine").identify(wanted("model"))
    _stall(wheels)
    other = subprocess.Popen([sys.executable, _script(tmp_path, wheels)], stdout=subprocess.PIPE, text=True)
    assert eventually(lambda: list((tmp_path / "cache" / "environments").glob(".building-*/requirements.txt")))
    registry = Workspace(tmp_path / "workspace").state.registry
    compute = LocalCompute(1.0, lambda run: Environments(registry, tmp_path / "cache", run))
    threading.Timer(0.3, compute.interrupt).start()
    with pytest.raises(StepCanceledError, match="canceled before its environment was ready"):
        compute.prepare(wanted("model"), print)
    assert other.poll() is None
    other.kill()
    other.communicate()
    assert eventually(lambda: not programs_that_name(str(tmp_path)))


def _stall(wheels: Path) -> None:
    wheel = wheels / "model-1.0-py3-none-any.whl"
    wheel.rename(wheels / "model.kept")
    os.mkfifo(wheel)


def _unstall(wheels: Path) -> None:
    (wheels / "model.kept").replace(wheels / "model-1.0-py3-none-any.whl")


def _script(tmp_path: Path, wheels: Path) -> Path:
    script = tmp_path / "prepare.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from refrain.compute.local import LocalCompute
        from refrain.environments.environments import Environments
        from refrain.environments.specification import EnvironmentSpec, PackageSpec
        from refrain.pipelines.workspace import Workspace
        registry = Workspace({str(tmp_path / "workspace")!r}).state.registry
        spec = EnvironmentSpec(packages=PackageSpec("", ("model",), ("--no-index", "--find-links={wheels}")))
        compute = LocalCompute(environments=lambda run: Environments(registry, Path({str(tmp_path / "cache")!r}), run))
        print(compute.prepare(spec, print))
        """)
    )
    return script


def test_what_a_process_uses_is_not_pruned(environments, wanted):
    here = environments()
    here.prepare(wanted("model"), print)
    (digest,) = built(here)
    other = environments()
    assert not other.cache.remove(digest)
    assert other.cache.built()[0].is_in_use


def test_what_nobody_uses_is_pruned_whole(environments, wanted, tmp_path, wheels):
    subprocess.run([sys.executable, _script(tmp_path, wheels)], check=True, capture_output=True)
    here = environments()
    (one,) = here.cache.built()
    assert not one.is_in_use
    assert one.bytes > 0
    assert here.cache.remove(one.digest)
    assert [path.name for path in (tmp_path / "cache" / "environments").iterdir()] == ["locks"]


def test_an_environment_whose_interpreter_is_gone_is_built_again(environments, wanted):
    python = environments().prepare(wanted("model"), print)
    os.unlink(python)
    assert environments().prepare(wanted("model"), print) == python
    assert ask(python, "import model; print(model.VERSION)") == "1.0"


def test_files_are_shared_by_hard_links(environments, wanted):
    python = environments().prepare(wanted("model"), print)
    module = Path(ask(python, "import model; print(model.__file__)"))
    assert module.stat().st_nlink > 1


def test_variables_of_pip_and_of_other_environments_do_not_reach_uv(environments, wanted, monkeypatch, tmp_path):
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "other"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numbers_x.py").write_text("VERSION = 'wrong'")
    python = environments().prepare(wanted("model"), print)
    assert ask(python, "import sys; print(sys.prefix)").startswith(str(tmp_path / "cache" / "environments"))


def test_packages_come_from_an_index(environments):
    spec = EnvironmentSpec(packages=PackageSpec(requirements=("six==1.16.0",)))
    try:
        python = environments().prepare(spec, print)
    except EnvironmentFailedError as error:
        pytest.skip(f"no index can be reached from here: {str(error).splitlines()[1].strip()}")
    assert plain(environments().identify(spec)) == ("six==1.16.0",)
    assert ask(python, "import six; print(six.__version__)") == "1.16.0"
