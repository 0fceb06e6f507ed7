"""Addresses: the URIs by which a job on Databricks reads and writes data."""

from __future__ import annotations

from urllib.parse import urlsplit

from refrain.compute.databricks.settings import DatabricksSettings
from refrain.errors import UserError
from refrain.storage.connections import connection
from refrain.storage.datastores import DatastoreLocation
from refrain.storage.filesystem import AZURE
from refrain.storage.state import WorkspaceState
from refrain.storage.store import Place

_AS_THEY_ARE = ("s3", "s3a", "gs", "wasbs", "adl")
_WAY_OUT = (
    "Let the data be on a datastore that Databricks can read: DBFS, Azure Blob or Data Lake, S3. Where its clusters "
    "see this machine's folders, say so: refrain compute set NAME databricks shares_files=true …"
)


def address(place: Place, what: str, settings: DatabricksSettings, state: WorkspaceState) -> str:
    """Return the URI of a place as Databricks understands it.

    :param what: for the message, such as ``Step 'a', input 'b'``.
    :raises UserError: when Databricks cannot reach it.
    """
    local = place.in_place
    if local is not None:
        if not settings.shares_files:
            raise UserError(f"{what}: Databricks cannot read the folder {str(local)!r} of this machine. {_WAY_OUT}")
        return f"file:{local}"
    scheme, _, rest = place.uri.partition("://")
    if scheme in AZURE:
        account = _account(place, state)
        container, _, path = rest.partition("/")
        if "@" in container:
            return f"abfss://{rest}"
        if not account:
            raise UserError(f"{what}: {place.uri} names no storage account; give its datastore account_name.")
        return f"abfss://{container}@{account}.dfs.core.windows.net/{path}"
    if scheme == "dbfs":
        return f"dbfs:/{rest.lstrip('/')}"
    if scheme in _AS_THEY_ARE:
        return place.uri
    raise UserError(f"{what}: Databricks cannot read {place.uri}. {_WAY_OUT}")


def companions(name: str, uri: str, settings: DatabricksSettings) -> dict[str, str]:
    """Return the widgets by which notebooks of Azure ML mount a container: the setting's name and the secret's."""
    parts = urlsplit(uri)
    if parts.scheme not in ("abfss", "wasbs"):
        return {}
    account = (parts.hostname or "").partition(".")[0]
    return {
        f"{name}_blob_config": f"fs.azure.account.key.{account}.blob.core.windows.net",
        f"{name}_blob_secretname": settings.blob_secrets.get(account, account),
    }


def _account(place: Place, state: WorkspaceState) -> str:
    found = state.stores.datastore_of(place)
    location: DatastoreLocation | None = state.datastores.get(found[0]) if found else None
    if location is None:
        return ""
    named = dict(location.options).get("account_name")
    if not named and location.conn_id:
        named = connection(location.conn_id).options("abfs").get("account_name")
    return str(named or "")
