"""Reads, checks and writes the desired state."""

from reconcile.desired.reading import read

__all__ = ["read"]
