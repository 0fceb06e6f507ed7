from __future__ import annotations

import sys
from types import ModuleType

import pytest

from cli.sample import Refrain


@pytest.mark.parametrize("command", ["up", "demo"])
def test_the_package_for_airflow_does_the_work(refrain: Refrain, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    calls = []
    module = ModuleType("refrain_operators.demo")
    setattr(module, command, lambda options: calls.append(options) or 1)
    monkeypatch.setitem(sys.modules, "refrain_operators.demo", module)
    assert refrain(command, "--port", "9", "--home", "here", "--dags", "there", "--keep", "--json").code == 1
    (options,) = calls
    assert (options.port, options.home, options.dags, options.keep, options.json) == (9, "here", "there", True, True)


def test_without_airflow_the_command_to_install_it_is_named(refrain: Refrain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "refrain_operators.demo", None)
    called = refrain("demo")
    assert called.code == 2
    assert "'refrain demo' needs Apache Airflow" in called.err
    assert "pip install 'refrain[airflow]'" in called.err
