"""SparkSettings: what a compute target of the kind ``spark`` says of where applications run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refrain.compute.kinds import require_settings
from refrain.compute.target import Target
from refrain.errors import UserError, known
from refrain.steps import spark_conf

SPARK = "spark"
THIS_MACHINE = "local[*]"

_TYPES = {
    "master": str,
    "connect": str,
    "deploy_mode": str,
    "conf": dict,
    "python": str,
    "java_home": str,
    "spark_home": str,
    "hadoop_conf_dir": str,
    "shared_folders": list,
    "reads_urls": list,
    "description": str,
    "linked_service": str,
    "pool_name": str,
}
_MASTER = re.compile(
    r"local(\[[\d*,\s]+\])?|local-cluster\[[\d,\s]+\]|spark://[^\s/]+:\d+(,[^\s/]+:\d+)*|yarn|k8s://\S+"
)
_CONNECT = re.compile(r"sc://[^\s/]+(/;\S*)?/?")
_FOLDERS = ("java_home", "spark_home", "hadoop_conf_dir")
_URL_SCHEMES = {"s3": "s3a", "s3a": "s3a", "gs": "gs", "hdfs": "hdfs", "abfs": "abfss", "abfss": "abfss"}
"""What Hadoop calls the schemes of datastores."""


@dataclass(frozen=True)
class SparkSettings:
    """Where the applications of Spark steps run.

    :param master: Spark's URL of it; empty with *connect*.
    :param connect: the URL of a Spark Connect server.
    :param conf: defaults, over which a step's own settings rule.
    :param python: the executors' interpreter, where it is another than the driver's.
    :param shared_folders: what the executors see of this machine's file system; all of it where they run here.
    :param reads_urls: the schemes of the URLs that they read by themselves, in Hadoop's words.
    """

    master: str = THIS_MACHINE
    connect: str = ""
    conf: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    java_home: str = ""
    spark_home: str = ""
    hadoop_conf_dir: str = ""
    shared_folders: tuple[str, ...] = ()
    reads_urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target) -> SparkSettings:
        """Return the settings of a target; steps on one of another kind have Spark on the machine that they run on."""
        return cls.parse(target.settings) if target.kind == SPARK else cls()

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> SparkSettings:
        """Read settings.

        :raises UserError: naming the setting that cannot be right.
        """
        require_settings(settings, _TYPES)
        _check_place(settings)
        for name in _FOLDERS:
            if settings.get(name) and not os.path.isabs(settings[name]):
                raise UserError(f"the setting {name!r} must be an absolute path, not {settings[name]!r}.")
        connect = settings.get("connect", "")
        return cls(
            master="" if connect else settings.get("master", THIS_MACHINE),
            connect=connect,
            conf=spark_conf.checked(settings.get("conf", {}), "the setting 'conf'"),
            **{name: settings.get(name, "") for name in ("python", *_FOLDERS)},
            shared_folders=_folders(settings.get("shared_folders", [])),
            reads_urls=_schemes(settings.get("reads_urls", [])),
        )

    @property
    def place(self) -> str:
        """The URL of where applications run."""
        return self.connect.partition("/;")[0] or self.master

    @property
    def is_this_machine(self) -> bool:
        """Say whether all of an application runs on the machine of its driver."""
        return self.master.startswith("local")

    def variables(self) -> dict[str, str]:
        """Return the environment variables by which :mod:`refrain.runtime.spark_submit` knows of it."""
        told = {"master": self.master, "remote": self.connect, "conf": dict(self.conf), "python": self.python}
        homes = {"JAVA_HOME": self.java_home, "SPARK_HOME": self.spark_home, "HADOOP_CONF_DIR": self.hadoop_conf_dir}
        given = {name: value for name, value in homes.items() if value}
        return {"REFRAIN_SPARK": json.dumps({name: value for name, value in told.items() if value}), **given}

    def sees(self, path: str) -> bool:
        """Say whether the executors find what is at a path of this machine."""
        real = os.path.realpath(path)
        return self.is_this_machine or any(
            f"{real}/".startswith(f"{os.path.realpath(folder).rstrip('/')}/") for folder in self.shared_folders
        )

    def url(self, uri: str) -> str | None:
        """Return the URL by which the executors read a place of a datastore by themselves; None when they do not."""
        scheme, _, rest = uri.partition("://")
        own = _URL_SCHEMES.get(scheme, "")
        if own not in self.reads_urls or (own == "abfss" and "@" not in rest.partition("/")[0]):
            return None
        return f"{own}://{rest}"


def _check_place(settings: Mapping[str, Any]) -> None:
    master, connect = settings.get("master"), settings.get("connect")
    if master is not None and connect is not None:
        raise UserError("a target has a 'master' or is a Spark Connect server ('connect'), not both.")
    if master is not None and not _MASTER.fullmatch(master):
        raise UserError(
            f"the setting 'master' {master!r} is no master of Spark's: local[*], spark://host:7077, yarn or "
            "k8s://https://host:6443."
        )
    if connect is not None and not _CONNECT.fullmatch(connect):
        raise UserError(
            f"the setting 'connect' {connect!r} is no URL of a Spark Connect server, such as sc://host:15002."
        )
    if connect is not None and "token=" in connect.lower():
        raise UserError("the setting 'connect' holds a token, which must not be stored in the workspace.")
    if settings.get("deploy_mode", "client") != "client":
        raise UserError(
            f"the setting 'deploy_mode' must be client, not {settings['deploy_mode']!r}: a driver on the cluster "
            "would go on when its step is canceled, and would not find the step's files."
        )


def _folders(folders: list[Any]) -> tuple[str, ...]:
    for folder in folders:
        if not isinstance(folder, str) or not os.path.isabs(folder):
            raise UserError(f"the setting 'shared_folders' must list absolute paths, not {folder!r}.")
    return tuple(folders)


def _schemes(schemes: list[Any]) -> tuple[str, ...]:
    names = sorted(set(_URL_SCHEMES.values()))
    for scheme in schemes:
        if scheme not in names:
            raise UserError(f"the setting 'reads_urls' must list some of {known(names)}, not {scheme!r}.")
    return tuple(schemes)
