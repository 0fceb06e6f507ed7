"""Requirements: lines as users wrote them for pip or conda, as lines that uv takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from refrain.errors import UserError, known
from refrain.values import dataclass

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_COMMENT = re.compile(r"(^|\s)#.*$")
_LOGIN = re.compile(r"(https?://)[^/@\s]+@|(://)[^/@\s]*:[^/@\s]+@")
_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REPLACED = "azureml"

_SHORT = {"-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-c": "--constraint", "-e": "--editable"}
_WITH_VALUE = {"--index-url", "--extra-index-url", "--find-links", "--no-binary", "--only-binary", "--trusted-host"}
_FLAGS = {"--no-index", "--pre"}
_WITHOUT_EFFECT = {"--prefer-binary", "--no-cache-dir", "--disable-pip-version-check"}

_PYPI_NAMES = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "tensorflow-gpu": "tensorflow",
}
_NOT_PYTHON = re.compile(
    r"_.*|blas|bzip2|c-ares|ca-certificates|compilers|cuda.*|cudnn|ffmpeg|freetype|gcc.*|git|glib|graphviz|gxx.*|icu"
    r"|intel-openmp|jpeg|krb5|ld_impl_.*|libblas|libcblas|libcurl|libffi|libgcc.*|libgfortran.*|libgomp|liblapack"
    r"|libopenblas|libpng|libstdcxx.*|libtiff|libuuid|libuv|lz4-c|mkl|mpich|nccl|ncurses|nodejs|openjdk|openmpi|openssl"
    r"|r|r-.*|readline|sqlite|tbb|tk|tzdata|unixodbc|xz|zlib|zstd"
)
"""Of conda's packages, libraries and programs; a package of such a name on PyPI is another one."""

_MATCH = re.compile(r"(?:(?P<channel>[^\s:]+)::?)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*(?P<rest>.*)")
_VERSION = re.compile(r"[0-9][^=<>!~,|\s]*")


@dataclass(frozen=True)
class Requirements:
    """Requirement lines, options of pip, and the names of what was left out because Refrain takes its place."""

    lines: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_requirements(lines: Iterable[str], folder: str = os.curdir) -> Requirements:
    """Read the lines of a requirements file, or what else pip was to be given.

    :param folder: what paths are relative to.
    :raises UserError: for an option or a path that has no meaning here, and for a password.
    """
    found: list[str] = []
    options: list[str] = []
    left_out: list[str] = []
    for line in _logical(lines):
        require_no_login(line)
        if line.startswith("-"):
            more = _option(line, folder)
            found += more.lines
            options += more.options
            left_out += more.left_out
        elif name_of(line).startswith(_REPLACED):
            left_out.append(line)
        else:
            found.append(line)
    return Requirements(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(options)), tuple(dict.fromkeys(left_out)))


def name_of(requirement: str) -> str:
    """Return the name of the package that a line asks for, as indexes write it.

    :raises UserError: for a line that names none.
    """
    match = _NAME.match(requirement)
    if match is None or requirement.startswith(("/", ".")) or _PLACE.match(requirement):
        raise UserError(
            f"The requirement {requirement!r} names no package. Write it as 'name', 'name==1.0' or 'name @ https://…'; "
            "code of your own belongs into the source_directory, or into a wheel that --find-links leads to."
        )
    return normal(match.group())


def normal(name: str) -> str:
    """Return a package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def require_no_login(text: str) -> None:
    """Refuse an address with a login in it, which would be stored with the definition.

    :raises UserError: without the login.
    """
    if _LOGIN.search(text):
        raise UserError(
            f"{without_logins(text)!r} holds a password or a token, which would be stored with the pipeline. Leave it "
            "out, and let uv find it on the machines that build: in ~/.netrc, by its keyring, or in UV_INDEX_URL."
        )


def without_logins(text: str) -> str:
    """Return a text with the logins in its addresses replaced by ``***``."""
    return _LOGIN.sub(lambda match: f"{match.group(1) or match.group(2)}***@", text)


def _logical(lines: Iterable[str]) -> Iterable[str]:
    """Yield lines without comments, those that a backslash continues in one."""
    pending = ""
    for line in lines:
        text = pending + _COMMENT.sub("", str(line)).strip()
        if text.endswith("\\"):
            pending = text[:-1].rstrip() + " "
            continue
        pending = ""
        if text:
            yield text
    if pending.strip():
        yield pending.strip()


def _option(line: str, folder: str) -> Requirements:
    word, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else line.partition(" ")
    name, value = _SHORT.get(word, word), value.strip().strip("'\"")
    if name == "--requirement" and value:
        return read_file(os.path.join(folder, value))
    if name in _WITHOUT_EFFECT:
        return Requirements()
    if name in _FLAGS and not value:
        return Requirements(options=(name,))
    if name in _WITH_VALUE and value:
        is_folder = name == "--find-links" and not _PLACE.match(value)
        return Requirements(options=(f"{name}={os.path.abspath(os.path.join(folder, value)) if is_folder else value}",))
    way = " A package that is under development belongs into the source_directory." if name == "--editable" else ""
    options = known({*_WITH_VALUE, *_FLAGS, "-r"})
    raise UserError(f"The option {line!r} cannot be used in an environment. Known: {options}.{way}")


def read_file(path: str) -> Requirements:
    """Read a requirements file, and those that it names with ``-r``.

    :raises UserError: when it cannot be read, or as :func:`read_requirements`.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The requirements file {path!r} cannot be read: {error}.") from error
    return read_requirements(lines, os.path.dirname(path))


def from_conda(match: str) -> str:
    """Return conda's match specification as a requirement of pip's: ``numpy=1.21`` becomes ``numpy==1.21.*``.

    :raises UserError: for what cannot be said to pip.
    """
    found = _MATCH.fullmatch(match.strip())
    if found is None:
        raise UserError(f"The conda package {match!r} has no name that could be asked for; write it as 'name=1.0'.")
    return f"{pypi_name(found['name'])}{_condition(match, found['rest'])}"


def pypi_name(name: str) -> str:
    """Return what a package of conda's is called on PyPI."""
    return _PYPI_NAMES.get(name.lower(), name.lower())


def is_python_package(match: str) -> bool:
    """Say whether a package of conda's may be one of Python's, and not a library or a program."""
    found = _MATCH.fullmatch(match.strip())
    return found is None or not _NOT_PYTHON.fullmatch(found["name"].lower())


def _condition(match: str, rest: str) -> str:
    conditions = rest.strip().strip("[]").split()
    text = conditions[0] if conditions else ""  # what follows is the build, which PyPI does not have
    if not text or text == "*":
        return ""
    if "|" in text:
        raise UserError(f"The conda package {match!r} has alternatives, which pip cannot be told; choose one of them.")
    if text.startswith("=") and not text.startswith("=="):
        version = text[1:].partition("=")[0]
        return f"=={version}" if version.endswith("*") else f"=={version}.*"
    if text.startswith("=="):
        return f"=={text[2:].partition('=')[0]}"
    return f"=={text}" if _VERSION.fullmatch(text) else text
