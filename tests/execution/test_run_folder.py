"""What is kept of a step run beside its outputs."""

from __future__ import annotations

import json
from pathlib import Path

from fakes.project import WRITES, Project, Ran
from refrain import OutputFileDatasetConfig, PipelineData, RunConfiguration


def _folder(ran: Ran, key: str) -> Path:
    return Path(ran.runs.folder(ran.step(key).run_id))


def _artifacts(ran: Ran, key: str) -> dict[str, str]:
    folder = _folder(ran, key) / "artifacts"
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


LEAVES = """
    import os
    os.makedirs("outputs/deep")
    os.makedirs("logs")
    open("outputs/deep/a.txt", "w").write("a")
    open("logs/b.txt", "w").write("b")
"""


def test_what_is_below_outputs_and_logs_becomes_artifacts(project: Project) -> None:
    ran = project.run(project.step("leave", LEAVES))
    assert _artifacts(ran, "leave") == {"outputs/deep/a.txt": "a", "logs/b.txt": "b"}
    assert ran.heard.notes == []


def test_secrets_are_masked_in_the_logs_that_the_script_writes_itself(project: Project) -> None:
    code = """
        import os
        os.makedirs("logs/deep")
        open("logs/deep/a.txt", "w").write(f"a token: {os.environ['API_TOKEN']}!")
        open("logs/b.txt", "w").write("none")
    """
    config = RunConfiguration()
    config.environment_variables = {"API_TOKEN": "hunter2hunter2"}
    ran = project.run(project.step("leave", code, runconfig=config))
    assert _artifacts(ran, "leave") == {"logs/deep/a.txt": "a token: ***!", "logs/b.txt": "none"}


def test_pipes_and_devices_are_no_artifacts_and_nobody_waits_for_them(project: Project) -> None:
    code = """
        import os
        os.mkdir("outputs")
        os.mkfifo("outputs/pipe")
        os.symlink("/dev/zero", "outputs/zeros")
        open("outputs/a.txt", "w").write("a")
    """
    ran = project.run(project.step("leave", code))
    assert _artifacts(ran, "leave") == {"outputs/a.txt": "a"}
    assert ran.heard.notes == ["files could not be kept as artifacts: outputs/pipe, outputs/zeros"]


def test_artifacts_of_a_failed_step_are_kept_as_well(project: Project) -> None:
    ran = project.run(project.step("leave", LEAVES + "    raise SystemExit(1)\n"))
    assert ran.status == "Failed"
    assert _artifacts(ran, "leave") == {"outputs/deep/a.txt": "a", "logs/b.txt": "b"}


def test_a_file_that_the_script_uploaded_itself_stays_as_it_was_uploaded(project: Project) -> None:
    code = """
        import os
        from refrain import Run
        run = Run.get_context()
        os.makedirs("outputs")
        open("outputs/x", "w").write("uploaded")
        run.upload_file("outputs/x", "outputs/x")
        open("outputs/x", "w").write("changed later")
    """
    ran = project.run(project.step("upload", code))
    assert ran.status == "Completed"
    assert _artifacts(ran, "upload") == {"outputs/x": "uploaded"}


def test_a_file_where_artifacts_need_a_folder_is_noted_and_fails_nothing(project: Project) -> None:
    code = """
        import os
        from refrain import Run
        open("x", "w").write("in the way")
        Run.get_context().upload_file("outputs", "x")
        os.makedirs("outputs")
        open("outputs/x", "w")
    """
    ran = project.run(project.step("upload", code))
    assert ran.status == "Completed"
    assert "files could not be kept as artifacts: outputs/x" in ran.heard.notes


def test_an_output_below_outputs_goes_to_its_place_and_its_neighbours_become_artifacts(project: Project) -> None:
    code = """
        import os
        os.makedirs("outputs/model_card")
        open("outputs/model/weights", "w").write("w")
        open("outputs/model_card/text", "w").write("t")
        open("outputs/modelx", "w").write("x")
    """
    output = OutputFileDatasetConfig("model", source="outputs/model").as_upload()
    ran = project.run(project.step("train", code, outputs=[output]))
    assert ran.status == "Completed", ran.outcome.errors
    assert (ran.path("train", "model") / "weights").read_text() == "w"
    assert _artifacts(ran, "train") == {"outputs/model_card/text": "t", "outputs/modelx": "x"}


def test_the_same_place_written_with_dots_is_the_same_place(project: Project) -> None:
    out = PipelineData("out", output_mode="upload", output_path_on_compute="./outputs/../outputs/out.txt")
    code = "import os; os.makedirs('outputs', exist_ok=True); open('outputs/out.txt', 'w').write('o')"
    ran = project.run(project.step("write", code, outputs=[out]))
    assert ran.text("write", "out") == "o"
    assert _artifacts(ran, "write") == {}


def test_an_input_that_was_put_into_the_working_directory_is_no_file_that_was_left(project: Project) -> None:
    out = PipelineData("out")
    read = [out.as_download(path_on_compute="data/in.txt")]
    ran = project.run(
        project.step("write", WRITES, [out]),
        project.step("read", "print(open('data/in.txt').read())", inputs=read),
    )
    assert ran.heard.lines[-1] == "data"
    assert ran.heard.notes == []


def test_a_link_below_outputs_is_kept_as_the_file_it_leads_to(project: Project) -> None:
    code = "import os; open('x', 'w').write('x'); os.makedirs('outputs'); os.symlink('../x', 'outputs/link')"
    assert _artifacts(project.run(project.step("link", code)), "link") == {"outputs/link": "x"}


def test_many_stray_files_are_counted_and_not_all_named(project: Project) -> None:
    ran = project.run(project.step("stray", "for n in range(9): open(f'f{n}', 'w')"))
    assert ran.heard.notes[0].startswith("files in the working directory are not kept: f0, f1, f2, f3, f4 and 4 more;")


def test_the_script_finds_who_and_where_it_is(project: Project) -> None:
    ran = project.run(project.step("write", WRITES, [OutputFileDatasetConfig("out").as_upload()]))
    context = json.loads((_folder(ran, "write") / "context.json").read_text())
    assert context["run_id"] == ran.step("write").run_id
    assert context["parent"] == {"run_id": ran.id, "name": "project"}
    assert context["workspace"]["root"] == str(project.state.root)
    assert list(context["output_datasets"]) == ["out"]
