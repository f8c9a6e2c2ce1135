"""Reads, checks and writes the desired state."""
