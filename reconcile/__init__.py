"""Declarative sync for tailnets: load a desired state, plan, apply, find drift."""

__version__ = "0.1.0"
