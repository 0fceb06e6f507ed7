"""Databases as users hold them: datastores, references to tables and queries, and datasets of a query's rows."""
