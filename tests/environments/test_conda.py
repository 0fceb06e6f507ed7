"""Packages of conda's channels: solved once, installed with a Python of their own, and kept like all environments."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fakes.conda_channel import CondaChannel
from fakes.wheels import make_wheel
from refrain.compute.local import LocalCompute
from refrain.environments.conda_client import channels_of
from refrain.environments.environments import Environments
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.errors import EnvironmentFailedError, UserError

pytest.importorskip("rattler", reason="py-rattler, which installs conda's packages, is not here")


@pytest.fixture
def channel(tmp_path: Path) -> CondaChannel:
    made = CondaChannel(tmp_path / "channel")
    made.add_python()
    made.add_module("numbers-x", "1.0")
    made.add_module("numbers-x", "2.0")
    made.add_module("model", "1.0", ["numbers-x >=1"])
    return made


@pytest.fixture
def wanted(channel: CondaChannel, wheels: Path):
    """Makes a specification of packages in that channel, and of wheels."""

    def make(*conda: str, **settings: object) -> EnvironmentSpec:
        options = ("--no-index", f"--find-links={wheels}")
        known = {"channels": (channel.url,), "options": options, "conda_from_pypi": False, **settings}
        return EnvironmentSpec(packages=PackageSpec(conda=conda, **known))

    return make


def ask(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def plain(environments: Environments, spec: EnvironmentSpec) -> list[str]:
    return [line.partition("#")[0] for line in environments.identify(spec).packages]


def built(environments: Environments) -> list[str]:
    return [one.digest for one in environments.cache.built()]


def test_conda_packages_come_from_their_channel_with_a_python(environments, wanted):
    here, spec = environments(), wanted("model", "pip")
    python = here.prepare(spec, print)
    assert ask(python, "import model, numbers_x; print(model.SOURCE, numbers_x.VERSION)") == "conda 2.0"
    assert ask(python, "import sys; print(sys.prefix)") == str(Path(python).parent.parent)


def test_the_identity_is_known_without_building(environments, wanted):
    here, spec = environments(), wanted("model", "numbers-x=1")
    identity = here.identify(spec)
    version = "{}.{}.{}".format(*sys.version_info)
    assert plain(here, spec) == ["model==1.0", "numbers-x==1.0", f"python=={version}"]
    assert identity.version == f"CPython {version}"
    assert built(here) == []
    assert here.prepare(spec, print) == identity.path


def test_a_python_that_this_machine_does_not_have_comes_with_them(environments, wanted, channel):
    channel.add_python("3.8.13")
    assert environments().identify(wanted("numbers-x", python="3.8.13")).version == "CPython 3.8.13"


def test_a_version_that_appears_later_changes_nothing_until_it_is_asked_for(environments, wanted, channel):
    first = environments().identify(wanted("model"))
    channel.add_module("numbers-x", "3.0")
    assert environments(cache="another machine").identify(wanted("model")).packages == first.packages
    environments().renew(wanted("model").packages)
    assert "numbers-x==3.0" in plain(environments(), wanted("model"))


def test_a_package_of_another_file_is_another_package(environments, wanted, channel):
    first = environments().identify(wanted("numbers-x=1"))
    channel.add_module("numbers-x", "1.0", code="NEW = True\n")
    environments().renew(wanted("numbers-x=1").packages)
    assert environments().identify(wanted("numbers-x=1")).packages_digest != first.packages_digest


def test_a_package_that_changed_under_its_version_is_not_installed(environments, wanted, channel):
    environments().identify(wanted("numbers-x=1"))
    channel.add_module("numbers-x", "1.0", code="EVIL = True\n")
    here = environments(cache="another machine")
    with pytest.raises(UserError, match=r"(?s)cannot be installed.*mismatch.*numbers-x.*refrain env build --renew"):
        here.prepare(wanted("numbers-x=1"), print)
    assert built(here) == []
    assert list((here.cache.folder).glob(".building-*")) == []


def test_pip_takes_from_conda_what_conda_has_and_installs_the_rest(environments, wanted, wheels):
    make_wheel(wheels, "leaf", "1.0", ["numbers-x>=1", "other"])
    make_wheel(wheels, "other", "1.0")
    here, spec = environments(), wanted("numbers-x=1", requirements=("leaf",))
    assert [line for line in plain(here, spec) if "python" not in line] == ["leaf==1.0", "numbers-x==1.0", "other==1.0"]
    python = here.prepare(spec, print)
    assert ask(python, "import leaf, numbers_x; print(leaf.VERSION, numbers_x.SOURCE)") == "1.0 conda"


def test_a_requirement_of_pip_rules_over_the_package_of_conda(environments, wanted):
    here, spec = environments(), wanted("numbers-x=1", requirements=("numbers-x==2.0",))
    assert [line for line in plain(here, spec) if "python" not in line] == ["numbers-x==2.0"]
    python = here.prepare(spec, print)
    assert ask(python, "import numbers_x; print(numbers_x.VERSION, hasattr(numbers_x, 'SOURCE'))") == "2.0 False"


def test_packages_of_pip_that_do_not_go_with_those_of_conda_are_told(environments, wanted, wheels):
    make_wheel(wheels, "leaf", "1.0", ["numbers-x>=2"])
    said: list[str] = []
    environments().prepare(wanted("numbers-x=1", requirements=("leaf",)), said.append)
    assert re.search(r"conda and of pip do not go together:(?s:.*)leaf` requires `numbers-x>=2`", "\n".join(said))


def test_programs_and_texts_name_the_folder_that_stays(environments, wanted, channel, wheels):
    channel.add(
        "tool", "1.0", files={"bin/tool": "#!/opt/placeholder/bin/python\nprint('tool')\n"}, prefix="/opt/placeholder"
    )
    python = environments().prepare(wanted("tool", requirements=("model",)), print)
    for program, said in (("tool", "tool\n"), ("model-say", "said\n")):
        found = subprocess.run([Path(python).parent / program], capture_output=True, text=True, check=True)
        assert found.stdout == said


def test_a_step_in_it_knows_where_its_libraries_are(environments, wanted, tmp_path):
    here = environments()
    python = here.prepare(wanted("model"), print)
    variables = LocalCompute().variables(EnvironmentSpec(), python)
    assert variables["CONDA_PREFIX"] == ask(python, "import sys; print(sys.prefix)")
    assert "CONDA_PREFIX" not in LocalCompute().variables(EnvironmentSpec(), str(tmp_path / "bin" / "python"))


def test_packages_that_contradict_each_other_are_named_with_the_way_out(environments, wanted, channel):
    channel.add_module("strict", "1.0", ["numbers-x ==1.0"])
    with pytest.raises(UserError, match=r"(?s)cannot be had together: python=3\.\d+, strict, numbers-x=2.*Loosen"):
        environments().identify(wanted("strict", "numbers-x=2"))


def test_a_package_that_no_channel_has_is_named(environments, wanted):
    with pytest.raises(
        UserError, match=r"(?s)No candidates were found for no-such-thing.*add_channel\('conda-forge'\)"
    ):
        environments().identify(wanted("no-such-thing"))


def test_a_match_that_cannot_be_read_is_named(environments, wanted):
    with pytest.raises(UserError, match=r"(?s)numbers-x>>1.*unable to parse"):
        environments().identify(wanted("numbers-x>>1"))


def test_a_channel_that_is_nowhere_is_named_with_the_ways_out(environments, wanted, tmp_path):
    here = environments()
    with pytest.raises(EnvironmentFailedError, match=r"(?s)/nowhere/.*CONDA_CHANNEL_ALIAS.*RATTLER_AUTH_FILE"):
        here.identify(wanted("model", channels=((tmp_path / "nowhere").as_uri(),)))


def test_the_first_channel_that_has_a_package_gives_it(environments, wanted, channel, tmp_path):
    other = CondaChannel(tmp_path / "other")
    other.add_module("numbers-x", "1.5")
    here = environments()
    assert "numbers-x==1.5" in plain(here, wanted("numbers-x", channels=(other.url, channel.url)))
    assert "numbers-x==2.0" in plain(here, wanted("numbers-x=2", channels=(other.url, channel.url)))


def test_channels_are_those_that_are_named_and_those_of_single_packages():
    assert channels_of([], []) == ["conda-forge"]
    assert channels_of(["nodefaults", "bioconda"], ["pytorch::torch", "x/linux-64::y"]) == ["bioconda", "pytorch", "x"]
    assert channels_of(["defaults"], [])[0].endswith("/pkgs/main")


def test_a_machine_without_the_client_says_what_is_missing(environments, wanted, monkeypatch):
    environments().identify(wanted("model"))
    monkeypatch.setitem(sys.modules, "rattler", None)
    with pytest.raises(EnvironmentFailedError, match=r"py-rattler.*is not installed: pip install 'refrain\[conda\]'"):
        environments().prepare(wanted("model"), print)
    with pytest.raises(EnvironmentFailedError, match=r"pip install 'refrain\[conda\]'"):
        environments().identify(wanted("numbers-x"))


def test_all_machines_take_from_pypi_what_one_without_the_client_did(environments, wanted, monkeypatch):
    spec = wanted("numbers-x", conda_from_pypi=True)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "rattler", None)
        first = environments().identify(spec)
    assert environments().identify(spec).packages == first.packages
    environments().renew(spec.packages)
    assert any(line.startswith("python==") for line in environments().identify(spec).packages)
    monkeypatch.setitem(sys.modules, "rattler", None)
    assert any(line.startswith("python==") for line in environments().identify(spec).packages)


def test_a_builder_that_is_killed_leaves_nothing_that_is_used(environments, wanted, channel, tmp_path):
    """The package is a pipe in which the client waits, so that the moment of the kill is no accident."""
    here, spec = environments(), wanted("model")
    here.identify(spec)
    package = channel.folder / "noarch" / "model-1.0-0.tar.bz2"
    kept = package.rename(package.with_suffix(".kept"))
    os.mkfifo(package)
    process = subprocess.Popen([sys.executable, _script(tmp_path, spec)], stdout=subprocess.PIPE, text=True)
    while not _clients_in(tmp_path, "create"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert built(here) == []
    while _clients_in(tmp_path, "create"):  # the guard ends what the builder had started
        time.sleep(0.01)
    kept.replace(package)
    assert ask(here.prepare(spec, print), "import model; print(model.VERSION)") == "1.0"
    assert list(here.cache.folder.glob(".building-*")) == []


def _clients_in(tmp_path: Path, act: str) -> list[str]:
    """The conda clients that were started by a process of this test."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            is_ours = f"REFRAIN_TEST_FOLDER={tmp_path}".encode() in (path / "environ").read_bytes().split(b"\0")
            found += (
                [path.name]
                if is_ours and b"refrain.environments.conda_client" in words and act.encode() in words
                else []
            )
    return found


def _script(tmp_path: Path, spec: EnvironmentSpec) -> Path:
    script = tmp_path / "prepare.py"
    script.write_text(
        textwrap.dedent(f"""
        import os
        os.environ["REFRAIN_TEST_FOLDER"] = {str(tmp_path)!r}
        from pathlib import Path
        from refrain.compute.local import LocalCompute
        from refrain.environments.environments import Environments
        from refrain.environments.specification import EnvironmentSpec, PackageSpec
        from refrain.pipelines.workspace import Workspace
        registry = Workspace({str(tmp_path / "workspace")!r}).state.registry
        spec = {spec!r}
        compute = LocalCompute(environments=lambda run: Environments(registry, Path({str(tmp_path / "cache")!r}), run))
        print(compute.prepare(spec, print))
        """)
    )
    return script
