"""Headscale: its API, its wire format, its releases."""
