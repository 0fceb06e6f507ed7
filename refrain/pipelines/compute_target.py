"""ComputeTarget: a name of the workspace for where steps run, as Azure ML's pipelines look it up and create it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from refrain.compute.kinds import check
from refrain.compute.target import LOCAL, Target, TargetTable
from refrain.environments.not_here import NotHere
from refrain.errors import ComputeTargetException, UserError, did_you_mean, known

if TYPE_CHECKING:
    from refrain.pipelines.workspace import Workspace

_READY = "Succeeded"


@dataclass(frozen=True)
class ComputeTargetConfiguration:
    """What a compute target is to be: what ``provisioning_configuration`` and ``attach_configuration`` return."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ComputeTargetStatus:
    """How many nodes a target has. There is nothing to be started here, so that it is ready at any time."""

    current_node_count: int
    provisioning_state: str = _READY
    allocation_state: str = "Steady"

    def serialize(self) -> dict[str, Any]:
        """Return the status as Azure ML's scripts print it."""
        return {
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.current_node_count,
            "provisioningState": self.provisioning_state,
            "allocationState": self.allocation_state,
            "errors": None,
        }


@dataclass(frozen=True)
class ScaleSettings:
    """Between how many nodes a cluster was said to have."""

    minimum_node_count: int
    maximum_node_count: int


class ComputeTarget:
    """A compute target that the workspace knows; making one looks it up.

    What the name means is decided where the workspace is run: ``refrain compute set NAME KIND …`` gives it another
    kind, and no pipeline changes.

    :raises ComputeTargetException: when there is none of this name, or it is of another class.
    """

    deserialize = NotHere("Use ComputeTarget(workspace, name).")
    type: ClassVar[str] = "ComputeTarget"
    kinds: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, workspace: Workspace, name: str) -> ComputeTarget:  # noqa: PYI034  # of the class that fits
        """Return an object of the class that fits to the target's kind."""
        found = _find(workspace, name)
        fitting = _class_of(found)
        if not issubclass(fitting, cls):
            raise ComputeTargetException(
                f"The compute target {name!r} is of the kind {found.kind!r}, not of {cls.__name__}."
            )
        return object.__new__(fitting)

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.name = name
        self._target = _find(workspace, name)

    @property
    def kind(self) -> str:
        """The registered kind, such as ``local`` or ``docker``."""
        return self._target.kind

    @property
    def settings(self) -> dict[str, Any]:
        """What the kind was given."""
        return dict(self._target.settings)

    @property
    def provisioning_state(self) -> str:
        """``Succeeded``: nothing has to be started."""
        return _READY

    @property
    def provisioning_errors(self) -> None:
        """None."""
        return

    @staticmethod
    def create(
        workspace: Workspace, name: str, provisioning_configuration: ComputeTargetConfiguration
    ) -> ComputeTarget:
        """Register a target; one that is there, of the same kind, keeps the settings that are not given anew.

        :raises ComputeTargetException: when the name belongs to a target of another kind, which the platform decided.
        :raises UserError: for a setting that the kind does not have.
        """
        if not isinstance(provisioning_configuration, ComputeTargetConfiguration):
            raise UserError(
                f"{provisioning_configuration!r} is no configuration of a compute target. Make one with "
                "AmlCompute.provisioning_configuration(...) or DatabricksCompute.attach_configuration(...)."
            )
        table = TargetTable(workspace.state.registry)
        wanted = Target(name, provisioning_configuration.kind, provisioning_configuration.settings)
        there = table.find(name)
        if there is not None and there.kind != wanted.kind:
            raise ComputeTargetException(
                f"The compute target {name!r} is there, of the kind {there.kind!r}. Use ComputeTarget(workspace, "
                f"{name!r}), or remove it with: refrain compute remove {name}"
            )
        if there is not None:
            wanted = Target(name, wanted.kind, {**there.settings, **wanted.settings}, there.queue, there.pool)
        check(wanted)
        table.put(wanted)
        return ComputeTarget(workspace, name)

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: ComputeTargetConfiguration) -> ComputeTarget:
        """Do the same as :meth:`create`."""
        return ComputeTarget.create(workspace, name, attach_configuration)

    @staticmethod
    def list(workspace: Workspace) -> list[ComputeTarget]:
        """Return every target of the workspace."""
        return [ComputeTarget(workspace, name) for name in TargetTable(workspace.state.registry).names()]

    def wait_for_completion(
        self,
        show_output: bool = False,
        min_node_count: int | None = None,  # noqa: ARG002  # Azure ML's signature
        timeout_in_minutes: int | None = None,  # noqa: ARG002
        is_delete_operation: bool = False,  # noqa: ARG002
    ) -> None:
        """Return at once: nothing has to be started."""
        if show_output:
            print(_READY)  # noqa: T201  # what a user asked for

    def refresh_state(self) -> None:
        """Read again what is registered."""
        self._target = _find(self.workspace, self.name)

    def get_status(self) -> ComputeTargetStatus:
        """Return how many nodes there are."""
        return ComputeTargetStatus(max(1, int(self.settings.get("min_nodes", 1))))

    def delete(self) -> None:
        """Forget the target; pipelines that name it run on this machine then."""
        TargetTable(self.workspace.state.registry).remove(self.name)

    def detach(self) -> None:
        """Do the same as :meth:`delete`."""
        self.delete()

    def serialize(self) -> dict[str, Any]:
        """Return what is registered, as JSON values."""
        return {"name": self.name, "type": self.type, "kind": self.kind, "properties": self.settings}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, kind {self.kind!r})"


class AmlCompute(ComputeTarget):
    """A cluster, as Azure ML's pipelines name it: here this machine, the workers of Airflow, or containers."""

    type = "AmlCompute"
    kinds = (LOCAL, "docker", "kubernetes")
    get = ComputeTarget.refresh_state
    list_nodes = NotHere("Airflow decides which machine a step runs on; its page of the task says which.")
    get_active_runs = NotHere("See 'refrain runs list'.")
    supported_vmsizes = NotHere("The machines are your own; 'refrain compute set' says what a target's name means.")
    list_usages = NotHere("There are no quotas; a pool of Airflow's limits what runs.")
    list_quotas = NotHere("There are no quotas; a pool of Airflow's limits what runs.")
    update_quotas = NotHere("There are no quotas; a pool of Airflow's limits what runs.")
    add_identity = NotHere("Credentials are those of Airflow's connections.")
    remove_identity = NotHere("Credentials are those of Airflow's connections.")

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,  # noqa: ARG002  # Azure ML's signature
    ) -> None:
        """Change between how many nodes it is said to have, a remark as all of its settings.

        :raises UserError: for what is no range of node counts.
        """
        scale = self.scale_settings
        least = scale.minimum_node_count if min_nodes is None else min_nodes
        most = scale.maximum_node_count if max_nodes is None else max_nodes
        made = AmlCompute.provisioning_configuration(min_nodes=least, max_nodes=most).settings
        nodes = {name: made[name] for name in ("min_nodes", "max_nodes")}
        ComputeTarget.create(self.workspace, self.name, ComputeTargetConfiguration(self.kind, nodes))
        self.refresh_state()

    @property
    def scale_settings(self) -> ScaleSettings:
        """Between how many nodes it was said to have."""
        return ScaleSettings(self.settings.get("min_nodes", 0), self.settings.get("max_nodes", 1))

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        description: str | None = None,
        **unused: Any,
    ) -> ComputeTargetConfiguration:
        """Return what a cluster is to be; it is kept as a remark for whoever decides what the name means here.

        :param unused: other options of Azure ML, such as those of its network and its users; they have no meaning here.
        :raises UserError: for a negative number of nodes, or a minimum above the maximum.
        """
        most = 1 if max_nodes is None else max_nodes
        if not 0 <= min_nodes <= most:
            raise UserError(f"min_nodes {min_nodes} and max_nodes {max_nodes} are no range of node counts.")
        ignored = [name for name, value in unused.items() if value]
        if ignored:
            warnings.warn(
                f"AmlCompute.provisioning_configuration: {known(ignored)} has no meaning here and is ignored.",
                UserWarning,
                stacklevel=2,
            )
        noted = {"vm_size": vm_size, "vm_priority": vm_priority, "description": description or ""}
        nodes = {"min_nodes": min_nodes, "max_nodes": most}
        return ComputeTargetConfiguration(LOCAL, {**{name: text for name, text in noted.items() if text}, **nodes})


class DatabricksCompute(ComputeTarget):
    """A Databricks workspace, on which a ``DatabricksStep`` runs."""

    type = "Databricks"
    kinds = ("databricks",)

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None,
        workspace_name: str | None = None,
        resource_id: str | None = None,
        access_token: str = "",
        conn_id: str | None = None,
    ) -> ComputeTargetConfiguration:
        """Return which workspace it is to be. Its address and its credentials are those of an Airflow connection.

        :param resource_group: kept as a remark, and so is *workspace_name*; of a *resource_id* both are taken.
        :param access_token: not stored, with a warning: it belongs into the connection.
        :param conn_id: the connection's id; None means ``databricks_default``.
        """
        if access_token:
            warnings.warn(
                "DatabricksCompute.attach_configuration: the access_token is not stored. Put it into the Airflow "
                f"connection {conn_id or 'databricks_default'!r} (or AIRFLOW_CONN_"
                f"{(conn_id or 'databricks_default').upper()}), as its password, with the workspace's address as host.",
                UserWarning,
                stacklevel=2,
            )
        parts = (resource_id or "").strip("/").split("/")
        named = dict(zip(parts[::2], parts[1::2], strict=False))
        said = {
            "conn_id": conn_id,
            "resource_group": resource_group or named.get("resourceGroups"),
            "workspace_name": workspace_name or named.get("workspaces"),
        }
        return ComputeTargetConfiguration("databricks", {name: text for name, text in said.items() if text})

    def get_credentials(self) -> dict[str, str]:
        """Return where the credentials are; they themselves are not shown.

        :returns: ``databricksConnectionId``, the id of the Airflow connection.
        """
        return {"databricksConnectionId": str(self.settings.get("conn_id", "databricks_default"))}


class SynapseCompute(ComputeTarget):
    """A pool of Spark machines, on which a ``SynapseSparkStep`` runs: whichever Spark its name means here."""

    type = "SynapseSpark"
    kinds = ("spark",)

    @staticmethod
    def attach_configuration(
        linked_service: Any,
        type: str,  # Azure ML's signature
        pool_name: str,
    ) -> ComputeTargetConfiguration:
        """Return which pool it was, kept as a remark; which Spark it is says ``refrain compute set NAME spark``.

        :param type: must be ``SynapseSpark``.
        :raises UserError: for another type.
        """
        if type != SynapseCompute.type:
            raise UserError(f"SynapseCompute.attach_configuration: type must be 'SynapseSpark', not {type!r}.")
        service = str(getattr(linked_service, "name", linked_service))
        return ComputeTargetConfiguration("spark", {"linked_service": service, "pool_name": pool_name})


def _find(workspace: Workspace, name: str) -> Target:
    table = TargetTable(workspace.state.registry)
    found = table.find(name)
    if found is None:
        names = table.names()
        raise ComputeTargetException(
            f"There is no compute target {name!r}. Known: {known(names)}.{did_you_mean(name, names)} Create one with "
            "ComputeTarget.create(workspace, name, configuration), or with: refrain compute set NAME KIND"
        )
    return found


def _class_of(target: Target) -> type[ComputeTarget]:
    return next((cls for cls in ComputeTarget.__subclasses__() if target.kind in cls.kinds), ComputeTarget)
