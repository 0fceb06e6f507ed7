"""DatabricksStep: runs a notebook, a Python script or a JAR on Databricks."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from refrain.data.parameters import PipelineParameter
from refrain.data.ports import FromDatabase, InputMode, InputPort, OutputKind, OutputMode, OutputPort
from refrain.environments.databricks import (
    NODE_TYPE,
    SPARK_ENVIRONMENT,
    SPARK_VERSION,
    DatabricksCluster,
    DatabricksSection,
    EggLibrary,
    JarLibrary,
    Library,
    MavenLibrary,
    PyPiLibrary,
    RCranLibrary,
    library_document,
)
from refrain.environments.run_configuration import RunConfiguration
from refrain.environments.specification import EnvironmentSpec
from refrain.errors import PipelineError, UserError, known
from refrain.steps.command import Literal, Setting, Token
from refrain.steps.databricks_options import checked_options
from refrain.steps.definition import NO_SOURCE, StepDefinition
from refrain.steps.step import PipelineStep, compute_name, locate_script
from refrain.steps.wiring import Build, Wiring

KIND = "databricks"
NOTEBOOK, SCRIPT_ON_DATABRICKS, SCRIPT, MAIN_CLASS = CODE = (
    "notebook_path",
    "python_script_path",
    "python_script_name",
    "main_class_name",
)
"""What the step runs: exactly one of these is a parameter of its definition."""

WIDGET = "notebook_params."
ARGUMENT = "argument."
SPARK_CONF = "spark_conf."
"""In the environment's variables: what follows is a setting of Spark and no variable."""

_LIBRARIES: dict[str, type[Library]] = {
    "maven_libraries": MavenLibrary,
    "pypi_libraries": PyPiLibrary,
    "egg_libraries": EggLibrary,
    "jar_libraries": JarLibrary,
    "rcran_libraries": RCranLibrary,
}


class DatabricksStep(PipelineStep):
    """A step that Databricks runs, on a cluster that is there or on one that is made for it.

    Inputs and outputs are places that Databricks can reach; the job gets their URIs, a notebook as the widgets of their
    names, scripts and JARs as arguments ``-<name> <uri>`` after their own.

    What decides the result is in the fingerprint: the code, wherever it is kept, its parameters and data, the Spark
    version, the libraries, the variables and settings of Spark and the existing cluster's id. Number and type of the
    nodes, the run's name and its timeout are not.

    :param inputs: data references and outputs of other steps.
    :param outputs: pipeline data and output datasets, on a datastore that Databricks can write to.
    :param notebook_path: a notebook in the Databricks workspace.
    :param notebook_params: values of its widgets; may be pipeline parameters.
    :param python_script_path: a script on DBFS or in the Databricks workspace.
    :param python_script_params: arguments of a script; may be pipeline parameters.
    :param main_class_name: of a JAR among the libraries.
    :param jar_params: arguments of the main class; may be pipeline parameters.
    :param python_script_name: a script in the source directory, which is uploaded as a whole.
    :param run_name: the name of the run in Databricks; None means the step's.
    :param timeout_seconds: after which Databricks ends the run; None means never.
    :param runconfig: libraries and the cluster, instead of the parameters for them.
    :param compute_target: a target of the kind ``databricks``: which workspace, and how it is reached.
    :param version: free text that is part of the fingerprint: another one makes the step run again.
    :param hash_paths: accepted for old code and ignored.
    :param job_options: what the Jobs API knows besides, as JSON values that are put into the request: its own fields,
        below ``task`` those of the task, and below ``new_cluster`` those of the cluster.
    :raises UserError: for arguments of the wrong type, or that exclude each other.
    """

    def __init__(  # noqa: PLR0913  # Azure ML's signature, and job_options
        self,
        name: str,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        existing_cluster_id: str | None = None,
        spark_version: str | None = None,
        node_type: str | None = None,
        instance_pool_id: str | None = None,
        num_workers: int | None = None,
        min_workers: int | None = None,
        max_workers: int | None = None,
        spark_env_variables: dict[str, str] | None = None,
        spark_conf: dict[str, str] | None = None,
        init_scripts: list[Any] | None = None,
        cluster_log_dbfs_path: str | None = None,
        notebook_path: str | None = None,
        notebook_params: Mapping[str, Any] | None = None,
        python_script_path: str | None = None,
        python_script_params: Any = None,
        main_class_name: str | None = None,
        jar_params: Any = None,
        python_script_name: str | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        hash_paths: Sequence[str] | None = None,
        run_name: str | None = None,
        timeout_seconds: int | None = None,
        runconfig: RunConfiguration | None = None,
        maven_libraries: Sequence[MavenLibrary] | None = None,
        pypi_libraries: Sequence[PyPiLibrary] | None = None,
        egg_libraries: Sequence[EggLibrary] | None = None,
        jar_libraries: Sequence[JarLibrary] | None = None,
        rcran_libraries: Sequence[RCranLibrary] | None = None,
        compute_target: Any = None,
        allow_reuse: bool = True,
        version: str | None = None,
        permit_cluster_restart: bool | None = None,
        job_options: Mapping[str, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in (*CODE, *_LIBRARIES)}
        cluster = DatabricksCluster(
            existing_cluster_id,
            spark_version,
            node_type,
            instance_pool_id,
            num_workers,
            min_workers,
            max_workers,
            spark_env_variables,
            spark_conf,
            init_scripts,
            cluster_log_dbfs_path,
            permit_cluster_restart,
        )
        self._warn_of_old_code(name, hash_paths)
        try:
            self.code, self.code_name = _code(given)
            self._section = _section(given, cluster, runconfig)
            _require_timeout(timeout_seconds)
            self.job_options = checked_options(job_options or {})
            self.widgets = _widgets(self.code, notebook_params)
            arguments = _arguments(self.code, python_script_params, jar_params)
        except UserError as error:
            raise UserError(f"DatabricksStep {name!r}: {error}") from error
        super().__init__(name, inputs, outputs, arguments)
        if not isinstance(allow_reuse, bool):
            raise UserError(f"DatabricksStep {name!r}: allow_reuse must be True or False, not {allow_reuse!r}.")
        self.source_directory = source_directory
        self.run_name, self.timeout_seconds = run_name, timeout_seconds
        self.allow_reuse = allow_reuse
        self.version = None if version is None else str(version)
        self.compute = compute_name(name, compute_target) or compute_name(name, runconfig and runconfig.target)
        if not self.compute:
            raise UserError(
                f"DatabricksStep {name!r} needs a compute_target: the name of a target of the kind databricks. "
                "Register one with: refrain compute set NAME databricks conn_id=…"
            )

    def define(self, build: Build) -> StepDefinition:
        """See :meth:`PipelineStep.define`."""
        wiring = Wiring(self.name, build)
        wiring.add_outputs(self.outputs)
        wiring.add_inputs(self.inputs)
        width = len(str(len(self.arguments)))
        tokens = {f"{ARGUMENT}{place:0{width}}": wiring.token(item) for place, item in enumerate(self.arguments)}
        tokens |= {f"{WIDGET}{name}": wiring.token(value) for name, value in self.widgets.items()}
        inputs, outputs = wiring.ports()
        ports: list[InputPort | OutputPort] = [*inputs, *outputs]
        for port in ports:
            _require_plain(self.name, port)
        source, code_name = NO_SOURCE, self.code_name
        if self.code == SCRIPT:
            source, code_name = locate_script(self.name, self.code_name, self.source_directory, build)
        return StepDefinition(
            key=build.key_of(self),
            name=self.name,
            kind=KIND,
            source=source,
            command=(),
            inputs=inputs,
            outputs=outputs,
            parameters=tuple(sorted({**self._settings(), self.code: Literal(code_name), **tokens}.items())),
            environment=EnvironmentSpec(None, self._variables()),
            allow_reuse=self.allow_reuse,
            after=self.predecessor_keys(build),
            compute=self.compute,
            version=self.version,
        )

    def parameters(self) -> list[PipelineParameter]:
        """See :meth:`PipelineStep.parameters`."""
        return [*super().parameters(), *(v for v in self.widgets.values() if isinstance(v, PipelineParameter))]

    @property
    def cluster(self) -> DatabricksCluster:
        """The cluster that the step asks for."""
        return self._section.cluster or DatabricksCluster()

    def _settings(self) -> dict[str, Token]:
        """Return what decides the result, each under its name, and all that does not under one."""
        cluster = self.cluster
        counted: dict[str, Any] = {
            "libraries": [library_document(library) for library in self._section.libraries],
            "existing_cluster_id": cluster.existing_cluster_id,
            "spark_version": (cluster.spark_version or SPARK_VERSION) if cluster.is_new else None,
            "init_scripts": cluster.init_scripts,
            "job_options": self.job_options,
        }
        free = {
            "run_name": self.run_name or self.name,
            "timeout_seconds": self.timeout_seconds,
            "node_type": cluster.node_type or (NODE_TYPE if cluster.is_new and not cluster.instance_pool_id else None),
            "instance_pool_id": cluster.instance_pool_id,
            "num_workers": cluster.num_workers,
            "min_workers": cluster.min_workers,
            "max_workers": cluster.max_workers,
            "cluster_log_dbfs_path": cluster.cluster_log_dbfs_path,
            "permit_cluster_restart": cluster.permit_cluster_restart,
        }
        said: dict[str, Token] = {name: Literal(_json(value)) for name, value in counted.items() if value}
        return {**said, "run": Setting(_json({name: v for name, v in free.items() if v is not None}))}

    def _variables(self) -> tuple[tuple[str, str], ...]:
        """Return Spark's variables and settings; as variables, so that secret ones are counted by a keyed hash."""
        cluster = self.cluster
        variables = cluster.spark_env_variables
        if variables is None:
            variables = SPARK_ENVIRONMENT if cluster.is_new else {}
        conf = {f"{SPARK_CONF}{name}": value for name, value in (cluster.spark_conf or {}).items()}
        return tuple(sorted({**variables, **conf}.items()))

    def _warn_of_old_code(self, name: str, hash_paths: Any) -> None:
        if hash_paths is not None:
            warnings.warn(
                f"DatabricksStep {name!r}: hash_paths has no effect and is ignored; the whole source directory is "
                "hashed.",
                DeprecationWarning,
                stacklevel=3,
            )


def _code(given: Mapping[str, Any]) -> tuple[str, str]:
    named = [name for name in CODE if given[name] is not None]
    if len(named) != 1:
        raise UserError(f"it runs exactly one of {', '.join(CODE)}; given: {known(named)}.")
    value = given[named[0]]
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{named[0]} must be a text, not {value!r}.")
    if named[0] == NOTEBOOK and not value.startswith("/"):
        raise UserError(
            f"notebook_path {value!r} must be absolute in the Databricks workspace, as '/Users/…/notebook'."
        )
    if named[0] == MAIN_CLASS and not given["jar_libraries"] and not given["maven_libraries"]:
        raise UserError(f"the class {value!r} must come from somewhere: give its JAR in jar_libraries.")
    return named[0], value


def _section(
    given: Mapping[str, Any], cluster: DatabricksCluster, runconfig: RunConfiguration | None
) -> DatabricksSection:
    lists = {name: list(given[name] or ()) for name in _LIBRARIES}
    for name, libraries in lists.items():
        for library in libraries:
            if not isinstance(library, _LIBRARIES[name]):
                raise UserError(f"{name} must hold objects of {_LIBRARIES[name].__name__}, not {library!r}.")
    filled = [name for name, libraries in lists.items() if libraries]
    if runconfig is None:
        cluster.validate()
        return DatabricksSection(**lists, cluster=cluster)
    if not isinstance(runconfig, RunConfiguration):
        raise UserError(f"runconfig must be a RunConfiguration, not {runconfig!r}.")
    if filled:
        raise UserError(
            f"a runconfig excludes {known(filled)}; put the libraries into runconfig.environment.databricks."
        )
    section = runconfig.environment.databricks
    if section.cluster is not None and cluster != DatabricksCluster():
        raise UserError("the runconfig describes a cluster, and so do the step's own parameters; keep one of them.")
    chosen = section.cluster or cluster
    chosen.validate()
    return DatabricksSection(**{name: list(getattr(section, name)) for name in _LIBRARIES}, cluster=chosen)


def _widgets(code: str, params: Any) -> dict[str, Any]:
    if params is not None and code != NOTEBOOK:
        raise UserError(f"notebook_params are for a notebook, and it runs a {code}.")
    if not isinstance(params or {}, Mapping):
        raise UserError(f"notebook_params must map names to values, not {params!r}.")
    return {str(name): value for name, value in (params or {}).items()}


def _arguments(code: str, script_params: Any, jar_params: Any) -> list[Any]:
    if script_params is not None and code not in (SCRIPT, SCRIPT_ON_DATABRICKS):
        raise UserError(f"python_script_params are for a script, and it runs a {code}.")
    if jar_params is not None and code != MAIN_CLASS:
        raise UserError(f"jar_params are for a JAR, and it runs a {code}.")
    params = script_params if script_params is not None else jar_params
    if isinstance(params, (set, frozenset)):
        params = sorted(params, key=str)  # in every process the same
    if not isinstance(params or [], (list, tuple)):
        raise UserError(f"its parameters must be a list, not {params!r}.")
    named = ((item.name, item) if isinstance(item, PipelineParameter) else (item,) for item in params or ())
    return [item for items in named for item in items]


def _require_timeout(seconds: Any) -> None:
    if seconds is not None and (not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0):
        raise UserError(f"timeout_seconds must be a number of seconds, not {seconds!r}.")


def _require_plain(step_name: str, port: InputPort | OutputPort) -> None:
    """Refuse what has no single URI that says all of it."""
    if isinstance(port, OutputPort):
        is_plain = port.mode is not OutputMode.UPLOAD and port.kind in (OutputKind.ANY, OutputKind.DIRECTORY)
        way = "Use PipelineData or OutputFileDatasetConfig"
    else:
        is_database = isinstance(port.source, FromDatabase)
        is_plain = not port.recipe and not port.is_link and not is_database and port.mode is not InputMode.DOWNLOAD
        way = "Use a DataReference, or what another step writes"
    if not is_plain:
        raise PipelineError(
            f"Step {step_name!r}: {port.name!r} cannot be handed to Databricks, where a job reads and writes whole "
            f"files and folders by their URI. {way}."
        )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
