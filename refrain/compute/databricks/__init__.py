"""Databricks as a compute target: how its REST API is reached, and what is asked of it."""
