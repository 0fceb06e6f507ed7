"""Measurements, side by side with a peer or a floor on the same machine in the same minutes: ``python -m bench``."""
