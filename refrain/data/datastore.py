"""Datastore: a named place for data, as users hold it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from refrain.data.reference import DataReference
from refrain.data.transfer import receive, send
from refrain.errors import DataNotFoundError, UserError
from refrain.storage.datastores import WAY_OUT, DatastoreLocation, normalized
from refrain.storage.root import Option
from refrain.storage.store import Place

if TYPE_CHECKING:
    from refrain.data.sql.datastore import SqlDatastore
    from refrain.storage.state import WorkspaceState


class HasState(Protocol):
    """What a datastore needs of a workspace."""

    @property
    def state(self) -> WorkspaceState:
        """The workspace's durable state."""


class Datastore:
    """A datastore of a workspace; the constructor looks it up, as Azure ML's does.

    :param name: None for the workspace's default datastore.
    :raises UnknownNameError: when the workspace has no such datastore.
    """

    is_database = False

    def __new__(cls, workspace: HasState, name: str | None = None) -> Datastore:  # noqa: PYI034  # or its kind
        """Make the datastore of the kind that is registered, as Azure ML does."""
        table = workspace.state.datastores
        if not isinstance(table.find(name or table.default()), DatastoreLocation):
            from refrain.data.sql.datastore import SqlDatastore

            return object.__new__(SqlDatastore)
        return object.__new__(cls)

    def __init__(self, workspace: HasState, name: str | None = None) -> None:
        self._state = workspace.state
        self._table = workspace.state.datastores
        self._location = self._table.find(name or self._table.default())

    @staticmethod
    def get(workspace: HasState, datastore_name: str) -> Datastore:
        """Return the datastore of this name; raises as the constructor."""
        return Datastore(workspace, datastore_name)

    @staticmethod
    def get_default(workspace: HasState) -> Datastore:
        """Return the workspace's default datastore."""
        return Datastore(workspace)

    @staticmethod
    def register_folder(workspace: HasState, datastore_name: str, folder: str | os.PathLike[str]) -> Datastore:
        """Let a name stand for a local folder, which must exist, and return the datastore.

        :raises UserError: for an invalid name or a missing folder.
        """
        workspace.state.datastores.register(datastore_name, folder)
        return Datastore(workspace, datastore_name)

    @staticmethod
    def register(
        workspace: HasState,
        name: str,
        url: str,
        conn_id: str | None = None,
        options: Mapping[str, Option] | None = None,
    ) -> Datastore:
        """Let a name stand for a URL of any file system that fsspec knows, and return the datastore.

        :param url: such as ``s3://bucket/folder``; nothing is looked up there.
        :param conn_id: the Airflow connection with the credentials; None means those that the machine has.
        :param options: what the file system takes beside them, such as ``endpoint_url``. They are stored with the
            workspace, so that secrets are refused.
        :raises UserError: for an invalid name or URL, or a secret.
        """
        workspace.state.datastores.register_url(name, url, conn_id, options)
        return Datastore(workspace, name)

    @staticmethod
    def register_s3_bucket(  # noqa: PLR0913  # like its Azure relatives
        workspace: HasState,
        datastore_name: str,
        bucket_name: str,
        prefix: str = "",
        conn_id: str | None = None,
        endpoint_url: str | None = None,
        overwrite: bool = False,
    ) -> Datastore:
        """Let a name stand for a bucket, or a folder of it; raises as :meth:`register`."""
        options: dict[str, Option] = {"endpoint_url": endpoint_url} if endpoint_url else {}
        url = f"s3://{bucket_name}/{normalized(prefix)}"
        return _registered(workspace, datastore_name, DatastoreLocation("", None, url, conn_id), options, overwrite)

    @staticmethod
    def register_azure_blob_container(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,  # noqa: ARG004  # nothing is looked up
        blob_cache_timeout: int | None = None,  # noqa: ARG004  # of a mount that we do not have
        grant_workspace_access: bool = False,  # noqa: ARG004
        subscription_id: str | None = None,  # noqa: ARG004
        resource_group: str | None = None,  # noqa: ARG004
        conn_id: str | None = None,
    ) -> Datastore:
        """Let a name stand for a container of Azure Blob Storage.

        :param conn_id: the Airflow connection with the account's key, a SAS token or a connection string.
        :raises UserError: for a key or a token, which would have to be stored, and as :meth:`register`.
        """
        _refuse_secrets(datastore_name, account_key=account_key, sas_token=sas_token)
        _refuse_plain(datastore_name, protocol)
        if create_if_not_exists:
            raise UserError(
                f"Datastore {datastore_name!r}: make the container {container_name!r} first; none is made here."
            )
        options = _azure_options(account_name, endpoint)
        place = DatastoreLocation("", None, f"abfs://{container_name}", conn_id)
        return _registered(workspace, datastore_name, place, options, overwrite)

    @staticmethod
    def register_azure_data_lake_gen2(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        datastore_name: str,
        filesystem: str,
        account_name: str,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        resource_url: str | None = None,  # noqa: ARG004
        authority_url: str | None = None,  # noqa: ARG004
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        subscription_id: str | None = None,  # noqa: ARG004
        resource_group: str | None = None,  # noqa: ARG004
        grant_workspace_access: bool = False,  # noqa: ARG004
        conn_id: str | None = None,
    ) -> Datastore:
        """Let a name stand for a file system of Azure Data Lake Storage Gen2.

        :param conn_id: the Airflow connection with the service principal, or another credential of the account.
        :raises UserError: for a client secret, which would have to be stored, and as :meth:`register`.
        """
        _refuse_secrets(datastore_name, client_secret=client_secret)
        _refuse_plain(datastore_name, protocol)
        options = _azure_options(account_name, endpoint)
        known = {"tenant_id": tenant_id, "client_id": client_id}
        options |= {name: value for name, value in known.items() if value}
        place = DatastoreLocation("", None, f"abfs://{filesystem}", conn_id)
        return _registered(workspace, datastore_name, place, options, overwrite)

    @staticmethod
    def register_sql(workspace: HasState, name: str, url: str, conn_id: str | None = None) -> SqlDatastore:
        """Let a name stand for a database, and return the datastore; nothing is connected.

        :param url: without a password: ``postgresql://host/database``, ``mysql://…``, ``mssql://…`` or
            ``sqlite:////absolute/path.db``. What follows a ``?`` is for the driver, such as ``sslmode=require``.
        :param conn_id: the Airflow connection with login and password; None means what the driver finds by itself, such
            as ``PGPASSFILE``.
        :raises UserError: for an invalid name or URL, or a secret.
        """
        from refrain.data.sql.datastore import registered

        return registered(workspace, name, url, conn_id, overwrite=True)

    @staticmethod
    def register_azure_sql_database(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        datastore_name: str,
        server_name: str,
        database_name: str,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        resource_url: str | None = None,  # noqa: ARG004  # of a sign-in that the driver does not have
        authority_url: str | None = None,  # noqa: ARG004
        endpoint: str | None = None,
        overwrite: bool = False,
        username: str | None = None,
        password: str | None = None,
        subscription_id: str | None = None,  # noqa: ARG004
        resource_group: str | None = None,  # noqa: ARG004
        grant_workspace_access: bool = False,  # noqa: ARG004
        conn_id: str | None = None,
    ) -> SqlDatastore:
        """Let a name stand for a database of Azure SQL; the connection is encrypted.

        :param server_name: without the endpoint's domain, or a whole host name.
        :param conn_id: the Airflow connection with login and password.
        :raises UserError: for a password, which would have to be stored, or a service principal, with which the driver
            cannot sign in.
        """
        from refrain.data.sql.datastore import azure_sql, registered

        _refuse_secrets(datastore_name, client_secret=client_secret, password=password)
        url = azure_sql(datastore_name, (server_name, endpoint), database_name, username, (tenant_id, client_id))
        return registered(workspace, datastore_name, url, conn_id, overwrite)

    @staticmethod
    def register_azure_postgre_sql(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str | None = None,
        port_number: int | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        enforce_ssl: bool = True,
        conn_id: str | None = None,
    ) -> SqlDatastore:
        """Let a name stand for a database of Azure's PostgreSQL.

        :param server_name: without the endpoint's domain, or a whole host name.
        :param conn_id: the Airflow connection with the password.
        :raises UserError: for a password, which would have to be stored.
        """
        from refrain.data.sql.datastore import azure_postgresql, registered

        _refuse_secrets(datastore_name, user_password=user_password)
        url = azure_postgresql((server_name, endpoint, port_number), database_name, user_id, enforce_ssl)
        return registered(workspace, datastore_name, url, conn_id, overwrite)

    @staticmethod
    def register_azure_my_sql(  # noqa: PLR0913  # Azure ML's signature
        workspace: HasState,
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str | None = None,
        port_number: int | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        conn_id: str | None = None,
    ) -> SqlDatastore:
        """Let a name stand for a database of Azure's MySQL; parameters as for PostgreSQL."""
        from refrain.data.sql.datastore import azure_mysql, registered

        _refuse_secrets(datastore_name, user_password=user_password)
        url = azure_mysql((server_name, endpoint, port_number), database_name, user_id)
        return registered(workspace, datastore_name, url, conn_id, overwrite)

    @property
    def name(self) -> str:
        """The name in the workspace."""
        return self._location.name

    @property
    def root(self) -> str:
        """The folder or the URL that the datastore stands for."""
        return self._location.address

    @property
    def state(self) -> WorkspaceState:
        """The durable state of its workspace."""
        return self._state

    def upload(
        self, src_dir: str, target_path: str | None = None, overwrite: bool = False, show_progress: bool = True
    ) -> DataReference:
        """Copy a local folder to *target_path* and return a reference to it; see :meth:`upload_files`."""
        files = [os.path.join(p, name) for p, _, names in os.walk(src_dir) for name in names]
        if not os.path.isdir(src_dir):
            raise DataNotFoundError(f"{src_dir!r} is no folder, so that it cannot be uploaded.")
        return self.upload_files(files, src_dir, target_path, overwrite, show_progress)

    def upload_files(
        self,
        files: Sequence[str],
        relative_root: str | None = None,
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Copy local files to *target_path* and return a reference to it.

        :param relative_root: what their paths there are relative to; None means the folder that they have in common.
        :param overwrite: replace what is there; otherwise it is kept, and said so.
        :raises DataError: when a file is missing or cannot be copied.
        """
        path = normalized(target_path or "")
        send(list(files), relative_root, self._place(path), overwrite, show_progress)
        return self.path(path)

    def download(
        self, target_path: str, prefix: str | None = None, overwrite: bool = False, show_progress: bool = True
    ) -> int:
        """Copy every file whose path begins with *prefix* to ``<target_path>/<path>``; return how many were copied.

        :param overwrite: replace local files; otherwise they are kept.
        """
        return receive(self._place(""), Path(target_path), normalized(prefix or ""), overwrite, show_progress)

    def _place(self, path: str) -> Place:
        return self._state.stores.on(self.name, path)

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """Return a reference to *path* on this datastore; None means its root."""
        return DataReference(self, data_reference_name=data_reference_name, path_on_datastore=path)

    def set_as_default(self) -> None:
        """Make this the workspace's default datastore."""
        self._table.set_default(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Datastore) and other._location == self._location

    def __hash__(self) -> int:
        return hash(self._location)

    def __repr__(self) -> str:
        return f"Datastore({self.name!r}, {self.root!r})"


def _registered(
    workspace: HasState, name: str, place: DatastoreLocation, options: Mapping[str, Option], overwrite: bool
) -> Datastore:
    table = workspace.state.datastores
    if name in table.names() and not overwrite:
        known = table.get(name)  # a database does not become a folder by accident
        wanted = (place.url.rstrip("/"), place.conn_id, tuple(sorted(options.items())))
        if (known.url, known.conn_id, known.options) != wanted:
            raise UserError(f"Datastore {name!r} is {known.address} already. Pass overwrite=True to change it.")
    return Datastore.register(workspace, name, place.url, place.conn_id, options)


def _refuse_secrets(name: str, **secrets: str | None) -> None:
    given = [argument for argument, value in secrets.items() if value]
    if given:
        raise UserError(f"Datastore {name!r}: {' and '.join(given)} would be stored with the workspace. {WAY_OUT}")


def _refuse_plain(name: str, protocol: str | None) -> None:
    if protocol not in (None, "https"):
        raise UserError(f"Datastore {name!r}: protocol {protocol!r} is not supported; it is https.")


def _azure_options(account_name: str, endpoint: str | None) -> dict[str, Option]:
    options: dict[str, Option] = {"account_name": account_name}
    if endpoint and endpoint != "core.windows.net":
        options["account_host"] = f"{account_name}.blob.{endpoint}"
    return options
