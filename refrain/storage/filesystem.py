"""FileSystem: an fsspec file system, opened when it is first needed, whose faults become errors of ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from refrain.errors import DataError, DataNotFoundError, UserError
from refrain.storage.connections import connection, secret_values
from refrain.storage.retry import PARALLEL, TransientError, is_lasting, retried

T = TypeVar("T")

_EXTRAS = {"s3": "s3", "s3a": "s3", "abfs": "azure", "abfss": "azure", "az": "azure"}
S3 = ("s3", "s3a")
AZURE = ("abfs", "abfss", "az")

_S3_CONFIG = {
    # The client tries again below the library that tries again below us: a store that is down would be asked for
    # minutes. We do it for every store.
    "retries": {"total_max_attempts": 1},
    "max_pool_connections": 2 * PARALLEL,
    "user_agent": "refrain",  # else botocore puts a long one together for each request
    "request_checksum_calculation": "when_required",  # what we send has its MD5, which every such store compares
}


class FileSystem:
    """The file system behind one datastore; safe to use from many threads, and after a fork."""

    def __init__(self, url: str, conn_id: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Name it by a URL on it; nothing is opened yet, and no credential is looked up.

        :param conn_id: the Airflow connection that holds the credentials; None means those of the environment.
        """
        self.protocol = url.partition("://")[0].lower()
        self.url = url
        self._conn_id = conn_id
        self._options = dict(options or {})
        self._opened: tuple[int, Any] | None = None
        self._beside: Any = None
        self._secrets: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"FileSystem({self.protocol}://)"

    @property
    def is_read_only(self) -> bool:
        """Say whether nothing can be written there."""
        return self.protocol in ("http", "https")

    def call(self, what: str, act: Callable[[Any], T], *, is_retried: bool = True) -> T:
        """Return ``act(file system)``, tried again when a fault may pass.

        :param what: what is done to what, for the message: ``list s3://bucket/data``.
        :param is_retried: False for what cannot be done twice; a fault that may pass is then a TransientError.
        :raises DataNotFoundError: when there is nothing.
        :raises DataError: when it fails for good; no message shows a credential.
        """
        fs = self._fs()
        try:
            return retried(lambda: act(fs)) if is_retried else act(fs)
        except DataError:
            raise
        except FileNotFoundError:
            raise DataNotFoundError(f"Cannot {what}: it does not exist.") from None
        except Exception as error:  # noqa: BLE001  # every cloud library raises its own
            text = self._text(error)
            # Not chained: what a library put into its own message may be a credential.
            kind = DataError if is_retried or is_lasting(error) else TransientError
            raise kind(f"Cannot {what}: {text}. {self._way_out()}") from None

    def beside(self, make: Callable[[Any], T]) -> T:
        """Return ``make(file system)``, made once and then anew after a fork; there is one such thing for each."""
        fs = self._fs()
        with self._lock:
            if self._beside is None:
                self._beside = make(fs)
            made: T = self._beside
            return made

    def described(self) -> dict[str, Any]:
        """Return ``url`` and ``options``, by which another process makes an equal one; credentials are among them."""
        return {"url": self.url, "options": self._all_options(self._implementation())}

    def stripped(self, url: str) -> str:
        """Return a URL as the file system writes it in its listings."""
        return str(self._fs()._strip_protocol(url))

    def _fs(self) -> Any:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._open())
                self._beside = None
            return self._opened[1]

    def _open(self) -> Any:
        made = self._implementation()
        options = self._all_options(made)
        self._secrets = secret_values(options)
        try:
            fs = made(use_listings_cache=False, skip_instance_cache=True, **options)
        except Exception as error:  # noqa: BLE001  # every cloud library raises its own
            raise DataError(f"Cannot reach {self.protocol}://: {self._text(error)}. {self._way_out()}") from None
        if self.protocol in S3:
            fs.retries = 1  # s3fs has no option for it
        if self.protocol in AZURE:
            _require_one_try(fs.service_client)
        return fs

    def _implementation(self) -> Any:
        import fsspec

        try:
            return fsspec.get_filesystem_class(self.protocol)
        except ImportError as error:
            extra = _EXTRAS.get(self.protocol)
            hint = f"pip install 'refrain[{extra}]'" if extra else str(error)
            raise UserError(f"Data at {self.protocol}:// needs another package: {hint}.") from error
        except ValueError as error:
            raise UserError(f"No file system is known for {self.protocol}://; see fsspec's list of them.") from error

    def _all_options(self, made: Any) -> dict[str, Any]:
        options: dict[str, Any] = {**made._get_kwargs_from_urls(self.url), **self._options}
        if self._conn_id is not None:
            options = _merged(options, connection(self._conn_id).options(self.protocol))
        if self.protocol in S3:
            options["config_kwargs"] = {**_S3_CONFIG, **options.get("config_kwargs", {})}
        if self.protocol in AZURE and not {"account_key", "sas_token", "connection_string", "anon"} & set(options):
            options["anon"] = False  # adlfs then asks the machine's identity
        return options

    def _text(self, error: Exception) -> str:
        return " ".join(self._masked(f"{type(error).__name__}: {error}").split()).rstrip(".")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _way_out(self) -> str:
        if self._conn_id is not None:
            return f"Check the connection {self._conn_id!r} and what its account may do."
        return "Check the address and this machine's credentials, or register the datastore with a conn_id."


def _require_one_try(service_client: Any) -> None:
    """Have the client of an adlfs try a request once, as that of S3; adlfs has no option for it."""
    for policy in service_client._pipeline._impl_policies:
        if hasattr(policy, "total_retries"):
            policy.total_retries = 0


def _merged(options: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**options, **given}
    both = {**options.get("client_kwargs", {}), **given.get("client_kwargs", {})}
    return {**merged, "client_kwargs": both} if both else merged
