"""Reuse: fingerprints, the records behind them, and the decision with its reasons."""
