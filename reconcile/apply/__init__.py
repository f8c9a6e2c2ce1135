"""Doing a plan, delivering a policy, and what became of it."""
