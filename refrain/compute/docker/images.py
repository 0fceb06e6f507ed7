"""Images: which image a step runs in, what it is, and how it comes to the engine.

An image that has a name is its content: the digest by which registries know it, or the id of one that was built on the
engine. An image that is built here counts as what it is built from; its name on the engine is the digest of that, so
that it is built once.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from refrain.compute.docker.client import answering, refusal
from refrain.compute.docker.settings import DockerSettings, Pull
from refrain.compute.job import OnLine
from refrain.environments.resolution import wanted_of
from refrain.environments.specification import EnvironmentSpec, PackageSpec
from refrain.errors import ComputeError, EnvironmentFailedError, UserError
from refrain.storage.digest import digest_bytes

BUILT = "refrain-env"
"""The name of images that are built here; the tag is the digest of what they are built from."""

_REQUIREMENTS = "requirements.txt"
_BUILD_TAIL = 15
_REFUSALS = ("no basic auth credentials", "unauthorized", "denied", "manifest unknown")
"""What registries answer, which older engines pass on as a fault of their own."""


@dataclass(frozen=True)
class Image:
    """An image that is on the engine.

    :param id: names it whatever becomes of its tags.
    :param variables: which its processes have by themselves.
    """

    id: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """What an image is built from."""

    dockerfile: str
    files: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the recipe."""
        return digest_bytes(json.dumps(["image recipe", self.dockerfile, self.files]).encode())

    @property
    def tag(self) -> str:
        """The name of the image that it makes."""
        return f"{BUILT}:{self.digest}"

    def context(self) -> io.BytesIO:
        """Return the files that a build gets, as a tar archive; times and owners are always the same."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in (("Dockerfile", self.dockerfile), *self.files):
                data = text.encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        buffer.seek(0)
        return buffer


class Images:
    """The images of an engine, as a target's steps need them."""

    def __init__(self, client: Any, settings: DockerSettings) -> None:
        """Ask the engine by *client*."""
        self._client = client
        self._settings = settings

    def identify(self, environment: EnvironmentSpec) -> str:
        """Return what is counted of an environment's image; nothing is fetched or built.

        :raises UserError: when there is no such image, or the environment cannot be put into one.
        :raises ComputeError: when the engine or its registry does not answer.
        """
        image = environment.image
        if image is not None and image.dockerfile:
            base = f"recipe {Recipe(image.dockerfile).digest}"
        else:
            base = f"image {self._content(self._name(environment))}"
        if environment.packages is None:
            return base
        # Not the recipe: that names the base image by the id that it has on this engine.
        return f"recipe {Recipe(base, _files(environment.packages)).digest}"

    def prepare(self, environment: EnvironmentSpec, on_line: OnLine) -> Image:
        """Fetch or build an environment's image, unless it is there, telling of it line by line.

        It raises as :meth:`identify`.

        :raises EnvironmentFailedError: when the image cannot be built.
        """
        image = environment.image
        if image is not None and image.dockerfile:
            base = self._built(Recipe(image.dockerfile), on_line)
        else:
            base = self._fetched(self._name(environment), on_line)
        if environment.packages is None:
            return base
        for note in _notes(environment.packages):
            on_line(f"Environment: {note}")
        return self._built(self._with_packages(base, environment.packages), on_line)

    def find(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image; None when it is not there.

        :raises ComputeError: when the engine does not answer.
        """
        from docker.errors import ImageNotFound

        with answering(self._settings.engine):
            try:
                found: dict[str, Any] = self._client.inspect_image(name)
            except ImageNotFound:
                return None
        return found

    def _name(self, environment: EnvironmentSpec) -> str:
        name = (environment.image.name if environment.image else "") or self._settings.image
        if not name:
            raise UserError(
                "Neither the step's environment nor its compute target names an image. Give the environment one "
                "(environment.docker.base_image), or the target (refrain compute set NAME docker image=…)."
            )
        return name

    def _content(self, name: str) -> str:
        found = self.find(name) if self._settings.pull is not Pull.ALWAYS else None
        if found is None and self._settings.pull is not Pull.NEVER and not _is_id(name):
            return str(self._in_registry(name)["Descriptor"]["digest"])
        if found is None:
            raise UserError(_not_here(name, "it is not fetched, as the setting pull says never"))
        return _digest_of(found, name)

    def _in_registry(self, name: str) -> dict[str, Any]:
        from docker.errors import APIError

        with answering(self._settings.engine):
            try:
                found: dict[str, Any] = self._client.inspect_distribution(name)
            except APIError as error:
                raise _not_fetched(name, error) from error
        return found

    def _fetched(self, name: str, on_line: OnLine) -> Image:
        counted = self._content(name)
        found = self.find(name)
        if found is None or _digest_of(found, name) != counted:
            self._pull(name, on_line)
            found = self.find(name)
        if found is None or _digest_of(found, name) != counted:
            raise ComputeError(f"The image {name!r} is another one than a moment ago: somebody set it anew. Run again.")
        return _image(found)

    def _pull(self, name: str, on_line: OnLine) -> None:
        from docker.errors import APIError

        on_line(f"Environment: fetching the image {name}")
        has_tag = "@" in name or ":" in name.rpartition("/")[2]
        with answering(self._settings.engine):
            try:
                said = list(self._client.pull(name if has_tag else f"{name}:latest", stream=True, decode=True))
            except APIError as error:
                raise _not_fetched(name, error) from error
        fault = _fault(said)
        if fault:
            raise ComputeError(f"The image {name!r} cannot be fetched: {fault}.")

    def _built(self, recipe: Recipe, on_line: OnLine) -> Image:
        found = self.find(recipe.tag)
        if found is None:
            self._build(recipe, on_line)
            found = self.find(recipe.tag)
        if found is None:
            raise EnvironmentFailedError(f"The image {recipe.tag} was built, and is not on the engine any more.")
        return _image(found)

    def _build(self, recipe: Recipe, on_line: OnLine) -> None:
        on_line(f"Environment: building the image {recipe.tag}")
        said: list[Mapping[str, Any]] = []
        with answering(self._settings.engine):
            for piece in self._client.build(
                fileobj=recipe.context(),
                custom_context=True,
                tag=recipe.tag,
                rm=True,
                forcerm=True,
                decode=True,
                network_mode=self._settings.network or None,
            ):
                said.append(piece)
                for line in str(piece.get("stream", "")).splitlines():
                    on_line(line) if line.strip() else None
        fault = _fault(said)
        if fault:
            raise EnvironmentFailedError(f"The image of the environment cannot be built: {fault}.\n{_tail(said)}")

    def _with_packages(self, base: Image, packages: PackageSpec) -> Recipe:
        install = ["-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "-r"]
        command = json.dumps([self._settings.python, *install, f"/tmp/{_REQUIREMENTS}"])  # noqa: S108  # in there
        lines = [f"FROM {base.id}", f"COPY {_REQUIREMENTS} /tmp/{_REQUIREMENTS}", f"RUN {command}"]
        return Recipe("".join(f"{line}\n" for line in lines), _files(packages))


def _notes(packages: PackageSpec) -> tuple[str, ...]:
    notes = wanted_of(packages)[1]
    if not packages.python:
        return notes
    return (*notes, f"Python {packages.python} is asked for; that of the image is taken, whatever its version")


def _files(packages: PackageSpec) -> tuple[tuple[str, str], ...]:
    if packages.pins_override:
        raise UserError(
            "python.pins_override cannot be had in a container image, where pip installs. Loosen the requirements, or "
            "install them in a Dockerfile."
        )
    text = "".join(f"{line}\n" for line in (*wanted_of(packages)[0], *packages.options))
    return ((_REQUIREMENTS, text),)


def _image(found: Mapping[str, Any]) -> Image:
    pairs = (text.partition("=") for text in found["Config"].get("Env") or ())
    return Image(found["Id"], {name: value for name, _, value in pairs})


def _digest_of(found: Mapping[str, Any], name: str) -> str:
    """Return the digest by which the named repository knows an image; its id when it came from none."""
    repository = _repository(name)
    known = [text.partition("@") for text in found.get("RepoDigests") or ()]
    return next((digest for place, _, digest in known if place == repository), str(found["Id"]))


def _repository(name: str) -> str:
    plain = name.partition("@")[0]
    folder, slash, last = plain.rpartition("/")
    return folder + slash + last.partition(":")[0]


def _is_id(name: str) -> bool:
    return name.startswith("sha256:")


def _not_fetched(name: str, error: Any) -> Exception:
    is_refused = error.is_client_error() or any(words in refusal(error).lower() for words in _REFUSALS)
    if is_refused:
        return UserError(_not_here(name, f"its registry says: {refusal(error)}"))
    return ComputeError(
        f"The image {name!r} is not on the engine, and its registry cannot be asked: {refusal(error)}. Build or "
        "load it there, or check the name and the network."
    )


def _not_here(name: str, reason: str) -> str:
    return (
        f"There is no image {name!r} on the Docker engine, and {reason}. Check the name, build or load it (docker "
        "build, docker load), or name a connection to its registry with the target's setting conn_id."
    )


def _fault(said: Iterable[Mapping[str, Any]]) -> str:
    return next((str(piece["error"]).strip().rstrip(".") for piece in said if "error" in piece), "")


def _tail(said: Iterable[Mapping[str, Any]]) -> str:
    text = "".join(str(piece.get("stream", "")) for piece in said)
    return "\n".join(f"    {line}" for line in text.splitlines()[-_BUILD_TAIL:] if line.strip())
