"""Compute targets that are Kubernetes clusters: a step is a pod."""
