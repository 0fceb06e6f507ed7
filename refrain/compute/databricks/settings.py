"""DatabricksSettings: what a compute target of the kind ``databricks`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from refrain.compute.kinds import require_settings
from refrain.compute.target import THIS_MACHINE, Target
from refrain.errors import UserError
from refrain.steps.definition import StepDefinition

KIND = "databricks"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "conn_id": str,
    "upload_path": str,
    "shares_files": bool,
    "existing_cluster_id": str,
    "cluster": dict,
    "poll_seconds": (int, float),
    "blob_secrets": dict,
    "resource_group": str,
    "workspace_name": str,
}


@dataclass(frozen=True)
class DatabricksSettings:
    """How a Databricks workspace is reached, and what its steps have in common.

    :param conn_id: the Airflow connection with the workspace's address and the credentials.
    :param upload_path: where scripts are uploaded to: on DBFS (``dbfs:/…``), or workspace files (``/Workspace/…``).
    :param shares_files: the clusters see this machine's folders at the same paths, as those of a test server do.
    :param existing_cluster_id: of the cluster for steps that name none.
    :param cluster: fields of a new cluster, as the API takes them, for steps that do not say otherwise.
    :param poll_seconds: between two looks at a run.
    :param blob_secrets: by storage account, the name of the secret that notebooks are told; else the account's name.
    """

    conn_id: str = "databricks_default"
    upload_path: str = "dbfs:/refrain"
    shares_files: bool = False
    existing_cluster_id: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    poll_seconds: float = 5.0
    blob_secrets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Target, step: StepDefinition) -> DatabricksSettings:
        """Return the settings of the target of a step.

        :raises UserError: when it is of another kind, or nobody registered the name that the step gives.
        """
        if target.kind != KIND:
            what = "not registered" if target is THIS_MACHINE else f"of the kind {target.kind!r}"
            raise UserError(
                f"Step {step.name!r} runs on Databricks, and its compute target {step.compute!r} is {what}. Register "
                f"it: refrain compute set {step.compute} databricks conn_id=…"
            )
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in target.settings.items() if name in known})


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no target can have.

    :raises UserError: naming the setting.
    """
    require_settings(settings, _TYPES)
    path = settings.get("upload_path", "dbfs:/refrain")
    if not path.startswith(("dbfs:/", "/")) or path.rstrip("/") in ("dbfs:", ""):
        raise UserError(f"upload_path {path!r} must be a folder on DBFS (dbfs:/…) or in the workspace (/Workspace/…).")
    if settings.get("poll_seconds", 1) <= 0:
        raise UserError(f"poll_seconds must be more than 0, not {settings['poll_seconds']!r}.")
