"""Wanted against live: the changes in their order, and whether they still hold."""
