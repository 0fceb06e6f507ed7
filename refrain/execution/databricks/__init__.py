"""Steps that Databricks runs."""
