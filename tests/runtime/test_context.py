import json

import pytest

from refrain.runtime.context import current_folder, read_context
from refrain.runtime.errors import RunEnvironmentException


def test_a_process_is_a_step_only_where_its_context_is(monkeypatch, tmp_path):
    monkeypatch.delenv("REFRAIN_RUN_DIR", raising=False)
    assert current_folder() is None

    monkeypatch.setenv("REFRAIN_RUN_DIR", str(tmp_path))
    assert current_folder() is None

    (tmp_path / "context.json").write_text("{}")
    assert current_folder() == str(tmp_path)


def test_a_newer_context_is_refused(run_folder, context):
    (run_folder / "context.json").write_text(json.dumps({**context, "schema": 2}))

    with pytest.raises(RunEnvironmentException, match=r"has schema 2, but 1 is the newest known here\. Use the same"):
        read_context(str(run_folder))


@pytest.mark.parametrize("text", ["{broken", "[]", '{"schema":1}', '{"schema":1,"workspace":null}'])
def test_a_broken_context_is_refused(run_folder, text):
    (run_folder / "context.json").write_text(text)

    with pytest.raises(RunEnvironmentException, match=r"context.json' cannot be read .*run the step again"):
        read_context(str(run_folder))


def test_the_workspace_of_a_step_says_how_to_open_the_real_one(run_folder):
    workspace = read_context(str(run_folder)).experiment.workspace

    assert (workspace.name, workspace.root) == ("ws", "/data/ws")
    with pytest.raises(AttributeError, match=r"the workspace 'ws' knows only .*refrain.Workspace\("):
        workspace.get_default_datastore()
