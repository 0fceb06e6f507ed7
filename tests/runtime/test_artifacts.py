import io
from pathlib import Path

import pytest

from refrain.runtime.artifacts import ArtifactFolder, artifact_name, files_below
from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException


@pytest.fixture
def folder(tmp_path: Path) -> ArtifactFolder:
    return ArtifactFolder(str(tmp_path / "artifacts"))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a/", "a\0b", "a/.."])
def test_a_name_outside_of_the_run_is_refused(name):
    with pytest.raises(UserErrorException, match=r"is not a relative path below the run\. .*without '\.\.'"):
        artifact_name(name)


@pytest.mark.parametrize(("name", "expected"), [("a", "a"), ("./a/b", "a/b"), ("a//b/./c", "a/b/c"), ("a..b", "a..b")])
def test_a_name_has_one_spelling(name, expected):
    assert artifact_name(name) == expected


def test_an_artifact_never_changes(folder):
    folder.add("a/b", b"1")

    for taken in ("a/b", "a", "a/b/c"):
        with pytest.raises(UserErrorException, match=f"Artifact '{taken}' exists already"):
            folder.add(taken, b"2")
    assert folder.read("a/b") == b"1"


def test_streams_of_bytes_and_of_text_are_taken(folder):
    folder.add("bytes", io.BytesIO(b"\x00"))
    folder.add("text", io.StringIO("é"))

    assert (folder.read("bytes"), folder.read("text")) == (b"\x00", "é".encode())


def test_a_stream_that_breaks_leaves_no_artifact(folder):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        folder.add("a", Broken())
    assert folder.names() == []


def test_nothing_is_stored_if_one_of_several_names_is_taken(folder, tmp_path):
    (tmp_path / "f").write_text("1")
    folder.add("b", b"")

    for names in (("a", "b"), ("c", "./c")):
        with pytest.raises(UserErrorException, match="exists already"):
            folder.add_files([(name, tmp_path / "f") for name in names])
    assert folder.names() == ["b"]


def test_a_missing_file_is_named_and_a_folder_gets_the_way_out(folder, tmp_path):
    with pytest.raises(ArtifactNotFoundException, match=r"Artifact 'a' .* no file at .*Check the path"):
        folder.add_file("a", tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"run.upload_folder\('a', path\)"):
        folder.add_file("a", tmp_path)


def test_the_next_free_name_is_found(folder):
    assert [folder.add_new("p_1", ".png", b"") for _ in range(3)] == ["p_1.png", "p_1_1.png", "p_1_2.png"]


def test_copies_by_prefix_keep_or_drop_the_prefix(folder, tmp_path):
    for name in ("outputs/m/a", "outputs/b", "other"):
        folder.add(name, name.encode())

    folder.copy_all("outputs/", str(tmp_path / "keep"), None, True)
    folder.copy_all("outputs", str(tmp_path / "drop"), None, False)
    folder.copy_all("other", str(tmp_path / "drop"), None, False)
    folder.copy_all("outputs", "", [str(tmp_path / "one"), str(tmp_path / "two")], True)

    assert [name for name, _ in files_below(str(tmp_path / "keep"))] == ["outputs/b", "outputs/m/a"]
    assert [name for name, _ in files_below(str(tmp_path / "drop"))] == ["b", "other", "m/a"]
    assert (tmp_path / "two").read_text() == "outputs/m/a"


def test_what_is_not_there_cannot_be_copied(folder, tmp_path):
    folder.add("a", b"")

    with pytest.raises(ArtifactNotFoundException, match=r"no artifact 'b'\. It has: a\. .*after it has ended"):
        folder.copy_out("b", str(tmp_path / "x"))
    with pytest.raises(ArtifactNotFoundException, match=r"no artifact that begins with 'b'\. It has: a"):
        folder.copy_all("b", str(tmp_path), None, True)
    with pytest.raises(UserErrorException, match="output_paths has 2"):
        folder.copy_all("a", "", ["x", "y"], True)


def test_a_loop_of_links_is_walked_once(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("")
    (tmp_path / "d" / "up").symlink_to(tmp_path)

    assert [name for name, _ in files_below(str(tmp_path))] == ["d/f"]
