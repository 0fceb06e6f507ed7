"""Runs steps at a lower priority, and writes texts."""
