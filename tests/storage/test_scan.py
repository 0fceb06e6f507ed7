"""The walk over a tree, and what it refuses."""

import inspect
import os
import re
import socket
import sys
from functools import partial
from types import SimpleNamespace

import pytest

from refrain.errors import DataError
from refrain.storage.scan import ROW, Links, Stat, row_of, scan


def paths(root, **options):
    found = scan(str(root), **options)
    return sorted(folder.prefix + name for folder in found for name in folder.names or ("",))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def refused(root, message, **options):
    with pytest.raises(DataError, match=message):
        paths(root, **options)


def test_files_and_empty_directories_are_found(root):
    (root / "a").write_text("1")
    (root / "sub/deep").mkdir(parents=True)
    (root / "sub/b").write_text("22")
    assert paths(root) == ["a", "sub/b", "sub/deep/"]


def test_the_root_itself_is_not_an_empty_directory(root):
    assert paths(root) == []


def test_names_may_hold_newlines_and_bytes_that_are_no_utf_8(root):
    for name in (b"line\nbreak", b"caf\xe9", "täglich".encode(), b" "):
        (root / os.fsdecode(name)).touch()
    assert sorted(os.fsencode(path) for path in paths(root)) == sorted(
        [b"line\nbreak", b"caf\xe9", "täglich".encode(), b" "]
    )


def test_a_tree_deeper_than_the_recursion_limit_is_walked(root, request):
    (root / ("d/" * 200)).mkdir(parents=True)
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    assert paths(root) == ["d/" * 200]


def test_a_fifo_is_refused(root):
    os.mkfifo(root / "pipe")
    refused(root, r"/pipe' is a FIFO, not a file; only files and folders can be stored\.")


def test_a_socket_is_refused(root, monkeypatch):
    monkeypatch.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("door")
        refused(root, "/door' is a socket, not a file")


def test_a_device_is_refused_even_behind_a_link(root):
    (root / "null").symlink_to("/dev/null")
    refused(root, "/null' is a device, not a file")


def test_a_dangling_link_is_refused(root):
    (root / "link").symlink_to("nowhere")
    refused(root, r"The link '.*/link' leads to 'nowhere', where nothing is; remove it\.")


def test_a_link_to_itself_is_refused(root):
    (root / "loop").symlink_to("loop")
    refused(root, r"Cannot read '.*/loop': Too many levels of symbolic links\.")


def test_a_link_back_to_the_root_is_refused_where_it_stands(root):
    (root / "again").symlink_to(root)
    refused(root, re.escape(f"The link '{root}/again' leads back to a folder above it; remove it."))


def test_a_link_back_to_a_folder_above_is_refused(root):
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/up").symlink_to("../../a")
    refused(root, "The link '.*/a/b/up' leads back to a folder above it")


def test_two_links_to_one_folder_are_no_loop(root):
    (root / "real").mkdir()
    (root / "real/f").touch()
    (root / "one").symlink_to("real")
    (root / "two").symlink_to("real")
    assert paths(root) == ["one/f", "real/f", "two/f"]


def test_a_link_out_of_a_source_counts_by_its_target(root, tmp_path):
    (tmp_path / "outside").write_text("12345")
    (root / "link").symlink_to(tmp_path / "outside")
    (folder,) = scan(str(root))
    assert (folder.names, [found.size for found in folder.stats()]) == (("link",), [5])


def test_an_output_may_link_within_itself(root):
    (root / "v1").mkdir()
    (root / "v1/model").touch()
    (root / "current").symlink_to("v1")
    assert paths(root, links=Links.INSIDE) == ["current/model", "v1/model"]


def test_an_output_may_not_link_out_of_itself(root, tmp_path):
    (tmp_path / "outside").touch()
    (root / "link").symlink_to("../outside")
    refused(root, "The link '.*/link' leads to '.*/outside', outside of '.*/tree'; copy the data", links=Links.INSIDE)


def test_an_output_may_not_link_by_an_absolute_path_which_breaks_when_it_is_moved(root):
    (root / "model").touch()
    (root / "link").symlink_to(root / "model")
    refused(root, "The link '.*/link' is absolute .*; make it relative, or copy the data instead", links=Links.INSIDE)


def test_a_dangling_link_in_an_output_is_refused(root):
    (root / "link").symlink_to("nothing")
    refused(root, "The link '.*/link' leads to 'nothing', where nothing is; remove it", links=Links.INSIDE)


def test_a_refused_directory_is_not_entered(root):
    (root / "skip/loop").mkdir(parents=True)
    (root / "skip/loop/up").symlink_to("../..")
    (root / "f").touch()
    asked = []

    def keep(path, is_directory):
        asked.append((path, is_directory))
        return path != "skip"

    assert paths(root, keep=keep) == ["f"]
    assert sorted(asked) == [("f", False), ("skip", True)]


def test_what_is_refused_anyway_cannot_be_an_error(root):
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    assert paths(root, keep=lambda path, is_directory: False) == []


def test_an_unreadable_directory_is_refused(unprivileged):
    with unprivileged() as root:
        (root / "closed").mkdir(mode=0)
        refused(root, r"Cannot list the directory '.*/closed': Permission denied\.")


def test_a_link_to_where_nobody_may_look_is_refused(unprivileged):
    with unprivileged() as root:
        (root / "closed").mkdir()
        (root / "closed/secret").touch()
        (root / "closed").chmod(0)
        (root / "link").symlink_to("closed/secret")
        refused(root, "Cannot read '.*/link': Permission denied", keep=lambda path, is_directory: path != "closed")


def test_a_directory_that_is_gone_is_refused(root):
    refused(root / "gone", r"Cannot list the directory '.*/gone': No such file or directory\.")


def test_a_directory_of_refused_files_counts_as_empty(root):
    (root / "data").mkdir()
    (root / "data/big.csv").touch()
    assert paths(root, keep=lambda path, is_directory: is_directory) == ["data/"]


def test_folders_and_names_are_sorted(root):
    for name in ("b/2", "b/10", "a.txt", "a/x", "é"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    assert [(folder.prefix, folder.names) for folder in scan(str(root))] == [
        ("", ("a.txt", "é")),
        ("a/", ("x",)),
        ("b/", ("10", "2")),
    ]


def test_the_path_of_a_name_leads_to_its_file(root):
    (root / "a").mkdir()
    (root / "a/x").touch()
    (folder,) = scan(str(root))
    assert folder.path(0) == str(root / "a/x")


@pytest.mark.parametrize("far", [2**63, -(2**63) - 1])
def test_a_time_that_no_row_can_hold_is_the_last_that_it_can(far):
    fields = {"st_size": 1, "st_mtime_ns": far, "st_ctime_ns": 2, "st_ino": 2**64 - 1, "st_dev": 3, "st_mode": 0o100}
    (found,) = map(Stat._make, ROW.iter_unpack(row_of(SimpleNamespace(**fields))))
    assert (abs(found.mtime_ns), found.inode, found.is_executable) == (2**63 - 1, 2**64 - 1, True)


def test_a_name_that_is_too_long_for_the_system_is_refused(root, monkeypatch):
    monkeypatch.chdir(root)
    for _ in range(20):  # each by itself may be made, the whole path may not be asked for
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    refused(root, r"Cannot (read|list the directory) '.*d': File name too long\.")
