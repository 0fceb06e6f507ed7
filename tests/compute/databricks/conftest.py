"""A Databricks server of this machine, and a service that reaches it by the SDK."""

import pytest

from fakes.databricks import server
from refrain.compute.databricks.channel import open_channel
from refrain.compute.databricks.service import Databricks

__all__ = ["server"]


@pytest.fixture
def service(server) -> Databricks:
    return Databricks(open_channel("databricks_default"))
