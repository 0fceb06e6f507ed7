"""S3 client: requests that carry objects, each sent and answered by the thread that makes it.

s3fs does all its work in one thread, that of its event loop: what is signed, sent, encrypted or received there keeps
every other request waiting, and what comes is put together from small pieces. botocore, on which s3fs stands, also has
a client without a loop. This module makes one with the settings and the credentials of an s3fs.
"""

from __future__ import annotations

from typing import Any

_SECRETS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def blocking_client(fs: Any) -> Any:
    """Return a client with the settings of an s3fs; safe to use from many threads, not after a fork."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    fs.connect()
    session = Session(**fs.kwargs)
    session.register_component("data_loader", fs.session.get_component("data_loader"))  # it has read the models
    # Nobody asks these answers for times, whose reading takes a fourteenth of all that a small object costs.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
    given = dict(zip(_SECRETS, (fs.key, fs.secret, fs.token), strict=True))
    given |= {"endpoint_url": fs.endpoint_url, "use_ssl": fs.use_ssl, **fs.client_kwargs}
    config = {name: value for name, value in fs._prepare_config_kwargs().items() if name in Config.OPTION_DEFAULTS}
    if fs.anon:
        given |= dict.fromkeys(_SECRETS)
        config["signature_version"] = UNSIGNED
    return session.create_client("s3", config=Config(**config), **given)


def call(fs: Any, client: Any, operation: str, **what: Any) -> dict[str, Any]:
    """Call an operation with the arguments that the s3fs adds to it, such as those of encryption.

    :raises OSError: for an answer that is an error, of the kind that s3fs would raise.
    """
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    method = getattr(client, operation)
    try:
        answer: dict[str, Any] = method(**fs._get_s3_method_kwargs(method, **what))
    except ClientError as error:
        raise translate_boto_error(error) from error
    return answer
