"""Pipelines, experiments and runs, as users hold them."""
