"""A project whose steps run on a Databricks server of this machine."""

from fakes.databricks import databricks, server

__all__ = ["databricks", "server"]
