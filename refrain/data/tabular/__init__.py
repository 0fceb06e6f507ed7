"""Tabular datasets: a lazily evaluated plan over delimited, Parquet or JSON lines files."""
