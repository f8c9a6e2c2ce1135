"""Measurements: `script/bench` runs them and prints a table of ratios."""
